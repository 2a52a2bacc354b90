"""Runs without abnormal images: their thresholds and the bounds on the false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cyclegan_ad.metrics.wording import explain
from cyclegan_ad.reporting.labels import score_order
from cyclegan_ad.reporting.read.read_run import Run
from cyclegan_ad.scoring.names import ScoreColumn


@dataclass(frozen=True, slots=True)
class NormalOnly:
    """One score of a run without abnormal images.

    Attributes:
        run: The run.
        column: Score column.
        decisions: Result of `cyclegan_ad.metrics.quantile.quantile`.
        sentence: The same in words.
    """

    run: Run
    column: ScoreColumn
    decisions: dict[str, Any]
    sentence: str


def gather_normal_only(runs: Sequence[Run]) -> list[NormalOnly]:
    """List the thresholds of the runs without abnormal images.

    They are never averaged: each seed keeps other images out, and has a threshold and a bound of
    its own.

    Returns:
        A row for each run and score, in order of dataset, method, seed and score.
    """
    rows = []
    for run in sorted(runs, key=lambda run: run.order):
        decided = run.metrics["protocols"].get("quantile", {})
        for column in sorted(run.scores, key=score_order):
            if column.column in decided:
                found = decided[column.column]
                rows.append(NormalOnly(run, column, found, explain(found)))
    return rows
