"""Scores of a linear probe that is fitted again without each fold."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import draw_folder, settings

from cyclegan_ad.build import build_data
from cyclegan_ad.evaluation import score_folds as module
from cyclegan_ad.evaluation.apply_crossval import training_folds
from cyclegan_ad.evaluation.score_folds import score_folds
from cyclegan_ad.methods.linear_probe import DescribedImages, LinearProbe
from cyclegan_ad.methods.probe_fit import decide, fit_probe
from cyclegan_ad.pretrained.names import PROBE_DEFAULT_LAYERS
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.scoring.probe_features import describe_images
from cyclegan_ad.scoring.scores import build_scores

CPU = torch.device("cpu")
STRENGTHS = (0.001, 0.1)


@pytest.mark.slow
def test_each_image_is_scored_by_the_probe_that_did_not_see_it(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "images", normal=6, abnormal=12)
    job = settings(root, tmp_path, "protocol=crossval", "protocol.crossval_folds=3", method="padim")
    data = build_data(job)
    data.setup()
    method = LinearProbe(
        channels=3,
        size_px=32,
        backbone="resnet18",  # of random weights
        layers=PROBE_DEFAULT_LAYERS["resnet18"],
        weights_path=None,
        strengths=STRENGTHS,
        folds=2,
        peak_fraction=0.05,
        max_train_images=None,
        seed=0,
    ).eval()
    trained, tested = list(data.split.train), list(data.split.test)

    every = [*trained, *tested]
    known = describe_images(method.model, data, every, device=CPU, batch_size=4)

    def described(indices: list[int]) -> tuple[Any, list[int], list[str]]:
        features = known[[every.index(i) for i in indices]]
        labels = [data.samples[i].label for i in indices]
        return features, labels, [data.groups[i] for i in indices]

    method.fit_to(DescribedImages(*described(trained)))
    before = {name: tensor.clone() for name, tensor in method.model.state_dict().items()}
    scores = build_scores([ScoreColumn("probe", tta="dihedral")])
    asked = SimpleNamespace(
        protocol=job.protocol, score=SimpleNamespace(batch_size=4), cache_dir=tmp_path / "cache"
    )

    seen: list[int] = []
    trunk = method.model.backbone.trunk

    def counting(x: torch.Tensor) -> torch.Tensor:
        if x.device == CPU:  # not of shapes only
            seen.append(len(x))
        return trunk(x)

    method.model.backbone.trunk = counting  # type: ignore[method-assign]

    found = score_folds(method, data, scores, asked, CPU)  # type: ignore[arg-type]

    # In 8 symmetries: training images are described, and what is scored goes through it once for
    # all probes.
    assert sum(seen) == 8 * (len(trained) + len(data.train_indices(1)) + len(tested))

    fold_of = training_folds(job.protocol, data)
    assert found.keys() == {0, 1, 2}
    for fold, scored in found.items():
        held_out = [i for i in fold_of if fold_of[i] == fold]
        assert scored.indices.tolist() == [*held_out, *tested]
        features, labels, groups = described([i for i in trained if i not in held_out])
        probe = fit_probe(
            features,
            labels,
            groups,
            strengths=STRENGTHS,
            folds=2,
            seed=0,
            parts=method.model.parts(),
        )
        expected = decide(probe, described([*held_out, *tested])[0])
        # Float32 weights, and pooling after the weighted sum instead of before.
        np.testing.assert_allclose(scored.scores["probe_tta"], expected, rtol=1e-3, atol=1e-4)
    for name, tensor in method.model.state_dict().items():
        assert torch.equal(tensor, before[name]), name  # the probe of the run is back


def test_only_the_images_of_the_fits_are_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = draw_folder(tmp_path / "images", normal=6, abnormal=12)
    job = settings(root, tmp_path, "protocol=crossval", "protocol.crossval_folds=3", method="padim")
    data = build_data(job)
    data.setup()
    described: list[int] = []

    def stop(_: Any, __: Any, indices: list[int], **___: Any) -> None:
        described.extend(indices)
        raise RuntimeError("described")

    monkeypatch.setattr(module, "describe_images", stop)
    asked: Any = SimpleNamespace(
        protocol=job.protocol, score=SimpleNamespace(batch_size=4), cache_dir=tmp_path / "cache"
    )
    method: Any = SimpleNamespace(model=None, max_train_images=1)
    with pytest.raises(RuntimeError, match="described"):
        score_folds(method, data, None, asked, CPU)  # type: ignore[arg-type]
    labels = [data.samples[i].label for i in described]
    assert labels.count(0) == 1 and 1 <= labels.count(1) <= 2  # one of a class for each fit
