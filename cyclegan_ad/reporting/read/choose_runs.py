"""Chooses the runs that may stand together in a cell: trained alike, decided alike, one a seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cyclegan_ad.reporting.labels import Method, score_order
from cyclegan_ad.reporting.read.read_run import LeftOut, Run
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.settings import training_differences
from cyclegan_ad.text import as_typed, counted, printable

HONEST_PROTOCOLS = ("crossfit", "calibrated")

CellKey = tuple[str, str, Method, ScoreColumn]


@dataclass(frozen=True, slots=True)
class ComparableRuns:
    """Runs that were decided alike.

    Attributes:
        cells: (protocol, dataset, method, score column) -> its runs, by seed; at least one.
        left_out: runs decided with another margin, confidence or number of folds.
    """

    cells: dict[CellKey, list[Run]]
    left_out: list[LeftOut]


def choose_consistent(runs: Iterable[Run]) -> tuple[list[Run], list[LeftOut]]:
    """Keep, of the runs of one name and dataset, the largest group that was made alike.

    Runs are alike if nothing but the seed differs among the settings of the training, and the
    images of the dataset are the same. Of two groups with as many seeds, the one with the lowest
    seed is kept; of two runs with one seed, the first in order of path.

    Args:
        runs: finished runs.

    Returns:
        The runs kept, in order of name, dataset and seed; the others, with the settings that
        differ; and the score columns that only some runs of a cell have.
    """
    cells: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        cells[run.method.run, run.dataset].append(run)
    kept: list[Run] = []
    left_out: list[LeftOut] = []
    for key in sorted(cells):
        groups = _group(sorted(cells[key], key=lambda run: (run.seed, run.shown)))
        best = min(groups, key=lambda group: (-len(_seeds(group)), group[0].seed, group[0].shown))
        chosen: dict[int, Run] = {}
        for run in best:
            if run.seed in chosen:
                first = chosen[run.seed]
                left_out.append(
                    LeftOut(run.shown, f"has the same name, dataset and seed as {first.shown}")
                )
            else:
                chosen[run.seed] = run
        for group in groups:
            if group is not best:
                reason = _reason(best, group)
                left_out += [LeftOut(run.shown, reason) for run in group]
        kept += chosen.values()
        left_out += _missing_columns(list(chosen.values()))
    return kept, left_out


def _group(runs: list[Run]) -> list[list[Run]]:
    """Runs made alike, group by group; order is kept."""
    groups: list[list[Run]] = []
    for run in runs:
        for group in groups:
            if not _differences(group[0], run):
                group.append(run)
                break
        else:
            groups.append([run])
    return groups


def _differences(one: Run, other: Run) -> list[str]:
    """What sets two runs apart beside the seed, as ``setting=value (kept ones: value)``."""
    found = [
        f"{name}={as_typed(new)} (kept: {as_typed(old)})"
        for name, old, new in training_differences(one.config.training(), other.config.training())
        if name != "seed"
    ]
    if one.images != other.images:
        found.append("other images in the dataset (see split.csv)")
    return found


def _reason(best: list[Run], group: list[Run]) -> str:
    seeds = ", ".join(str(seed) for seed in _seeds(best))
    listed = "; ".join(_differences(best[0], group[0]))
    return printable(
        f"was made with {listed}, unlike the runs kept in this cell (seed {seeds}); give it a "
        "run_name of its own"
    )


def _seeds(group: list[Run]) -> list[int]:
    return sorted({run.seed for run in group})


def _missing_columns(runs: list[Run]) -> list[LeftOut]:
    columns = {column for run in runs for column in run.scores}
    return [
        LeftOut(
            f"{run.shown}, score {column.column}",
            f"this run has no {column.title}, others of its cell have: evaluate it again "
            f"with this score; its cell counts {_count(runs, column)} of "
            f"{counted(len(runs), 'seed')}",
        )
        for run in runs
        for column in sorted(columns - run.scores.keys(), key=score_order)
    ]


def _count(runs: list[Run], column: ScoreColumn) -> int:
    return sum(column in run.scores for run in runs)


def choose_comparable(runs: Sequence[Run]) -> ComparableRuns:
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
    return ComparableRuns(cells, list(left_out.values()))


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
            f"decided with margin {margin:g}, confidence {confidence:g} and "
            f"{counted(folds, 'threshold')}, the other runs of the cell with {best[0]:g}, "
            f"{best[1]:g} and {best[2]}; evaluate it again",
        )
        for (margin, confidence, folds), members in groups.items()
        if (margin, confidence, folds) != best
        for run in members
    ]
    return groups[best], others
