"""Whole jobs of protocol=crossval by a method that trains on normal images only."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from errors import refuses
from tiny import draw_folder, settings

from cyclegan_ad import load_detector
from cyclegan_ad.evaluation.combine import find_unsupported
from cyclegan_ad.evaluation.complete import is_complete
from cyclegan_ad.reporting.build import write_report
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import read_split
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.tracking.loggers import flatten_metrics
from cyclegan_ad.train import run_training as train

pytest.importorskip("anomalib", reason="extra 'baselines'")


def job_of(root: Path, *words: str) -> Settings:
    return settings(root / "images", root / "runs", *words, method="padim")


@pytest.fixture
def trained(tmp_path: Path, capsys: Any) -> tuple[Settings, RunDirectory, dict[str, Any]]:
    draw_folder(tmp_path / "images", normal=12, abnormal=14)
    job = job_of(tmp_path, "protocol=crossval")
    return job, RunDirectory.of(job), train(job)


def test_a_job_from_its_files_to_its_report(trained: Any, tmp_path: Path, capsys: Any) -> None:
    job, run, metrics = trained
    rows = list(csv.DictReader(run.crossval.open()))
    of_training = {r.path for r in read_split(run.path) if r.subset == "train" and r.label == 1}
    assert [*rows[0]] == ["fold", "path", "label", "embedding"]
    assert {row["path"] for row in rows} == of_training and {row["fold"] for row in rows} == {"0"}
    found = metrics["protocols"]["crossval"]["embedding"]
    assert found["thresholds"] == [min(float(row["embedding"]) for row in rows)]
    tested = list(csv.DictReader(run.scores.open()))
    missed = [float(r["embedding"]) < found["thresholds"][0] for r in tested if r["label"] == "1"]
    assert found["misses"] == sum(missed)
    assert found["calibration_abnormal"] == 8 and found["miss_rate_guaranteed"] == 1 / 9
    printed = " ".join(capsys.readouterr().out.split())
    assert "8 abnormal training images (n), none of which the model saw" in printed
    assert flatten_metrics(metrics)["embedding/crossval/miss_rate_guaranteed"] == 1 / 9
    assert find_unsupported(run) == []

    # Another protocol of the same run, and back, without scoring again.
    before = run.crossval.read_bytes()
    assert is_complete(run, job_of(tmp_path)) and is_complete(run, job)
    assert train(job_of(tmp_path))["protocols"].keys() == {"crossfit", "crossval"}
    assert train(job) == metrics and run.crossval.read_bytes() == before

    decision = load_detector(run.path).decision
    assert decision.threshold == pytest.approx(found["thresholds"][0], rel=2e-5)
    assert decision.facts["miss_rate_bound"] == found["miss_rate_bound"]
    assert "by a model that did not see them" in decision.describe()

    write_report(tmp_path / "runs", tmp_path / "report", None)
    of_report = list(csv.DictReader((tmp_path / "report" / "protocols.csv").open()))
    [row] = [row for row in of_report if row["protocol"] == "crossval"]
    assert (row["folds"], float(row["miss_rate_guaranteed"])) == ("1", 1 / 9)
    assert "crossval: from all abnormal" in (tmp_path / "report" / "index.html").read_text()


def test_a_run_without_these_scores_is_scored_again(tmp_path: Path) -> None:
    draw_folder(tmp_path / "images", normal=12, abnormal=14)
    paper, job = job_of(tmp_path), job_of(tmp_path, "protocol=crossval")
    metrics, run = train(paper), RunDirectory.of(job)
    assert not run.crossval.exists() and "crossval" not in metrics["protocols"]
    assert is_complete(run, paper) and not is_complete(run, job)
    assert train(job)["protocols"].keys() == {"crossfit", "crossval"}


def test_files_that_do_not_support_the_decisions(trained: Any) -> None:
    _, run, _ = trained
    text = run.crossval.read_text()
    value = text.splitlines()[1].rpartition(",")[2]
    run.crossval.write_text(text.replace(value, f"{float(value) + 1e-3}"))
    line = " ".join(find_unsupported(run))  # and that of the detector, which follows from it
    assert "crossval, score embedding" in line and "changed in crossval.csv" in line
    run.crossval.unlink()
    line = " ".join(find_unsupported(run))  # and that of the detector, which follows from it
    assert "crossval.csv is missing" in line
    run.crossval.write_text(text)
    metrics = json.loads(run.metrics.read_text())
    metrics["protocols"]["crossval"]["embedding"]["miss_rate_guaranteed"] = 0.01
    run.metrics.write_text(json.dumps(metrics))
    line = " ".join(find_unsupported(run))  # and that of the detector, which follows from it
    assert "miss_rate_guaranteed is 0.01" in line


def test_a_method_that_cannot_be_fitted_again(tmp_path: Path) -> None:
    with refuses(setting="protocol", value="crossval", facts="cyclegan", remedy="calibrated"):
        settings(tmp_path, tmp_path, "protocol=crossval")


@pytest.mark.parametrize("folds", ["1", "0", "all", "null"])
def test_values_of_the_folds(tmp_path: Path, folds: str) -> None:
    with refuses(setting="protocol.crossval_folds", value=folds, remedy="leave_one_out"):
        job_of(tmp_path, "protocol=crossval", f"protocol.crossval_folds={folds}")
