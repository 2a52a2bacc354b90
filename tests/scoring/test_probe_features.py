"""Features in 8 symmetries, and what a cache keeps: the same numbers, computed once."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from baselines import images
from probes import InMemory, fitted_probe, probe

from cyclegan_ad.data.augment import SYMMETRIES, dihedral
from cyclegan_ad.scoring.probe_features import describe_images, remember_maps

CPU = torch.device("cpu")


class Counting:
    """Counts the images that go through the backbone."""

    def __init__(self, scorer: Any) -> None:
        self.seen, self.trunk = 0, scorer.backbone.trunk
        scorer.backbone.trunk = self

    def __call__(self, tensors: torch.Tensor) -> torch.Tensor:
        self.seen += len(tensors)
        return self.trunk(tensors)


def test_each_image_is_described_once_in_each_symmetry(tmp_path: Path) -> None:
    scorer, drawn = probe().model, InMemory(images(3))
    counting, done = Counting(scorer), []
    found = describe_images(
        scorer, drawn, [0, 2], device=CPU, batch_size=1, folder=tmp_path,
        progress=lambda *numbers: done.append(numbers),
    )  # fmt: skip
    assert found.shape == (2, SYMMETRIES, 1280) and found.dtype == np.float32
    assert counting.seen == 2 * SYMMETRIES and done[-1] == (2, 2)
    for symmetry in (0, 3, 6):
        turned = dihedral(drawn.images_at([2]), torch.tensor([symmetry]))
        with torch.no_grad():
            expected = scorer.features(turned)[0]
        np.testing.assert_allclose(found[1, symmetry], expected, rtol=1e-4, atol=1e-6)
    before = counting.seen
    again = describe_images(scorer, drawn, [2, 1], device=CPU, batch_size=1, folder=tmp_path)
    assert counting.seen == before + SYMMETRIES  # of the new image
    assert np.array_equal(again[0], found[1])
    without = describe_images(scorer, drawn, [2, 1], device=CPU, batch_size=1)
    assert np.array_equal(again, without)


def test_other_weights_have_other_features(tmp_path: Path) -> None:
    drawn = InMemory(images(1))
    found = [
        describe_images(
            probe(seed=seed).model, drawn, [0], device=CPU, batch_size=1, folder=tmp_path
        )
        for seed in (0, 1)
    ]
    assert not np.array_equal(*found)


def test_scoring_again_computes_nothing(tmp_path: Path) -> None:
    module, test = fitted_probe(), images(2, seed=1)
    expected = module.embed(test)
    counting = Counting(module.model)
    remember_maps(module.model, tmp_path)
    for _ in range(2):
        found = module.embed(test)
        assert counting.seen == 2
        assert torch.equal(found.scores, expected.scores)
        assert torch.equal(found.peaks, expected.peaks)
        assert torch.equal(found.maps, expected.maps)
    # Damaged files are computed again.
    for path in tmp_path.rglob("*.features"):
        path.write_bytes(path.read_bytes()[:-1])
    assert torch.equal(module.embed(test).scores, expected.scores) and counting.seen == 4


def test_threads_do_not_matter() -> None:
    scorer, drawn, before = probe().model, InMemory(images(3, seed=2)), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(describe_images(scorer, drawn, range(3), device=CPU, batch_size=threads))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(*found)
