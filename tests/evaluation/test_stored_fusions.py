"""What the files of a run tell of its fused scores is believed as far as it is what was computed.

A fused score that does not follow is computed again.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from errors import refuses
from fused import copied, evaluate

from cyclegan_ad.evaluation.combine import all_scored, find_unsupported
from cyclegan_ad.evaluation.fingerprints import fingerprints, hash_value
from cyclegan_ad.evaluation.stored_fusions import read_fusions
from cyclegan_ad.evaluation.stored_results import read_stored
from cyclegan_ad.files import write_json
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import read_scores, write_scores

FUSION = {"terms": ["sse", "probe"], "weights": [1.0, 2.0], "intercept": 0.5}
ADDED = [{"fused:sse": 1.25, "fused:probe": -0.5}, {"fused:sse": 0.0, "fused:probe": 2.0}]
SCORES = [1.25, 2.5]
NAMES = ("scores.csv", "tuning.csv", "contributions.csv")


def rows_of(values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"path": f"{i}.png", "label": i, **row} for i, row in enumerate(values)]


@pytest.fixture
def made(tmp_path: Path) -> tuple[RunDirectory, dict[str, Any], list[dict[str, Any]]]:
    """A run directory with as much as tells of its fused score, and the sse, which is none."""
    run, rows = RunDirectory(tmp_path), rows_of([{"fused": s, "sse": 7.0} for s in SCORES])
    tuned = rows_of([{"fused": -0.25}, {"fused": 0.75}])
    write_scores(tmp_path, tuned, "tuning.csv")
    write_scores(tmp_path, rows_of(ADDED), "contributions.csv")
    fusions = {"fused": FUSION}
    metrics = {
        "scores": {"fused": {}, "sse": {}},
        "columns": {"fused": {"name": "fused"}, "sse": {"name": "sse"}},
        "fusions": fusions,
        "fingerprints": {
            "metrics.json": {"fusions": hash_value(fusions)},
            "tuning.csv": fingerprints(tuned),
            "contributions.csv": fingerprints(rows_of(ADDED)),
        },
    }
    return run, metrics, rows


def test_what_follows_is_believed(made: Any) -> None:
    found = read_fusions(*made)
    assert found.wrong == {}
    assert [row["fused"] for row in found.tuned] == [-0.25, 0.75]
    assert [row["fused:probe"] for row in found.contributions] == [-0.5, 2.0]


def test_a_run_without_fused_scores_needs_no_files(made: Any) -> None:
    run, metrics, rows = made
    run.tuning.unlink()
    run.contributions.unlink()
    del metrics["fusions"], metrics["scores"]["fused"], metrics["columns"]["fused"]
    assert read_fusions(run, metrics, rows).wrong == {}


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def move_between_terms(run: RunDirectory, metrics: Any, rows: Any) -> None:
    """The sum stays."""
    replace(run.contributions, "1.25,-0.5", "0.25,0.5")


def drop_image(run: RunDirectory, metrics: Any, rows: Any) -> None:
    run.contributions.write_text("\n".join(run.contributions.read_text().splitlines()[:2]) + "\n")


def add_to_score(run: RunDirectory, metrics: Any, rows: Any) -> None:
    rows[1]["fused"] += 1e-6


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda run, metrics, rows: run.contributions.unlink(), "contributions.csv is missing"),
        (lambda run, metrics, rows: run.tuning.unlink(), "tuning.csv is missing"),
        (lambda run, *_: run.contributions.write_text("path,label\n"), "contributions.csv"),
        (lambda run, *_: replace(run.contributions, "2.0", "nan"), "contributions.csv, line 3"),
        (lambda run, *_: replace(run.contributions, "fused:sse", "fused:fid"), "contributions.csv"),
        (lambda run, *_: replace(run.tuning, "0.75", "0.5"), "changed in tuning.csv"),
        (move_between_terms, "changed in contributions.csv"),
        (drop_image, "contributions.csv"),
        (add_to_score, "is not the sum of contributions.csv"),
        (lambda run, metrics, rows: metrics.pop("fusions"), "no parameters in metrics.json"),
        (lambda run, metrics, rows: metrics["fusions"].clear(), "no parameters in metrics.json"),
        (
            lambda run, metrics, rows: metrics["fusions"]["fused"]["weights"].reverse(),
            "changed in metrics.json",
        ),
    ],
)
def test_what_does_not_follow_is_told(made: Any, change: Callable[..., object], why: str) -> None:
    run, metrics, rows = made
    metrics = json.loads(json.dumps(metrics))
    assert read_fusions(run, metrics, rows).wrong == {}
    change(run, metrics, rows)
    wrong = read_fusions(run, metrics, rows).wrong
    assert wrong.keys() == {"fused"} and why in wrong["fused"]


def test_rounding_of_a_sum_is_no_change(made: Any) -> None:
    run, metrics, rows = made
    rows[0]["fused"] += 1e-12
    assert read_fusions(run, metrics, rows).wrong == {}


def forge_weight(run: RunDirectory) -> None:
    metrics = json.loads(run.metrics.read_text())
    metrics["fusions"]["fused"]["weights"][0] += 0.5
    write_json(run.metrics, metrics)


def forge_term(run: RunDirectory) -> None:
    header, first, *others = run.contributions.read_text().splitlines()
    path, label, value, *rest = first.split(",")
    first = ",".join([path, label, repr(float(value) + 0.1), *rest])
    run.contributions.write_text("\n".join([header, first, *others]) + "\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (forge_weight, "metrics.json"),
        (forge_term, "contributions.csv"),
        (lambda run: run.contributions.unlink(), "contributions.csv is missing"),
        (lambda run: run.tuning.write_bytes(b"\0"), "tuning.csv"),
    ],
)
def test_it_is_computed_again(
    fused_run: Any, tmp_path: Path, change: Callable[[RunDirectory], object], why: str
) -> None:
    run = copied(fused_run[1], tmp_path)
    before = {name: read_scores(run.path, name) for name in NAMES}
    score = run.read_config().score
    assert find_unsupported(run) == [] and all_scored(run, score)
    change(run)
    assert any("fused" in line and why in line for line in find_unsupported(run))
    assert not all_scored(run, score)
    stored = read_stored(run, run.read_config())
    assert "fused" not in stored.metrics["scores"]
    evaluate(run, "fused", "fused_signals", root=tmp_path / "data")
    assert find_unsupported(run) == [] and all_scored(run, score)
    # A score that is not in doubt stands first now.
    assert {name: read_scores(run.path, name) for name in NAMES} == before


@pytest.mark.slow
def test_what_is_in_doubt_is_not_kept_beside_another_score(fused_run: Any, tmp_path: Path) -> None:
    run = copied(fused_run[1], tmp_path)
    forge_weight(run)
    metrics = evaluate(run, "sse", root=tmp_path / "data")
    assert list(metrics["scores"]) == ["sse"] and "fusions" not in metrics
    assert find_unsupported(run) == []


def test_parameters_that_are_no_table_are_told(fused_run: Any, tmp_path: Path) -> None:
    run = copied(fused_run[1], tmp_path)
    metrics = json.loads(run.metrics.read_text())
    write_json(run.metrics, metrics | {"fusions": ["fused"]})
    with refuses(file="metrics.json", facts="fusions", remedy="evaluate"):
        read_stored(run, run.read_config())
