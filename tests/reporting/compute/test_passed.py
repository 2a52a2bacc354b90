"""Shares of normal images passed, over seeds."""

from pathlib import Path

import pytest
from reporting.fake_runs import make_run

from cyclegan_ad.metrics.thresholds import passed_normal
from cyclegan_ad.reporting.compute.aggregate import build_study
from cyclegan_ad.reporting.compute.passed import gather_passed
from cyclegan_ad.reporting.read.choose_runs import choose_comparable
from cyclegan_ad.reporting.read.find_runs import collect
from cyclegan_ad.reporting.show.text_tables import passed_text


@pytest.mark.parametrize("protocol", ["paper", "crossfit"])
def test_means_are_those_of_the_scores_whatever_the_protocol(tmp_path: Path, protocol: str) -> None:
    for seed in (0, 1):
        make_run(tmp_path, seed=seed, columns=["sse"], examples=False)
        make_run(tmp_path, "padim", 64, seed=seed, columns=["embedding"], separation=6.0)
    runs, left_out = collect(tmp_path)
    assert not left_out
    rows = gather_passed(build_study(runs, protocol, choose_comparable(runs)))
    assert [(row.method.name, row.seeds) for row in rows] == [
        ("cyclegan", (0, 1)),
        ("padim", (0, 1)),
    ]
    for row in rows:
        of_method = sorted(
            (run for run in runs if run.method == row.method), key=lambda run: run.seed
        )
        for metric, percent in (("pg0", 0), ("pg2", 2), ("pg5", 5)):
            assert row.statistics[metric].values == tuple(
                passed_normal(run.scores[row.column], run.labels, percent) for run in of_method
            )
    # The well separated one is ahead everywhere; of a balanced set, ZFN accuracy = (1 + PG0) / 2.
    assert [len(row.best) for row in rows] == [0, 4]
    for run in runs:
        for scores in run.metrics["scores"].values():
            assert scores["zfn_accuracy"] == pytest.approx((1 + scores["pg0"]) / 2)
    table = passed_text(rows)
    assert table.header[3:6] == ("PG0", "PG2", "PG5")
    assert [[cell.bold for cell in row[3:7]] for row in table.rows] == [[False] * 4, [True] * 4]
    assert table.rows[0][3].text.endswith(" (f)") and "Fewer than 30" in table.notes[-1]
