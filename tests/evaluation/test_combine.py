"""Scores beside earlier ones on disk, and what is decided from them."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from errors import refuses
from scored import make_columns
from tiny import changed, draw_folder
from tiny import settings as tiny_settings

import cyclegan_ad
from cyclegan_ad.build import build_data
from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.detector.description import describe_scores
from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.apply_protocols import (
    apply_protocols,
    check_protocol,
    protocol_settings,
)
from cyclegan_ad.evaluation.combine import all_scored, combine, find_unsupported
from cyclegan_ad.evaluation.evaluate_run import decide_again
from cyclegan_ad.evaluation.score_images import Scored
from cyclegan_ad.evaluation.test_set import Evaluation
from cyclegan_ad.files import write_json
from cyclegan_ad.metrics.thresholds import summarise
from cyclegan_ad.runs.begin import write_start
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import (
    read_metrics,
    read_results,
    read_scores,
    read_split,
    write_metrics,
    write_scores,
)
from cyclegan_ad.settings.train import Score, Settings
from cyclegan_ad.settings.types import read_settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return draw_folder(tmp_path / "images")


@pytest.fixture
def settings(root: Path, tmp_path: Path) -> Settings:
    return tiny_settings(root, tmp_path / "runs")


def read(settings: Settings) -> AnomalyDataModule:
    data = build_data(settings)
    data.setup()
    return data


@pytest.fixture
def data(settings: Settings) -> AnomalyDataModule:
    """3 abnormal and 3 normal test images, the abnormal ones first."""
    return read(settings)


def begin(settings: Settings, data: AnomalyDataModule) -> RunDirectory:
    begun = RunDirectory.of(settings)
    write_start(begun, settings, data)
    return begun


@pytest.fixture
def run(settings: Settings, data: AnomalyDataModule) -> RunDirectory:
    """A run that was begun."""
    return begin(settings, data)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def score_of(names: list[str]) -> Score:
    """The settings ``score.*`` that ask for these scores; ``fid`` stands for its column."""
    options = {"extractor": "inception", "peak_sigma_px": 2, "tta": "none", "precision": "float32"}
    return read_settings(Score, {"names": names, "batch_size": 4, **options})


def scored(data: AnomalyDataModule, chosen: tuple[int, ...], columns: dict[str, float]) -> Scored:
    """The position of each image, times a factor of each column's own."""
    return Scored(
        indices=np.array(chosen),
        labels=np.array([data.samples[i].label for i in chosen]),
        scores={name: factor * np.arange(len(chosen)) / 3 for name, factor in columns.items()},
    )


def evaluation(data: AnomalyDataModule, **columns: float) -> Evaluation:
    test = scored(data, data.split.test, columns)
    kept = data.split.calibration
    return Evaluation(
        columns=make_columns([name.partition("_")[0] for name in columns]),
        test=test,
        calibration=scored(data, kept, columns) if kept else None,
        summary={name: summarise(values, test.labels) for name, values in test.scores.items()},
        localisation={"pixel_auroc": 0.75, "aupro": 0.5, "masked_images": 3},
    )


def write_results(
    run: RunDirectory, settings: Settings, data: AnomalyDataModule, found: Evaluation
) -> dict[str, Any]:
    """All files, as the evaluation of a run writes them."""
    results = combine(run, settings, data, found)
    write_scores(run.path, results.rows)
    if results.kept:
        write_scores(run.path, results.kept, "calibration.csv")
    write_metrics(run.path, results.metrics)
    return results.metrics


def decide(run: RunDirectory, settings: Settings) -> dict[str, Any]:
    """Decisions from the scores on disk."""
    kept = read_scores(run.path, "calibration.csv") if run.calibration.is_file() else ()
    return apply_protocols(
        read_scores(run.path),
        kept,
        read_split(run.path),
        settings.protocol,
        seed=settings.seed,
        where=str(run.path),
    )


def asking(settings: Settings, **protocol: Any) -> Settings:
    return settings.replaced({f"protocol.{name}": value for name, value in protocol.items()})


def give_scores(
    run: RunDirectory, settings: Settings, data: AnomalyDataModule, *sse: float
) -> None:
    """Write these scores of the test images, in their order."""
    found = evaluation(data, sse=1.0)
    found.test.scores["sse"] = np.array(sse)
    write_results(run, settings, data, found)


def test_results_of_a_first_evaluation(
    run: RunDirectory, settings: Settings, data: AnomalyDataModule
) -> None:
    write_json(run.training, {"epochs": 3, "steps": 9, "seconds": 12.345, "finished": True})
    assert not all_scored(run, score_of(["sse"]))
    metrics = write_results(run, settings, data, evaluation(data, sse=1.0))
    assert metrics == json.loads(run.metrics.read_text()) == read_metrics(run.path)
    found = evaluation(data, sse=1.0)
    assert metrics.pop("evaluated_with")["cyclegan_ad"] == cyclegan_ad.__version__
    [crossfit] = metrics.pop("protocols").values()
    assert crossfit.keys() == {"sse"}
    of_files = {"config.yaml", "split.csv", "metrics.json", "scores.csv"}
    assert metrics.pop("fingerprints").keys() == of_files
    assert metrics == {
        "format": 5,
        "method": "cyclegan",
        "dataset": "folder",
        "resolution": 32,
        "seed": 0,
        "run": "cyclegan-32",
        "epochs": 3,
        "training_seconds": 12.3,
        "test_normal": 3,
        "test_abnormal": 3,
        "independent": {"normal": 3, "abnormal": 3},
        "protocol": "paper",
        "thresholds_set_on": "the test images (optimistic)",
        "protocol_settings": {"folds": 5, "margin": 0, "confidence": 0.95},
        "columns": {"sse": make_columns(["sse"])[0].as_dict()},
        "scores": {"sse": found.summary["sse"]},
        "localisation": {"pixel_auroc": 0.75, "aupro": 0.5, "masked_images": 3},
        "localisation_by": {"tta": "none", "precision": "float32"},
    }
    rows = read_scores(run.path)
    assert [row["path"] for row in rows] == [data.samples[i].path for i in data.split.test]
    assert [row["label"] for row in rows] == [data.samples[i].label for i in data.split.test]
    assert [row["sse"] for row in rows] == found.test.scores["sse"].tolist()  # every digit
    assert not run.calibration.exists()
    assert all_scored(run, score_of(["sse"]))
    assert not all_scored(run, score_of(["sse", "fid"]))


def test_earlier_scores_stay_and_repeated_ones_are_replaced(
    run: RunDirectory, settings: Settings, data: AnomalyDataModule
) -> None:
    write_results(run, settings, data, evaluation(data, sse=1.0))
    metrics = write_results(run, settings, data, evaluation(data, fid=-2.0))
    assert list(metrics["scores"]) == list(metrics["protocols"]["crossfit"]) == ["sse", "fid"]
    assert metrics["scores"]["sse"] == evaluation(data, sse=1.0).summary["sse"]
    assert metrics["scores"]["fid"] == evaluation(data, fid=-2.0).summary["fid"]
    with run.scores.open(newline="") as file:
        assert next(csv.reader(file)) == ["path", "label", "sse", "fid"]
    rows = read_scores(run.path)
    first = evaluation(data, sse=1.0, fid=-2.0).test.scores
    assert [row["sse"] for row in rows] == first["sse"].tolist()
    assert [row["fid"] for row in rows] == first["fid"].tolist()
    assert all_scored(run, score_of(["fid", "sse"]))

    metrics = write_results(run, settings, data, evaluation(data, sse=-5.0))
    assert metrics["scores"]["sse"] == evaluation(data, sse=-5.0).summary["sse"]
    assert metrics["scores"]["fid"] == evaluation(data, fid=-2.0).summary["fid"]
    rows = read_scores(run.path)
    assert [row["sse"] for row in rows] == evaluation(data, sse=-5.0).test.scores["sse"].tolist()
    assert [row["fid"] for row in rows] == first["fid"].tolist()


def test_results_of_an_unfinished_pair_count_as_none(
    run: RunDirectory, settings: Settings, data: AnomalyDataModule
) -> None:
    write_results(run, settings, data, evaluation(data, sse=1.0))
    run.metrics.unlink()  # killed between the two files
    assert not all_scored(run, score_of(["sse"]))
    metrics = write_results(run, settings, data, evaluation(data, fid=1.0))
    assert list(metrics["scores"]) == list(metrics["protocols"]["crossfit"]) == ["fid"]
    run.scores.unlink()
    assert not all_scored(run, score_of(["fid"]))
    assert list(write_results(run, settings, data, evaluation(data, sse=2.0))["scores"]) == ["sse"]


def test_results_of_an_earlier_version_count_as_none(
    run: RunDirectory, settings: Settings, data: AnomalyDataModule
) -> None:
    metrics = write_results(run, settings, data, evaluation(data, sse=1.0))
    write_json(run.metrics, metrics | {"format": 1})
    assert not all_scored(run, score_of(["sse"]))
    assert list(write_results(run, settings, data, evaluation(data, fid=1.0))["scores"]) == ["fid"]


def test_no_ground_truth_is_null(
    run: RunDirectory, settings: Settings, data: AnomalyDataModule
) -> None:
    found = evaluation(data, sse=1.0)
    without = replace(found, localisation=None)
    assert write_results(run, settings, data, without)["localisation"] is None
    assert "localisation: null" in yaml.safe_dump(read_metrics(run.path))


def test_crossfit_by_hand(run: RunDirectory, settings: Settings, data: AnomalyDataModule) -> None:
    # Three folds of an abnormal and a normal image, however they are drawn. The folds without 2
    # are judged at 2; the one with 2 at 4: it is missed. Of 1, 3 and 5, at least 5 is an alarm.
    give_scores(run, settings, data, 4.0, 2.0, 6.0, 1.0, 5.0, 3.0)
    decided = decide(run, asking(settings, name="crossfit"))
    assert (decided["protocol"], list(decided["protocols"])) == ("crossfit", ["crossfit"])
    sse = decided["protocols"]["crossfit"]["sse"]
    assert sorted(sse["thresholds"]) == [2.0, 2.0, 4.0]
    assert (sse["misses"], sse["abnormal"], sse["normal"]) == (1, 3, 3)
    assert sse["miss_rate"] == 1 / 3
    assert sse["false_alarms"] in (1, 2)  # 3 is one, unless it is judged at 4
    assert sse["calibration_abnormal"] == 2
    assert sse["miss_rate_bound"] == pytest.approx(1 - 0.05**0.5, rel=1e-12)
    assert sse["confidence"] == 0.95 and sse["margin"] == 0
    # Asked for or not, it is there; the settings of the protocol are what decides.
    assert decide(run, settings)["protocols"] == decided["protocols"]
    halved = decide(run, asking(settings, name="crossfit", margin=0.5, confidence=0.9, folds=2))
    sse = halved["protocols"]["crossfit"]["sse"]
    assert len(sse["thresholds"]) == 2 and min(sse["thresholds"]) == 1.0
    assert (sse["margin"], sse["confidence"]) == (0.5, 0.9)
    assert halved["protocol_settings"] == {"folds": 2, "margin": 0.5, "confidence": 0.9}


def test_folds_follow_the_seed_of_the_run(
    run: RunDirectory, settings: Settings, data: AnomalyDataModule
) -> None:
    give_scores(run, settings, data, 4.0, 2.0, 6.0, 1.0, 5.0, 3.0)
    drawn = [decide(run, changed(settings, "seed", seed))["protocols"] for seed in range(10)]
    assert drawn[0] == decide(run, settings)["protocols"]
    assert len({json.dumps(protocols) for protocols in drawn}) > 1


def test_images_of_the_same_bytes_are_judged_together(root: Path, settings: Settings) -> None:
    before = read(settings)
    one, other = [before.samples[i].path for i in before.split.test if before.samples[i].label][:2]
    (root / one).write_bytes((root / other).read_bytes())
    data = read(settings)
    run = begin(settings, data)
    give_scores(run, settings, data, 1.0, 1.0, 2.0, 0.0, 0.0, 0.0)
    sse = decide(run, asking(settings, name="crossfit"))["protocols"]["crossfit"]["sse"]
    # One of two folds has the pair, the other 2: each is judged by the other's.
    assert sorted(sse["thresholds"]) == [1.0, 2.0]
    assert sse["calibration_abnormal"] == 1
    assert sse["misses"] == 2


def test_crossfit_needs_two_images_of_each_class(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "few", normal=2, abnormal=2)
    settings = tiny_settings(root, tmp_path / "runs")
    data = read(settings)
    run = begin(settings, data)
    assert write_results(run, settings, data, evaluation(data, sse=1.0))["protocols"] == {}
    with refuses(
        setting="protocol", value="crossfit", file=run.path, facts="2", remedy="protocol=paper"
    ):
        decide(run, asking(settings, name="crossfit"))
    check_protocol(settings.protocol, data)
    with refuses(setting="protocol", value="crossfit", facts="folder", remedy="protocol=paper"):
        check_protocol(asking(settings, name="crossfit").protocol, data)


@pytest.fixture
def kept(root: Path, tmp_path: Path) -> tuple[RunDirectory, dict[str, Any], AnomalyDataModule]:
    """A run that was begun with 2 images kept out of training, its settings and its data."""
    words = ("protocol=calibrated", "protocol.calibration_fraction=0.7")
    settings = tiny_settings(root, tmp_path / "runs", *words)
    data = read(settings)
    assert len(data.split.calibration) == 2
    return begin(settings, data), settings, data


def test_calibrated_by_hand(
    kept: tuple[RunDirectory, Settings, AnomalyDataModule],
) -> None:
    run, settings, data = kept
    found = evaluation(data, sse=1.0)
    assert found.calibration is not None
    found.test.scores["sse"] = np.array([4.0, 2.0, 6.0, 1.0, 5.0, 3.0])
    found.calibration.scores["sse"] = np.array([7.5, 3.0])
    metrics = write_results(run, settings, data, found)
    assert metrics["run"] == "cyclegan-32-calibrated"
    assert metrics["protocol"] == "calibrated"
    assert list(metrics["protocols"]) == ["crossfit", "calibrated"]
    assert metrics["protocols"]["calibrated"] == {
        "sse": {
            "thresholds": [3.0],
            "margin": 0.0,
            "confidence": 0.95,
            "calibration_abnormal": 2,
            "calibration_images": 2,
            "abnormal": 3,
            "normal": 3,
            "misses": 1,  # 2
            "false_alarms": 2,  # 5 and 3
            "miss_rate": 1 / 3,
            "false_alarm_rate": 2 / 3,
            "accuracy": 0.5,
            "independent": {"abnormal": 3, "normal": 3, "misses": 1, "false_alarms": 2},
            "miss_rate_bound": pytest.approx(1 - 0.05**0.5, rel=1e-12),
            "max_accuracy": None,
        }
    }
    rows = read_scores(run.path, "calibration.csv")
    assert [row["path"] for row in rows] == [data.samples[i].path for i in data.split.calibration]
    assert [(row["label"], row["sse"]) for row in rows] == [(1, 7.5), (1, 3.0)]
    assert len(read_scores(run.path)) == 6  # none of them is judged
    lowered = decide(run, asking(settings, margin=0.4))["protocols"]["calibrated"]["sse"]
    assert lowered["thresholds"] == [pytest.approx(1.8)] and lowered["misses"] == 0


def test_earlier_scores_of_calibration_images_stay(
    kept: tuple[RunDirectory, Settings, AnomalyDataModule],
) -> None:
    run, settings, data = kept
    write_results(run, settings, data, evaluation(data, sse=1.0))
    metrics = write_results(run, settings, data, evaluation(data, fid=-2.0))
    assert list(metrics["protocols"]["calibrated"]) == ["sse", "fid"]
    rows = read_scores(run.path, "calibration.csv")
    assert [(row["sse"], row["fid"]) for row in rows] == [(0.0, 0.0), (1 / 3, -2 / 3)]


def test_calibration_images_of_the_same_bytes_count_once(
    kept: tuple[RunDirectory, Settings, AnomalyDataModule], root: Path
) -> None:
    run, settings, data = kept
    one, other = (root / data.samples[i].path for i in data.split.calibration)
    one.write_bytes(other.read_bytes())
    data = read(settings)
    write_start(run, settings, data)
    metrics = write_results(run, settings, data, evaluation(data, sse=1.0))
    found = metrics["protocols"]["calibrated"]["sse"]
    assert found["calibration_abnormal"] == 1
    assert found["miss_rate_bound"] == pytest.approx(0.95)


def test_the_paper_and_crossfit_can_be_asked_of_a_run_with_calibration_images(
    kept: tuple[RunDirectory, Settings, AnomalyDataModule],
) -> None:
    run, settings, data = kept
    metrics = write_results(run, settings, data, evaluation(data, sse=1.0))
    for name in ("paper", "crossfit"):
        decided = decide(run, asking(settings, name=name))
        assert decided["protocol"] == name
        assert decided["protocols"] == metrics["protocols"]


def test_calibration_scores_that_are_gone(
    kept: tuple[RunDirectory, Settings, AnomalyDataModule],
) -> None:
    run, settings, data = kept
    write_results(run, settings, data, evaluation(data, sse=1.0))
    run.calibration.unlink()
    assert list(decide(run, asking(settings, name="paper"))["protocols"]) == ["crossfit"]
    with pytest.raises(UserError, match=rf"calibration\.csv is missing.*evaluate run={run.path}"):
        decide_again(run, settings)
    # Scored again by one score, the others are dropped: half of theirs is gone.
    metrics = write_results(run, settings, data, evaluation(data, fid=1.0))
    assert list(metrics["scores"]) == ["fid"]
    assert list(metrics["protocols"]["crossfit"]) == ["fid"]
    assert list(metrics["protocols"]["calibrated"]) == ["fid"]


def test_calibration_scores_that_are_damaged_are_made_anew(
    kept: tuple[RunDirectory, Settings, AnomalyDataModule],
) -> None:
    run, settings, data = kept
    metrics = write_results(run, settings, data, evaluation(data, sse=1.0))
    whole = run.calibration.read_bytes()
    run.calibration.write_bytes(whole[:30])
    assert not all_scored(run, score_of(["sse"]))
    with refuses(file=run.calibration, remedy="evaluate run="):
        decide(run, settings)
    assert write_results(run, settings, data, evaluation(data, sse=1.0)) == metrics
    assert run.calibration.read_bytes() == whole


def test_a_decision_is_reproduced_by_what_is_written(
    kept: tuple[RunDirectory, Settings, AnomalyDataModule],
) -> None:
    """Scores and thresholds are compared as the files have them, to the last digit."""
    run, settings, data = kept
    found = evaluation(data, sse=1.0)
    assert found.calibration is not None
    third = np.float64(np.float32(1 / 3))
    values = [third, np.nextafter(third, 0), 0.1 + 0.2, 0.3, third, np.nextafter(third, 1)]
    found.test.scores["sse"] = np.array(values)
    found.calibration.scores["sse"] = np.array([third, 1e300])
    found.summary["sse"] = summarise(found.test.scores["sse"], found.test.labels)
    write_results(run, settings, data, found)
    metrics = read_metrics(run.path)
    described = describe_scores(read_results(run.path))
    detector = described["scores"]["sse"]["thresholds"]
    rows, written = read_scores(run.path), metrics["scores"]["sse"]
    assert [row["sse"] for row in rows] == values
    for name, in_detector, accuracy in (
        ("zfn_threshold", "paper", "zfn_accuracy"),
        ("max_accuracy_threshold", "best_accuracy", "max_accuracy"),
    ):
        for threshold in (written[name], detector[in_detector]["value"]):
            right = [(row["sse"] >= threshold) == row["label"] for row in rows]
            assert sum(right) / len(right) == written[accuracy]
    decided = metrics["protocols"]["calibrated"]["sse"]
    assert decided["thresholds"] == [detector["calibrated"]["value"]]
    missed = [row["sse"] < decided["thresholds"][0] for row in rows if row["label"]]
    assert sum(missed) == decided["misses"] == 2


@pytest.mark.parametrize(
    ("file", "name", "value", "said"),
    [
        ("metrics.json", "misses", 0, "calibrated, score sse: misses is 0 in metrics.json, but 2"),
        ("metrics.json", "miss_rate_bound", 0.01, "miss_rate_bound is 0.01 in metrics.json"),
        ("metrics.json", "auroc", 0.99, "disagree on sse: auroc is 0.99 in metrics.json"),
        ("calibration.csv", "5.0", "9.0", "was changed in calibration.csv"),
        ("calibration.csv", "3.0", "2.5", "was changed in calibration.csv"),
        ("calibration.csv", None, None, "calibrated, score sse: calibration.csv is missing"),
        ("split.csv", "calibration", "train", "split.csv was changed after the run was evaluated"),
        ("scores.csv", "7.0", "7.5", "was changed in scores.csv"),
    ],
)
def test_results_that_nothing_supports_are_scored_again_and_said(
    kept: tuple[RunDirectory, Settings, AnomalyDataModule],
    file: str,
    name: str | None,
    value: Any,
    said: str,
) -> None:
    run, settings, data = kept
    found = evaluation(data, sse=1.0, fid=1.0)
    assert found.calibration is not None
    found.test.scores["sse"] = np.array([2.0, 1.0, 7.0, 0.0, 4.0, 4.5])
    found.calibration.scores["sse"] = np.array([3.0, 5.0])
    found.summary["sse"] = summarise(found.test.scores["sse"], found.test.labels)
    metrics = write_results(run, settings, data, found)
    assert find_unsupported(run) == [] and all_scored(run, score_of(["sse", "fid"]))
    whole = [read_scores(run.path, name) for name in ("scores.csv", "calibration.csv")]

    path = run.path / file
    if name is None:
        path.unlink()
    elif file == "metrics.json":
        forged = json.loads(path.read_text())
        part = forged["scores"] if name == "auroc" else forged["protocols"]["calibrated"]
        part["sse"][name] = value
        write_json(path, forged)
    else:
        text = path.read_text()
        assert name in text
        path.write_text(text.replace(name, value, 1))
    assert not all_scored(run, score_of(["sse"])) and not all_scored(run, score_of(["fid"]))
    assert any(said in line for line in find_unsupported(run))
    if file == "split.csv":
        return  # it is refused before anything is scored
    assert write_results(run, settings, data, found) == metrics
    assert [read_scores(run.path, name) for name in ("scores.csv", "calibration.csv")] == whole
    assert find_unsupported(run) == []


def test_another_score_is_kept_only_where_it_is_not_in_doubt(
    kept: tuple[RunDirectory, Settings, AnomalyDataModule],
) -> None:
    run, settings, data = kept
    write_results(run, settings, data, evaluation(data, sse=1.0, fid=2.0, peak_2px=3.0))
    text = run.calibration.read_text()
    lines = text.splitlines()
    last = lines[-1].split(",")
    last[3] = "55.0"
    run.calibration.write_text("\n".join([*lines[:-1], ",".join(last)]) + "\n")
    (said,) = find_unsupported(run)
    assert said.startswith("metrics.json: calibrated, score fid: was changed in calibration.csv")
    metrics = write_results(run, settings, data, evaluation(data, sse=1.0))
    assert set(metrics["scores"]) == {"sse", "peak_2px"}
    assert list(read_scores(run.path)[0]) == ["path", "label", "sse", "peak_2px"]
    assert find_unsupported(run) == []


def test_a_lost_split_is_told(
    run: RunDirectory, settings: Settings, data: AnomalyDataModule
) -> None:
    give_scores(run, settings, data, 4.0, 2.0, 6.0, 1.0, 5.0, 3.0)
    run.split.unlink()
    with refuses(file=run.split):
        decide(run, asking(settings, name="crossfit"))


def test_what_decisions_depend_on(settings: Settings) -> None:
    found = protocol_settings(
        asking(settings, name="calibrated", calibration_fraction=0.5).protocol
    )
    assert found == {"folds": 5, "margin": 0, "confidence": 0.95}


def test_changed_figures_of_places_are_noticed(
    kept: tuple[RunDirectory, Settings, AnomalyDataModule],
) -> None:
    run, settings, data = kept
    metrics = write_results(run, settings, data, evaluation(data, sse=1.0))
    assert find_unsupported(run) == []
    forged = {"pixel_auroc": 0.99, "aupro": 0.98, "masked_images": 3}
    write_json(run.metrics, metrics | {"localisation": forged})
    assert find_unsupported(run) == [
        "metrics.json: localisation: was changed in metrics.json after it was computed"
    ]
