"""Decisions at held-out thresholds (crossfit, calibrated and crossval), over all seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cyclegan_ad.metrics.wording import explain
from cyclegan_ad.reporting.compute.aggregate import Statistic, few_of
from cyclegan_ad.reporting.labels import Method, cell_order
from cyclegan_ad.reporting.read.choose_runs import HELD_OUT_PROTOCOLS, ComparableRuns
from cyclegan_ad.scoring.names import ScoreColumn


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One method with one score on one dataset, under one protocol.

    Attributes:
        protocol: ``crossfit``, ``calibrated`` or ``crossval``.
        dataset: Name of the dataset.
        method: Column of Table 2.
        column: Score column.
        seeds: Seeds of the runs, ascending.
        decisions: Summed over the seeds, see `add_decisions`.
        accuracy: Values over the seeds.
        max_accuracy: Values at ACC thresholds; None where the protocol sets none.
        sentences: The decisions in words, one entry a seed.
        few: What few abnormal test images support, see `few_of`; None if they are many.
    """

    protocol: str
    dataset: str
    method: Method
    column: ScoreColumn
    seeds: tuple[int, ...]
    decisions: dict[str, Any]
    accuracy: Statistic
    max_accuracy: Statistic | None
    sentences: tuple[str, ...]
    few: str | None = None

    @property
    def expected(self) -> float:
        """Expected miss rate, ``1 / (n + 1)`` of the images that a threshold was set on."""
        return 1 / (1 + int(self.decisions["calibration_abnormal"]))

    @property
    def guaranteed(self) -> float:
        """Bound on the miss rate, averaged over draws; that of one threshold is the expected."""
        return float(self.decisions.get("miss_rate_guaranteed", self.expected))


def gather_held_out(comparable: ComparableRuns) -> list[HeldOut]:
    """Sum the decisions at held-out thresholds over seeds.

    Args:
        comparable: Runs decided with the same settings.

    Returns:
        A row for each protocol, dataset, method and score that has such decisions.
    """
    rows: list[HeldOut] = []
    for (protocol, dataset, method, column), members in comparable.cells.items():
        each = [run.metrics["protocols"][protocol][column.column] for run in members]
        best = [row.get("max_accuracy") for row in each]
        rows.append(
            HeldOut(
                protocol=protocol,
                dataset=dataset,
                method=method,
                column=column,
                seeds=tuple(run.seed for run in members),
                decisions=add_decisions(each),
                accuracy=Statistic(tuple(row["accuracy"] for row in each)),
                max_accuracy=None if None in best else Statistic(tuple(best)),
                sentences=tuple(explain(row) for row in each),
                few=few_of(members),
            )
        )
    rows.sort(
        key=lambda row: (
            HELD_OUT_PROTOCOLS.index(row.protocol),
            cell_order((row.dataset, row.method, row.column)),
        )
    )
    return rows


def add_decisions(each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sum decisions of several runs, in the form of ``metrics.json``.

    Args:
        each: Decisions of one protocol and score, one a run, with the same confidence.

    Returns:
        Sums of images, misses and false alarms with the rates that follow from them; the fewest
        calibration images and the largest bounds on the miss rate.
    """
    bounds = [name for name in each[0] if name.startswith("miss_rate_")]
    names = ("abnormal", "normal", "misses", "false_alarms")
    counts = {name: sum(row[name] for row in each) for name in names}
    independent = {name: sum(row["independent"][name] for row in each) for name in names}
    judged = counts["abnormal"] + counts["normal"]
    # With the bound goes what proves it.
    largest_bound = max(each, key=lambda row: row.get("miss_rate_guaranteed", 0.0))
    return dict(largest_bound) | {
        **counts,
        "independent": independent,
        "thresholds": [threshold for row in each for threshold in row["thresholds"]],
        "miss_rate": counts["misses"] / counts["abnormal"],
        "false_alarm_rate": counts["false_alarms"] / counts["normal"],
        "accuracy": 1 - (counts["misses"] + counts["false_alarms"]) / judged,
        "calibration_abnormal": min(row["calibration_abnormal"] for row in each),
        **{name: max(row[name] for row in each) for name in bounds},
    }
