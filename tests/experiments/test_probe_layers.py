"""Layers of the linear probe judged by training images, out of fold."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from errors import refuses
from probes import InMemory, odd_images, probe
from tiny import draw_folder
from torch import Tensor

from cyclegan_ad.methods.folds import assign_folds
from cyclegan_ad.methods.probe_fit import out_of_fold
from cyclegan_ad.metrics.thresholds import auroc
from cyclegan_ad.scoring.probe_features import describe_images
from experiments import probe_layers
from experiments.probe_layers import DEFAULTS, compare, compose_probe, score_out_of_fold

N = 6
LABELS = [0] * (N // 2) + [1] * (N // 2)


class Counting(InMemory):
    """Images that count how often each is read."""

    def __init__(self, tensors: Tensor) -> None:
        super().__init__(tensors)
        self.read: list[int] = []

    def images_at(self, indices: Sequence[int]) -> Tensor:
        self.read += indices
        return super().images_at(indices)


def test_each_image_is_judged_by_the_probe_that_did_not_see_it() -> None:
    images, groups = Counting(odd_images(N)), [str(i) for i in range(N)]
    method = probe(strengths=(0.1,))
    found = score_out_of_fold(method, images, range(N), LABELS, groups, folds=2)
    features = describe_images(
        method.model, images, range(N), device=torch.device("cpu"), batch_size=1
    )
    folds = assign_folds(LABELS, groups, 2, method.seed)
    expected = out_of_fold(
        features,
        LABELS,
        groups,
        folds,
        strengths=(0.1,),
        folds=2,
        seed=0,
        parts=method.model.parts(),
    )
    np.testing.assert_allclose(found.probe, expected, rtol=1e-4, atol=1e-5)
    assert auroc(found.probe, LABELS) > 0.9
    # The highest responses are above the mean.
    assert (found.peak > found.probe).all()
    assert set(images.read) == set(range(N))


def test_copies_are_in_one_fold() -> None:
    tensors = odd_images(N)
    tensors[1] = tensors[0]
    groups = ["same", "same", *(str(i) for i in range(2, N))]
    found = score_out_of_fold(
        probe(strengths=(0.1,)), InMemory(tensors), range(N), LABELS, groups, folds=2
    )
    assert found.probe[0] == found.probe[1]


def test_too_few_images_for_the_folds() -> None:
    with refuses(setting="folds", value="5", facts="3"):
        score_out_of_fold(
            probe(), InMemory(odd_images(N)), range(N), LABELS, [str(i) for i in range(N)], folds=5
        )


@pytest.mark.parametrize(
    ("name", "value"), [("layers", "head+blocks.5"), ("seed", "-1"), ("dataset", "nothing")]
)
def test_wrong_settings_are_refused_before_anything_is_read(name: str, value: str) -> None:
    with refuses(facts=value.split("+")):
        compare(DEFAULTS | {name: value})


def test_a_missing_dataset_is_one_line(tmp_path: Path) -> None:
    [problem] = compare(DEFAULTS | {"dataset": "screw", "data_dir": str(tmp_path)})
    assert "screw" in str(problem) and "\n" not in str(problem)


def test_the_settings_are_those_of_the_method() -> None:
    settings = compose_probe("brain_mri", 64)
    assert (settings.method.name, settings.resolution) == ("linear_probe", 64)
    assert settings.dataset.name == "brain_mri"


@pytest.mark.slow
def test_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = draw_folder(tmp_path / "data" / "brain_mri")
    (root / "normal").rename(root / "no")
    (root / "abnormal").rename(root / "yes")
    monkeypatch.setattr(probe_layers.LinearProbe, "load_backbone", lambda self: None)
    given = {"dataset": "brain_mri", "layers": "head,blocks.5+head", "folds": "2", "seed": "0,1"}
    places = {"data_dir": str(tmp_path / "data"), "cache_dir": str(tmp_path / "cache")}
    assert compare(DEFAULTS | given | places | {"resolution": "32"}) == []
    text = capsys.readouterr().out
    for layers in ("head", "blocks.5+head"):
        assert f"brain_mri, {layers}: probe " in text
    assert "out of fold" in text
