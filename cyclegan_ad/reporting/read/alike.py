"""Chooses the runs whose decisions under an honest protocol may be averaged: decided alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from cyclegan_ad.reporting.labels import Method
from cyclegan_ad.reporting.read.read_run import LeftOut, Run
from cyclegan_ad.scoring.names import ScoreColumn

HONEST_PROTOCOLS = ("crossfit", "calibrated")

CellKey = tuple[str, str, Method, ScoreColumn]


@dataclass(frozen=True, slots=True)
class Alike:
    """Runs that were decided alike.

    Attributes:
        cells: (protocol, dataset, method, score column) -> its runs, by seed; at least one.
        left_out: runs decided with another margin, confidence or number of folds.
    """

    cells: dict[CellKey, list[Run]]
    left_out: list[LeftOut]


def choose_alike(runs: Sequence[Run]) -> Alike:
    """Keep, of each cell and honest protocol, the largest group that was decided alike.

    Args:
        runs: runs that may stand together, as `choose_consistent` gives them.
    """
    found: dict[CellKey, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.seed):
        for protocol in HONEST_PROTOCOLS:
            decided = run.metrics["protocols"].get(protocol, {})
            for column in run.scores:
                if column.column in decided:
                    found[protocol, run.dataset, run.method, column].append(run)
    cells: dict[CellKey, list[Run]] = {}
    left_out: dict[str, LeftOut] = {}
    for key, members in found.items():
        protocol, _, _, column = key
        cells[key], others = _largest(members, protocol, column)
        for run, reason in others:
            what = f"{run.shown}, {protocol}"
            left_out[what] = LeftOut(what, reason)
    return Alike(cells, list(left_out.values()))


def _largest(
    runs: list[Run], protocol: str, column: ScoreColumn
) -> tuple[list[Run], list[tuple[Run, str]]]:
    """The largest group with one margin, confidence and number of thresholds; and the others."""
    groups: dict[tuple[float, float, int], list[Run]] = defaultdict(list)
    for run in runs:
        row = run.metrics["protocols"][protocol][column.column]
        groups[row["margin"], row["confidence"], len(row["thresholds"])].append(run)
    best = max(groups, key=lambda key: len(groups[key]))  # of equal ones, the lowest seed's
    others = [
        (
            run,
            f"decided with margin {margin:g}, confidence {confidence:g} and {folds} thresholds, "
            f"the other runs of the cell with {best[0]:g}, {best[1]:g} and {best[2]}; evaluate it "
            "again",
        )
        for (margin, confidence, folds), members in groups.items()
        if (margin, confidence, folds) != best
        for run in members
    ]
    return groups[best], others
