"""AUROC on training images during training: of which images, how often, and at no one's cost."""

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.metrics import roc_auc_score
from tiny import draw_folder, resolved, settings

from cyclegan_ad.build import build_data, load_method
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.tracking.wandb_workspace import TRAIN_AUROC
from cyclegan_ad.training.train_auroc import IMAGES, TrainingAuroc
from cyclegan_ad.training.train_run import open_loggers, train_run

PARTS = ("state_dict", "optimizer_states", "pools", "lr_schedulers", "epoch", "loops")


def train(job: Settings) -> tuple[RunDirectory, torch.Tensor]:
    """Train without scoring; the run, and the state of the generator of random numbers after it."""
    run, data = RunDirectory.of(job), build_data(job)
    data.setup()
    with open_loggers(job, run) as loggers:
        train_run(job, data, loggers)
    return run, torch.get_rng_state()


def logged(run: RunDirectory) -> dict[int, float]:
    """Epoch, from 1 -> value."""
    found = []
    for file in run.path.glob("logs/version_0/metrics.csv"):
        with file.open(newline="") as rows:
            found += [row for row in csv.DictReader(rows) if row.get(TRAIN_AUROC)]
    return {int(row["epoch"]) + 1: float(row[TRAIN_AUROC]) for row in found}


def assert_same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    else:
        assert a == b


@pytest.mark.parametrize("method", ["cyclegan", "ganomaly"])
def test_the_training_is_the_same_bit_for_bit_with_and_without(tmp_path: Path, method: str) -> None:
    if method == "ganomaly":
        pytest.importorskip("anomalib", reason="extra 'baselines'")
    root, ends = draw_folder(tmp_path / "data"), []
    for every in (0, 2):
        words = (f"trainer.auroc_every_n_epochs={every}", "logger=csv", "trainer.max_epochs=3")
        job = resolved(root, tmp_path / f"runs{every}", *words, method=method)
        run, random = train(job)
        ends.append((torch.load(run.checkpoint, weights_only=True), random))
        assert sorted(logged(run)) == ([] if every == 0 else [2, 3])
    (without, random), (with_it, same) = ends
    assert torch.equal(random, same)
    for part in PARTS:
        if part in without:
            assert_same(without[part], with_it[part])


def test_the_value_is_that_of_fixed_training_images(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "data", normal=IMAGES + 10, abnormal=8)
    words = ("trainer.auroc_every_n_epochs=1", "logger=csv", "trainer.max_epochs=1")
    job = resolved(root, tmp_path / "runs", *words)
    run, _ = train(job)
    data = build_data(job)
    data.setup()
    callback = TrainingAuroc.of(data, 1)
    assert callback is not None
    assert (callback.labels.count(0), callback.labels.count(1)) == (IMAGES, 4)
    trained = data.images_at(data.split.train)
    for image in callback.images:
        assert any(torch.equal(image, other) for other in trained)
    method: Any = load_method("cyclegan", run.checkpoint, torch.device("cpu"))
    with torch.no_grad():
        differences = method.reconstruct(callback.images) - callback.images
    expected = roc_auc_score(callback.labels, differences.square().sum(dim=(1, 2, 3)))
    assert logged(run) == {1: pytest.approx(expected)}


def test_a_class_without_training_images_has_no_auroc(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "data", normal=40, abnormal=1)
    for name in ("abnormal", "masks"):
        shutil.rmtree(root / name)
    words = ("protocol=quantile", "protocol.calibration_fraction=0.5")
    data = build_data(settings(root, tmp_path / "runs", *words, method="ganomaly"))
    data.setup()
    assert TrainingAuroc.of(data, 1) is None
