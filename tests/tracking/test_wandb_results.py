"""ROC curves, detectors and means over seeds in W&B, offline."""

import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wandb
from sklearn.metrics import auc, roc_auc_score

from cyclegan_ad.tracking.wandb_results import log_detector, means_over_seeds, roc_charts
from cyclegan_ad.tracking.wandb_run import start_wandb_run

METRICS: dict[str, Any] = {
    **{"run": "cyclegan-64", "method": "cyclegan", "dataset": "my set", "resolution": 64},
    **{"seed": 3, "scores": {"sse": {}}},
    "fingerprints": {"detector": {"description": "d" * 64, "weights": "abcdef0123456789" * 4}},
}


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("WANDB_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    wandb.teardown()  # a session keeps the environment it started in


def start(folder: Path) -> Any:
    return start_wandb_run(
        folder,
        mode="offline",
        reason="a test",
        project="p",
        entity=None,
        group="g",
        name="n",
        tags=[],
        config={},
    )


def written(folder: Path) -> bytes:
    """What an offline run holds of all its parts."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("wandb/*/*.wandb")))


def rows(labels: list[int], scores: list[float]) -> list[dict[str, Any]]:
    pairs = zip(labels, scores, strict=True)
    return [{"path": str(i), "label": y, "sse": s} for i, (y, s) in enumerate(pairs)]


def table_of(chart: Any) -> np.ndarray:
    return np.array([[np.inf if x is None else x for x in row] for row in chart.table.data])


def test_a_roc_curve_starts_with_no_alarm_and_ends_with_all() -> None:
    [(key, chart)] = roc_charts(METRICS, rows([0, 0, 1, 1], [1.0, 2.0, 2.0, 3.0])).items()
    assert key == "roc/sse"
    assert chart.table.columns == ["false alarm rate", "detection rate", "threshold"]
    assert table_of(chart).tolist() == [[0, 0, np.inf], [0, 0.5, 3], [0.5, 1, 2], [1, 1, 1]]


def test_a_long_curve_is_thinned_and_keeps_its_area() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 3000)
    scores = random.normal(labels, 1.0)
    [chart] = roc_charts(METRICS, rows(labels.tolist(), scores.tolist())).values()
    alarms, detections, _ = table_of(chart).T
    assert len(alarms) == 200 and (alarms[-1], detections[-1]) == (1, 1)
    assert auc(alarms, detections) == pytest.approx(roc_auc_score(labels, scores), abs=0.005)


def test_without_abnormal_images_there_is_no_curve() -> None:
    assert roc_charts(METRICS, rows([0, 0], [1.0, 2.0])) == {}


def test_a_detector_is_an_artifact_with_its_fingerprint(tmp_path: Path) -> None:
    folder = tmp_path / "detector"
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(b"weights of the network")
    (folder / "detector.json").write_text("{}")
    run = start(tmp_path / "run")
    log_detector(run, folder, METRICS)
    run.finish()
    weights = METRICS["fingerprints"]["detector"]["weights"]
    texts = ("detector-cyclegan-64-my-set-seed3", "latest", "weights-abcdef012345", weights)
    wanted = {text.encode() for text in (*texts, "weights.safetensors", "detector.json")}
    deadline = time.monotonic() + 60
    while missing := {text for text in wanted if text not in written(tmp_path / "run")}:
        assert time.monotonic() < deadline, missing  # W&B's own process writes the end
        time.sleep(0.1)
    staged = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert b"weights of the network" in [path.read_bytes() for path in staged]


def test_means_are_of_what_all_seeds_have() -> None:
    runs = [{"sse/auroc": 0.5, "sse/pg0": 0.25}, {"sse/auroc": 0.75}, {"sse/auroc": 1.0}]
    assert means_over_seeds(runs) == {
        "mean/sse/auroc": 0.75,
        "std/sse/auroc": statistics.stdev([0.5, 0.75, 1.0]),
    }
    assert json.dumps(means_over_seeds(runs))
