"""Fused scores of whole jobs: their files, beside other scores, and for new images."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fused import WORDS, copied, draw_images, evaluate
from tiny import settings

from cyclegan_ad.detector.load import load_detector
from cyclegan_ad.evaluation import write_detector
from cyclegan_ad.evaluation.combine import find_unsupported
from cyclegan_ad.reporting.build import write_report
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import read_metrics, read_results, read_scores, read_split
from cyclegan_ad.scoring.fusion import Fusion, fused_terms
from cyclegan_ad.train import run_training as train

BOTH = ["fused", "fused_signals"]


def columns(rows: Any) -> list[str]:
    return [name for name in rows[0] if name not in ("path", "label")]


def test_files_of_a_run(fused_run: Any) -> None:
    _, run, metrics = fused_run
    assert list(metrics["scores"]) == list(metrics["fusions"]) == BOTH
    results = read_results(run.path)
    assert columns(results.rows) == columns(results.tuned) == BOTH
    assert columns(results.contributions) == [
        f"{score}:{term}" for score in BOTH for term in fused_terms(score)
    ]
    subset = {row.path: row.subset for row in read_split(run.path)}
    assert {subset[row["path"]] for row in results.tuned} == {"tuning"}
    assert {subset[row["path"]] for row in results.contributions} == {"test"}
    assert list(subset.values()).count("tuning") == len(results.tuned) == 4
    assert find_unsupported(run) == []
    for score in BOTH:
        fusion = Fusion.parse(metrics["fusions"][score])
        assert fusion.terms == fused_terms(score)
        assert fusion.auroc.keys() == {*fusion.terms, "fused"}


def test_contributions_sum_to_the_score(fused_run: Any) -> None:
    _, run, metrics = fused_run
    rows, added = read_scores(run.path), read_scores(run.path, "contributions.csv")
    assert [row["path"] for row in rows] == [row["path"] for row in added]
    for score in BOTH:
        for row, parts in zip(rows, added, strict=True):
            each = [parts[f"{score}:{term}"] for term in fused_terms(score)]
            total = metrics["fusions"][score]["intercept"] + math.fsum(each)
            assert row[score] == pytest.approx(total, rel=1e-9, abs=1e-9)


@pytest.mark.slow
def test_another_score_is_added_to_them(
    fused_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, original, metrics = fused_run
    run = copied(original, tmp_path)
    # The detector keeps its probe, which needs neither a fit nor the weights of its backbone.
    monkeypatch.setattr(write_detector, "fit_probe_term", lambda *_, **__: pytest.fail("fits"))
    found = evaluate(run, "sse", root=tmp_path / "data")
    assert list(found["scores"]) == [*BOTH, "sse"]
    assert found["fusions"] == metrics["fusions"]
    assert run.contributions.read_bytes() == original.contributions.read_bytes()
    assert find_unsupported(run) == []
    rows, before = read_scores(run.path), read_scores(original.path)
    assert [[row[name] for name in BOTH] for row in rows] == [
        [row[name] for name in BOTH] for row in before
    ]
    # What the sse adds, by hand.
    fusion = found["fusions"]["fused_signals"]
    at = fusion["terms"].index("sse")
    expected = [
        fusion["weights"][at] * (math.log(row["sse"]) - fusion["centres"][at]) for row in rows
    ]
    added = [row["fused_signals:sse"] for row in read_scores(run.path, "contributions.csv")]
    np.testing.assert_allclose(added, expected, rtol=1e-9)
    assert_detector_scores_as_the_run(run, tmp_path / "data", [*BOTH, "sse"])


@pytest.mark.slow
def test_they_are_added_to_a_run_with_another_score(fused_run: Any, tmp_path: Path) -> None:
    _, original, metrics = fused_run
    root = draw_images(tmp_path / "data")
    job = settings(root, tmp_path / "runs", *WORDS, "score=sse")
    assert "fusions" not in train(job)
    run = RunDirectory.of(job)
    assert not run.contributions.exists()
    with run.tuning.open() as file:
        assert next(csv.reader(file)) == ["path", "label", "sse"]
    found = evaluate(run, *BOTH)
    # As if they had been asked for first.
    assert found["fusions"] == metrics["fusions"]
    assert run.contributions.read_bytes() == original.contributions.read_bytes()
    assert list(found["scores"]) == ["sse", *BOTH]
    rows, before = read_scores(run.path), read_scores(original.path)
    assert [[row[name] for name in BOTH] for row in rows] == [
        [row[name] for name in BOTH] for row in before
    ]
    assert find_unsupported(run) == []
    assert read_metrics(run.path) == found


def test_a_finished_run_is_complete(fused_run: Any, capsys: Any) -> None:
    root, run, metrics = fused_run
    job = settings(root, root.parent / "runs", *WORDS)
    before = run.metrics.read_bytes()
    assert train(job) == metrics
    assert "already complete" in capsys.readouterr().out
    assert run.metrics.read_bytes() == before


def test_the_detector_scores_new_images_as_the_run_does(fused_run: Any) -> None:
    root, run, metrics = fused_run
    assert_detector_scores_as_the_run(run, root, BOTH)
    described = json.loads((run.detector / "detector.json").read_text())
    for score in BOTH:
        assert described["scores"][score]["fusion"] == metrics["fusions"][score]
    assert described["fused_probe"]["backbone"] == "efficientnet_lite0"


def test_the_report_shows_them(fused_run: Any, tmp_path: Path) -> None:
    root, _, metrics = fused_run
    write_report(root.parent / "runs", tmp_path, None)
    with (tmp_path / "extensions.csv").open() as file:
        rows = {(row["score"], row["metric"]): row for row in csv.DictReader(file)}
    for score in BOTH:
        found = float(rows[score, "auroc"]["mean_percent"])
        assert found == pytest.approx(100 * metrics["scores"][score]["auroc"])


def assert_detector_scores_as_the_run(run: RunDirectory, root: Path, scores: list[str]) -> None:
    rows, metrics = read_scores(run.path), read_metrics(run.path)
    paths = [root / row["path"] for row in rows]
    for score in scores:
        detector = load_detector(run.path, score=score, device="cpu")
        found = detector(list(paths))
        np.testing.assert_allclose(
            [one.score for one in found], [row[score] for row in rows], rtol=1e-6, atol=1e-7
        )
        threshold = metrics["scores"][score]["zfn_threshold"]
        expected = ["abnormal" if row[score] >= threshold else "normal" for row in rows]
        assert [one.label for one in found] == expected
