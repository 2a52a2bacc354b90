"""What decided: weights and contributions, averaged over seeds and of single images."""

from pathlib import Path

import numpy as np
import pytest
from reporting.fake_runs import make_run

from cyclegan_ad.reporting.build import write_report
from cyclegan_ad.reporting.compute.decided import (
    CONSTANT,
    TOTAL,
    explain_critical,
    fused_columns,
    gather_decided,
)
from cyclegan_ad.reporting.read.find_runs import collect
from cyclegan_ad.runs.results import read_metrics, read_scores
from cyclegan_ad.scoring.names import ScoreColumn

COLUMNS = ["sse", "fused_signals_tta", "fused_tta"]


def make(runs: Path, seed: int = 0, **more: object) -> Path:
    return make_run(
        runs, "cyclegan_plus", 64, "screw", seed, **({"columns": COLUMNS, "examples": False} | more)
    )


def test_means_over_seeds_are_those_of_the_files(tmp_path: Path) -> None:
    paths = [make(tmp_path, seed) for seed in (0, 1)]
    fused, signals = gather_decided(collect(tmp_path)[0])
    assert (fused.column.column, signals.column.column) == ("fused_tta", "fused_signals_tta")
    assert (fused.seeds, fused.tuned_normal, fused.tuned_abnormal) == ((0, 1), 3, 3)
    assert [term.name for term in signals.terms[-2:]] == [CONSTANT, TOTAL]
    assert len(fused.terms) == len(signals.terms) + 1  # the probe
    for term in fused.terms[:-2]:
        for number, path in enumerate(paths):
            fusion = read_metrics(path)["fusions"]["fused_tta"]
            place = fusion["terms"].index(term.name)
            assert term.weight is not None and term.auroc is not None
            assert term.weight.values[number] == fusion["weights"][place]
            assert term.auroc.values[number] == fusion["auroc"][term.name]
            rows = read_scores(path, "contributions.csv")
            for label, means in ((0, term.normal), (1, term.abnormal)):
                of_class = [r[f"fused_tta:{term.name}"] for r in rows if r["label"] == label]
                assert means.values[number] == pytest.approx(np.mean(of_class))


def test_terms_and_constant_add_up_to_the_total(tmp_path: Path) -> None:
    make(tmp_path)
    for row in gather_decided(collect(tmp_path)[0]):
        *terms, total = row.terms
        assert total.weight is None and terms[-1].auroc is None
        for what in ("normal", "abnormal"):
            added = sum(getattr(term, what).mean for term in terms)
            assert added == pytest.approx(getattr(total, what).mean)


def test_critical_images_are_explained_to_the_last_digit(tmp_path: Path) -> None:
    make(tmp_path)
    [run], _ = collect(tmp_path)
    column = ScoreColumn("fused", tta="dihedral")
    images = explain_critical(run, column)
    scores = run.scores[column]
    assert [image.label for image in images] == [1, 1, 1, 0, 0, 0]
    assert images[0].score == scores[run.labels == 1].min()
    assert images[3].score == scores[run.labels == 0].max()
    for image in images:
        assert sum(image.added.values()) == pytest.approx(image.score)
        assert scores[run.image_paths.index(image.path)] == image.score


def test_changed_contributions_are_left_out(tmp_path: Path) -> None:
    path = make(tmp_path)
    header, first, *others = (path / "contributions.csv").read_text().splitlines()
    first = first.rpartition(",")[0] + ",9.0"
    (path / "contributions.csv").write_text("\n".join([header, first, *others]))
    [run], [left_out] = collect(tmp_path)
    [kept] = fused_columns(run)
    changed = "fused_tta" if kept.name == "fused_signals" else "fused_signals_tta"
    assert left_out.what.endswith(f", score {changed}")
    assert "contributions.csv" in left_out.reason


def test_without_a_fused_score_there_is_no_section(tmp_path: Path) -> None:
    make_run(tmp_path / "runs", columns=["sse"], examples=False)
    assert gather_decided(collect(tmp_path / "runs")[0]) == []
    write_report(tmp_path / "runs", tmp_path / "out", None)
    assert 'id="decided"' not in (tmp_path / "out" / "index.html").read_text()
