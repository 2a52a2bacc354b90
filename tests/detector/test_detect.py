"""Decisions of a detector: those of its run, whatever the image is given as; none is lost."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import torch
from errors import refuses
from PIL import Image
from tiny import draw_folder, settings

from cyclegan_ad import load_detector
from cyclegan_ad.detector.decision import choose_decision
from cyclegan_ad.detector.detect import Detector
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import read_scores
from cyclegan_ad.train import run_training

Finished = tuple[Path, RunDirectory, dict[str, Any]]


@pytest.fixture(scope="module")
def detector(finished: Finished) -> Detector:
    return load_detector(finished[1].path, device="cpu")


@pytest.fixture
def image(finished: Finished) -> Path:
    return finished[0] / "abnormal" / "00.png"


def test_test_images_get_their_scores_and_none_of_the_abnormal_ones_passes(
    finished: Finished, detector: Detector
) -> None:
    root, run, metrics = finished
    rows = read_scores(run.path)
    found = list(detector.stream([root / row["path"] for row in rows]))
    assert [p.path for p in found] == [str(root / row["path"]) for row in rows]
    np.testing.assert_allclose([p.score for p in found], [row["sse"] for row in rows], rtol=1e-5)
    zfn = metrics["scores"]["sse"]["zfn_threshold"]
    assert {p.threshold for p in found} == {zfn - abs(zfn) * 1e-5}
    assert [p.label == "abnormal" for p in found] == [row["sse"] >= zfn for row in rows]
    assert all(p.label == "abnormal" for p, row in zip(found, rows, strict=True) if row["label"])
    assert all(p.margin == p.score - p.threshold and p.reason == "" for p in found)
    assert all(p.zone == ("pass" if p.label == "normal" else "reject") for p in found)
    # The reference of the detector are the normal ones, in the order of scores.csv.
    normal = [p for p, row in zip(found, rows, strict=True) if row["label"] == 0]
    reference = detector.description["reference"]
    assert reference["brightness"] == [p.brightness for p in normal]
    assert reference["sharpness"] == [p.sharpness for p in normal]
    assert reference["scores"] == {"sse": [row["sse"] for row in rows if row["label"] == 0]}


def test_the_score_is_that_of_the_map_and_of_the_reconstruction(
    detector: Detector, image: Path
) -> None:
    found = detector(image)
    assert found.anomaly_map is not None and found.reconstruction is not None
    assert found.anomaly_map.dtype == np.float32 and found.anomaly_map.shape == (32, 32)
    assert found.anomaly_map.sum() == pytest.approx(found.score, rel=1e-5)
    assert found.reconstruction.dtype == np.uint8 and found.reconstruction.shape == (32, 32, 3)
    given = np.asarray(Image.open(image).convert("RGB"), float) / 127.5 - 1
    made = found.reconstruction / 127.5 - 1
    assert ((given - made) ** 2).sum() == pytest.approx(found.score, rel=0.05)  # of 256 levels


def test_an_image_may_be_given_in_any_way(
    finished: Finished, detector: Detector, image: Path
) -> None:
    root = finished[0]
    score = detector(image).score
    picture = Image.open(image)
    array = np.asarray(picture)
    for given in (str(image), picture, array, array[..., None], picture.convert("RGBA")):
        alone = detector(given)
        assert alone.score == pytest.approx(score, rel=1e-6)
        assert alone.path == (str(image) if isinstance(given, str) else None)
    several = detector([image, picture, array], progress=True)
    assert [p.score for p in several] == pytest.approx([score] * 3, rel=1e-6)
    folder = detector(root / "abnormal")
    assert [Path(p.path or "").name for p in folder] == [f"{i:02d}.png" for i in range(6)]
    assert len(detector(f"{root}/*/0[01].png")) == 6
    with pytest.raises(ValueError, match=r"shape \(32, 32\) and dtype float64: expected"):
        detector(array / 255.0)
    with pytest.raises(ValueError, match=r"shape \(32, 32, 2\)"):
        detector(np.zeros((32, 32, 2), np.uint8))


def test_what_cannot_be_decided_is_abnormal_and_says_why(
    detector: Detector, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, gone = tmp_path / "broken.png", tmp_path / "gone.png"
    broken.write_bytes(image.read_bytes()[:60])
    found = list(detector.stream([broken, image, gone]))
    assert [p.label for p in found] == ["abnormal"] * 3
    assert [math.isnan(p.score) for p in found] == [True, False, True]
    assert [bool(p.reason) for p in found] == [True, False, True]
    assert [p.zone for p in found] == ["review", "reject", "review"]
    assert [math.isnan(p.brightness) for p in found] == [True, False, True]
    assert found[0].anomaly_map is None
    with pytest.raises(ValueError, match="no overlay"):
        found[0].overlay()

    def unstable(images: torch.Tensor) -> torch.Tensor:
        dark = images.mean(dim=(1, 2, 3)) < -0.9
        return torch.where(dark[:, None, None, None], torch.nan, images)

    monkeypatch.setattr(detector.backend, "method", _Reconstructs(unstable))
    black = np.zeros((40, 40), np.uint8)
    both = list(detector.stream([image, black, image]))  # of one batch
    assert [p.label for p in both] == ["normal", "abnormal", "normal"]
    assert math.isnan(both[1].score) and "nan" in both[1].reason
    assert both[0].score == 0


class _Reconstructs:
    def __init__(self, function: Any) -> None:
        self.reconstruct = function


def test_maps_are_kept_only_where_asked_for(detector: Detector, image: Path) -> None:
    [bare] = detector.stream([image], maps=False)
    assert bare.anomaly_map is None and bare.reconstruction is None


def test_an_overlay_has_the_size_of_the_image_and_shows_the_defect(
    detector: Detector, tmp_path: Path
) -> None:
    Image.new("L", (80, 50), 90).save(tmp_path / "a.png")
    found = detector(tmp_path / "a.png")
    assert found.anomaly_map is not None
    low, high = found.map_scale
    found.anomaly_map[:] = low
    found.anomaly_map[:, 16:] = high
    drawn = np.asarray(found.overlay(opacity=0.5), int)
    assert drawn.shape == (50, 80, 3)
    assert (drawn[:, :35] == 90).all()  # as normal images: nothing is drawn
    assert (np.ptp(drawn[:, 45:], axis=2) > 50).all()


def test_which_threshold_decides(finished: Finished) -> None:
    run = finished[1]
    described = load_detector(run.path).description
    for name, entry in described["scores"]["sse"]["thresholds"].items():
        decision = load_detector(run.path, protocol=name).decision
        assert decision.threshold == entry["value"] - abs(entry["value"]) * 1e-5
        assert f"protocol={name}" in decision.describe()
    given = load_detector(run.path, threshold=3.5).decision
    assert given.threshold == 3.5 and "no bound" in given.describe()
    with refuses(setting="protocol", value="calibrated", remedy=("paper", "crossfit")):
        load_detector(run.path, protocol="calibrated")
    with refuses(setting="score", value="fid", remedy=("sse", "evaluate run=")):
        load_detector(run.path, score="fid")
    with refuses(facts=("threshold=1", "protocol=paper")):
        load_detector(run.path, threshold=1.0, protocol="paper")
    with refuses(setting="detector", facts="nowhere", remedy="run directory"):
        load_detector("nowhere")


def test_rounding_lowers_a_threshold_and_raises_a_quantile() -> None:
    thresholds = {
        "paper": {"value": -10.0, "set_on": "test images"},
        "quantile": {
            "value": -10.0,
            "set_on": "normal images",
            "confidence": 0.9,
            "false_alarm_rate_bound": 0.25,
        },
    }
    computed_by = {"name": "fid", "precision": "bf16"}
    scores = {"s": {"computed_by": computed_by, "thresholds": thresholds}}
    described = {"score": "s", "protocol": "paper", "scores": scores}
    assert choose_decision(described).threshold == -10.1
    quantile = choose_decision(described, protocol="quantile")
    assert quantile.threshold == -9.9
    assert "25 % of normal images" in quantile.describe()
    # Of scores of any sign, a value near 0 is a difference of larger ones.
    thresholds["paper"]["value"] = 0.0
    assert choose_decision(described).threshold == 0.0
    computed_by["name"] = "fused"
    assert choose_decision(described).threshold == -0.01


def test_weights_of_another_extractor_are_refused(
    finished: Finished, tmp_path: Path, torch_home: Path
) -> None:
    """A threshold holds for the features that it was set with."""
    root = draw_folder(tmp_path / "data")
    run_training(settings(root, tmp_path / "runs", "score=fid", "trainer.max_epochs=1"))
    [run] = (tmp_path / "runs").glob("*/*/seed0")
    assert list(load_detector(run).stream([root / "normal" / "00.png"]))
    path = run / "detector" / "detector.json"
    described = json.loads(path.read_text())
    [(name, sha256)] = described["extractors"].items()
    path.write_text(path.read_text().replace(sha256, "0" * 64))
    with refuses(facts=(name, sha256[:12], "0" * 12), remedy="score the run again"):
        load_detector(run)


@pytest.mark.parametrize("method", ["ganomaly", "padim", "patchcore", "linear_probe"])
def test_every_method_has_a_detector(tmp_path: Path, method: str) -> None:
    root = draw_folder(tmp_path / "data")
    more = ["trainer.max_epochs=1"] if method == "ganomaly" else []
    run_training(settings(root, tmp_path / "runs", *more, method=method))
    [run] = (tmp_path / "runs").glob("*/*/seed0")
    moved = copytree(run / "detector", tmp_path / "alone")  # all that is needed
    rows = read_scores(run)
    for column in list(rows[0])[2:]:
        found = list(load_detector(moved, score=column).stream([root / r["path"] for r in rows]))
        expected = [row[column] for row in rows]
        np.testing.assert_allclose([p.score for p in found], expected, rtol=1e-5)
        assert [p.label == "abnormal" for p in found] == [
            score >= p.threshold for score, p in zip(expected, found, strict=True)
        ]


def test_it_loads_neither_lightning_nor_hydra_nor_wandb(finished: Finished) -> None:
    root, run, _ = finished
    code = (
        "import sys\nfrom cyclegan_ad import load_detector\n"
        "assert 'torch' not in sys.modules\n"
        f"found = load_detector({str(run.path)!r})({str(root / 'normal')!r})\n"
        "assert len(found) == 9\n"
        "print(*{'pytorch_lightning', 'lightning', 'hydra', 'omegaconf', 'wandb', 'matplotlib',"
        " 'anomalib'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_an_extractor_that_is_missing_is_named(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = copytree(finished[1].detector, tmp_path / "detector")
    path = moved / "detector.json"
    described = json.loads(path.read_text())
    fid = {"name": "fid", "extractor": "efficientnet_lite0"}
    described["scores"]["sse"]["computed_by"] |= fid
    path.write_text(json.dumps(described | {"extractors": {"efficientnet_lite0": "0" * 64}}))
    monkeypatch.setattr("cyclegan_ad.optional_packages.find_spec", lambda name: None)
    with refuses(facts="efficientnet", remedy="pip install"):
        load_detector(moved)


def test_each_precision_has_a_variance_of_its_own(tmp_path: Path) -> None:
    """Errors differ with the precision, and so does what they are divided by."""
    root = draw_folder(tmp_path / "data")
    words = ("trainer.max_epochs=1", "score=standardised")
    for precision in ("bf16", "float32"):
        run_training(settings(root, tmp_path / "runs", *words, f"score.precision={precision}"))
    [run] = (tmp_path / "runs").glob("*/*/seed0")
    rows = read_scores(run)
    for column in ("standardised_bf16", "standardised"):
        found = load_detector(run, score=column, device="cpu").stream(
            [root / row["path"] for row in rows]
        )
        expected = [row[column] for row in rows]
        np.testing.assert_allclose([p.score for p in found], expected, rtol=1e-5)
