"""The linear probe as a method: fitted once, saved, and loaded without its pretrained weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from baselines import fit, images
from errors import refuses
from probes import LABELS, describe, fitted_probe, odd_images, probe

from cyclegan_ad.methods import probe_weights
from cyclegan_ad.methods.linear_probe import LinearProbe
from cyclegan_ad.methods.probe_fit import decide, fit_probe

BATCH = [{"normal": images(1), "abnormal": images(1)}]


def test_it_scores_as_the_probe_of_its_features() -> None:
    module = fitted_probe()
    again = probe()
    again.model.backbone.load_state_dict(module.model.backbone.state_dict())
    describe(again, odd_images())
    described: Any = again.described
    expected = fit_probe(
        described.features,
        LABELS,
        described.groups,
        strengths=(0.01, 0.1),
        folds=2,
        seed=0,
        parts=(2 * 112 + 2 * 192, 1280),
    )
    found = module.embed(odd_images())
    of_first_symmetry = decide(expected, described.features[:, :1])
    np.testing.assert_allclose(found.scores, of_first_symmetry, rtol=1e-3, atol=1e-4)
    assert found.maps.shape == (6, 32, 32)
    assert found.scores[3:].min() > found.scores[:3].max()
    assert (found.peaks >= found.scores).all()
    # The zero of the maps is the mean of the training images.
    means = [module.embed(torch.rot90(odd_images(), k, (2, 3))).maps.mean() for k in range(4)]
    assert abs(np.mean(means)) < 0.1 * found.maps.abs().max()


def test_checkpoint_round_trip_needs_no_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = probe()
    describe(module, odd_images())
    trainer = fit(module, BATCH)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    monkeypatch.setattr(probe_weights, "read_weights", lambda *_: pytest.fail("looked for"))
    loaded = LinearProbe.load_from_checkpoint(
        tmp_path / "last.ckpt", map_location="cpu", weights_only=True
    )
    test = images(2, seed=1)
    assert torch.equal(module.embed(test).scores, loaded.embed(test).scores)
    assert torch.equal(module.embed(test).maps, loaded.embed(test).maps)
    # A training that is complete already needs no features.
    again = probe()
    trainer.fit(again, BATCH, ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    assert torch.equal(module.embed(test).scores, again.embed(test).scores)


def test_a_score_does_not_depend_on_the_batch() -> None:
    module, test = fitted_probe(), images(3, seed=1)
    together = module.embed(test)
    alone = [module.embed(test[i : i + 1]) for i in range(3)]
    assert torch.equal(together.scores, torch.cat([one.scores for one in alone]))
    assert torch.equal(together.peaks, torch.cat([one.peaks for one in alone]))


def test_without_features_or_fit_there_is_nothing() -> None:
    with pytest.raises(RuntimeError, match="described"):
        fit(probe(), BATCH)
    with pytest.raises(RuntimeError, match="not fitted"):
        probe().inference_state()


def test_equal_images_are_refused() -> None:
    module = probe()
    describe(module, images(1).repeat(6, 1, 1, 1)[:, :, :1, :1].repeat(1, 1, 32, 32))
    with refuses(setting="method", value="linear_probe", remedy="method.backbone"):
        fit(module, BATCH)


def test_a_file_of_weights_is_loaded_and_another_refused(tmp_path: Path) -> None:
    whole = probe_weights.ProbeBackbone("resnet18", ["layer3", "layer4"])
    torch.save(whole.network.state_dict(), tmp_path / "weights.pth")
    module = probe(
        backbone="resnet18", layers=("layer3", "layer4"), weights_path=str(tmp_path / "weights.pth")
    )
    module.load_backbone()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = whole.eval().trunk(x)
        torch.testing.assert_close(module.model.backbone.trunk(x), expected, rtol=1e-4, atol=1e-5)
    wide = probe(
        backbone="wide_resnet50_2", layers=("layer4",), weights_path=str(tmp_path / "weights.pth")
    )
    with refuses(
        setting="method.weights_path", value=tmp_path / "weights.pth", facts="wide_resnet"
    ):
        wide.load_backbone()
    with refuses(setting="method.weights_path", facts="no such file"):
        probe_weights.ensure_probe_weights("resnet18", str(tmp_path / "none.pth"))
