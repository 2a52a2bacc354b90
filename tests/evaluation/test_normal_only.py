"""Whole jobs without abnormal images: the files of a run, its table, log, report and evaluation."""

import csv
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from errors import refuses
from reporting.fake_runs import change_metrics, make_run
from states import COMPLETE, RECOMPUTED
from tiny import compose_settings, draw_folder, settings

from cyclegan_ad import load_detector
from cyclegan_ad.evaluate import evaluate
from cyclegan_ad.evaluation.stored_results import read_stored
from cyclegan_ad.metrics.quantile import quantile
from cyclegan_ad.reporting.build import write_report
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.examples import read_examples
from cyclegan_ad.runs.results import read_scores, read_split
from cyclegan_ad.settings.commands import EvaluateSettings
from cyclegan_ad.settings.types import read_settings
from cyclegan_ad.tracking.loggers import flatten_metrics
from cyclegan_ad.train import run_training as train

pytest.importorskip("anomalib", reason="extra 'baselines'")

WORDS = ("protocol=quantile", "protocol.false_alarm_rate=0.25", "logger=csv")
DASHES = ["-", "-", "-", "-"]
UNDEFINED = {
    "zfn_threshold": None,
    "zfn_accuracy": None,
    "max_accuracy": None,
    "max_accuracy_threshold": None,
    "auroc": None,
    "pg0": None,
    "pg2": None,
    "pg5": None,
}


def draw_normal(root: Path, count: int = 20) -> Path:
    draw_folder(root, normal=count, abnormal=1)
    shutil.rmtree(root / "abnormal")
    shutil.rmtree(root / "masks")
    return root


@pytest.fixture(scope="module", params=["padim", "patchcore", "ganomaly"])
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunDirectory, Any]:
    """A finished run of each method, and what its command returned. Do not change it."""
    folder = tmp_path_factory.mktemp(request.param)
    root, words = draw_normal(folder / "data"), [*WORDS]
    if request.param == "ganomaly":
        words += ["trainer.max_epochs=1", "trainer.snapshot_every_n_epochs=1"]
    chosen = settings(root, folder / "runs", *words, method=request.param)
    return RunDirectory.of(chosen), train(chosen)


@pytest.fixture
def run(trained: tuple[RunDirectory, Any], tmp_path: Path) -> RunDirectory:
    """A copy of the run that may be changed; its images are where they were."""
    runs = shutil.copytree(trained[0].path.parents[2], tmp_path / "runs")
    return RunDirectory(runs / trained[0].path.relative_to(trained[0].path.parents[2]))


def test_the_threshold_follows_from_the_images_kept_out(
    trained: tuple[RunDirectory, Any],
) -> None:
    run, metrics = trained
    assert json.loads(run.metrics.read_text()) == metrics
    assert run.path.parts[-3].endswith("-32-quantile")
    assert (metrics["test_normal"], metrics["test_abnormal"]) == (6, 0)  # 30 % of 20
    assert (metrics["protocol"], metrics["localisation"]) == ("quantile", None)
    assert metrics["thresholds_set_on"] == "normal images kept out of training"
    rows = read_scores(run.path)
    kept = [row.path for row in read_split(run.path) if row.subset == "test"]
    assert sorted(row["path"] for row in rows) == sorted(kept)
    assert list(metrics["protocols"]) == ["quantile"]
    for column, decided in metrics["protocols"]["quantile"].items():
        assert metrics["scores"][column] == UNDEFINED
        scores = [row[column] for row in rows]
        # 6 images at 25 %: k = 1, as 1 / 7 = 14 % and 2 / 7 = 29 %.
        assert decided["thresholds"] == [math.nextafter(max(scores), math.inf)]
        assert decided == quantile(scores, kept, false_alarm_rate=0.25, confidence=0.95)
        detector = load_detector(run.path, score=column, device="cpu")
        assert detector.decision.name == "quantile"
        assert detector.decision.threshold == pytest.approx(decided["thresholds"][0], rel=2e-5)
        found = detector(run.read_config().dataset.root / "normal")
        assert sum(p.label == "abnormal" for p in found if p.score <= max(scores)) == 0
    assert not run.calibration.exists()
    assert not any("NaN" in file.read_text() for file in (run.metrics, run.scores))


def test_pictures_show_normal_images_only(trained: tuple[RunDirectory, Any]) -> None:
    run, metrics = trained
    for column in metrics["scores"]:
        assert (run.figures / f"scores_{column}.png").is_file()
    assert (run.figures / "reconstruction.png").is_file()
    found = read_examples(run.path, metrics)
    assert set(found.labels.tolist()) == {0} and found.critical.any()


def test_the_log_has_no_accuracy(trained: tuple[RunDirectory, Any]) -> None:
    found = flatten_metrics(trained[1])
    column = next(iter(trained[1]["scores"]))
    assert not [name for name in found if name.endswith(("accuracy", "auroc"))]
    assert found[f"{column}/quantile/false_alarm_rate_bound"] == pytest.approx(1 - 0.05 ** (1 / 6))


def test_a_repeated_command_uses_what_is_there(
    trained: tuple[RunDirectory, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run, metrics = trained
    chosen = run.read_config()
    assert train(chosen) == metrics
    text = capsys.readouterr().out
    assert COMPLETE in text
    row = next(line for line in text.splitlines() if " - " in line)
    assert row.split()[1:5] == DASHES
    assert ["quantile"] in [line.split() for line in text.splitlines()]
    assert "no test" in text and "nan" not in text.lower()


def test_another_rate_only_decides_again(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    before = run.scores.read_bytes()
    chosen = run.read_config().replaced(
        {"protocol.false_alarm_rate": 0.3, "runs": str(run.path.parents[2])}
    )
    metrics = train(chosen)
    assert RECOMPUTED in capsys.readouterr().out
    [decided, *_] = metrics["protocols"]["quantile"].values()
    assert (decided["rank"], decided["false_alarm_rate_target"]) == (2, 0.3)  # 2 / 7 = 29 %
    assert run.scores.read_bytes() == before


def ask(run: RunDirectory, *words: str) -> dict[str, Any]:
    raw = compose_settings("evaluate", [f"run={run.path}", "accelerator=cpu", *words])
    return evaluate(read_settings(EvaluateSettings, raw))


def test_it_is_evaluated_again(run: RunDirectory) -> None:
    before = json.loads(run.metrics.read_text())
    metrics = ask(run)
    for name in ("scores", "protocols", "protocol_settings"):
        assert metrics[name] == before[name]
    metrics = ask(run, "protocol=quantile", "protocol.false_alarm_rate=0.3")
    [decided, *_] = metrics["protocols"]["quantile"].values()
    assert decided["rank"] == 2


@pytest.mark.parametrize("protocol", ["paper", "crossfit", "calibrated"])
def test_protocols_with_a_test_are_refused(run: RunDirectory, protocol: str) -> None:
    with refuses(setting="protocol", value=protocol, file=run.path, facts="no abnormal images"):
        ask(run, f"protocol={protocol}")


def test_a_rate_that_needs_more_images_is_refused(run: RunDirectory) -> None:
    with refuses(
        setting="protocol.false_alarm_rate",
        value="0.05",
        facts=["dataset", "19 different normal images", "6"],
        remedy=["add images", "protocol.calibration_fraction"],
    ):
        ask(run, "protocol.false_alarm_rate=0.05")


def test_too_few_images_are_refused_before_the_training(tmp_path: Path) -> None:
    root = draw_normal(tmp_path / "data", 10)
    chosen = settings(root, tmp_path / "runs", "protocol=quantile", method="padim")
    with refuses(setting="protocol.false_alarm_rate", value="0.05", facts="dataset folder"):
        train(chosen)
    assert not (tmp_path / "runs").exists()


def test_what_does_not_follow_is_not_believed(run: RunDirectory) -> None:
    assert read_stored(run, run.read_config()).unsupported == {}
    metrics = json.loads(run.metrics.read_text())
    column = next(iter(metrics["scores"]))
    metrics["protocols"]["quantile"][column]["false_alarm_rate_bound"] = 0.01
    run.metrics.write_text(json.dumps(metrics))
    stored = read_stored(run, run.read_config())
    assert list(stored.unsupported) == [f"quantile, score {column}"]
    metrics["scores"][column] = UNDEFINED | {"auroc": 1.0}
    run.metrics.write_text(json.dumps(metrics))
    with refuses(file="metrics.json", facts=[column, "auroc"]):
        read_stored(run, run.read_config())


def test_a_run_with_a_test_has_no_quantile(tmp_path: Path) -> None:
    path = make_run(tmp_path, columns=["sse"], examples=False)
    (path / "checkpoints").mkdir()
    (path / "checkpoints" / "last.ckpt").touch()
    with refuses(setting="protocol", value="quantile", file=path, remedy="protocol=crossfit"):
        ask(RunDirectory(path), "protocol=quantile")
    run = RunDirectory(path)
    chosen = json.loads(run.metrics.read_text())["protocol_settings"]
    change_metrics(path, protocol_settings=chosen | {"false_alarm_rate": 0.05})
    with refuses(facts="protocol_settings"):
        read_stored(run, run.read_config())


def test_the_report_lists_it_apart(
    run: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, out = run.path.parents[2], tmp_path / "report"
    study = write_report(runs, out, None)
    assert (study.entries, study.runs) == ({}, [])
    text = " ".join(capsys.readouterr().out.split())
    assert "No run has abnormal test images" in text and "just above" in text
    alone = (out / "normal_only.md").read_text()
    make_run(runs, columns=["sse"], examples=False)
    study = write_report(runs, out, None)
    assert {entry.dataset for entry in study.entries.values()} == {"screw"}
    assert (out / "normal_only.md").read_text() == alone
    page = (out / "index.html").read_text("utf-8")
    assert 'id="normal-only"' in page
    with (out / "normal_only.csv").open() as file:
        rows = list(csv.DictReader(file))
    metrics = json.loads(run.metrics.read_text())
    for row in rows:
        decided = metrics["protocols"]["quantile"][row["score"]]
        assert [float(row["threshold"])] == decided["thresholds"]
        assert float(row["false_alarm_rate_bound"]) == decided["false_alarm_rate_bound"]
    assert [row["score"] for row in rows] == list(metrics["scores"])
    with (out / "table2.csv").open() as file:
        assert {row["dataset"] for row in csv.DictReader(file)} == {"screw"}
    # A dash for what is not there, and no figure made of it.
    for written in out.glob("*.*"):
        assert "nan" not in written.read_text("utf-8").lower().split(), written
