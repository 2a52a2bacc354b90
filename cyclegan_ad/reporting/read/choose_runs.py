"""Choose the runs of a cell: same training settings, same decision settings, one run a seed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cyclegan_ad.reporting.labels import Method, score_order
from cyclegan_ad.reporting.read.read_run import LeftOut, Run
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.settings.train import training_differences
from cyclegan_ad.text import as_typed, counted, printable

HELD_OUT_PROTOCOLS = ("crossfit", "calibrated", "crossval")

CellKey = tuple[str, str, Method, ScoreColumn]


@dataclass(frozen=True, slots=True)
class ComparableRuns:
    """Runs that were decided with the same settings.

    Attributes:
        cells: (protocol, dataset, method, score column) -> its runs, by seed; at least one.
        left_out: Runs decided with another margin, confidence or number of folds.
    """

    cells: dict[CellKey, list[Run]]
    left_out: list[LeftOut]


def choose_consistent(runs: Iterable[Run]) -> tuple[list[Run], list[LeftOut]]:
    """Keep the largest comparable group among the runs of each name and dataset.

    Runs are comparable if their training settings differ only in the seed and the images of the
    dataset are the same. Of two groups with as many seeds, the one with the lowest seed is kept;
    of two runs with one seed, the first in order of path.

    Args:
        runs: Finished runs.

    Returns:
        The runs kept, in order of name, dataset and seed; the others, with the settings that
        differ; and the score columns that only some runs of a cell have.
    """
    cells: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run.seed, run.shown)):
        cells[run.method.run, run.dataset].append(run)
    kept: list[Run] = []
    left_out: list[LeftOut] = []
    for _, members in sorted(cells.items()):
        groups = _group(members)
        best = min(groups, key=lambda group: (-len(_seeds(group)), group[0].seed, group[0].shown))
        chosen: dict[int, Run] = {}
        for run in best:
            first = chosen.setdefault(run.seed, run)
            if first is not run:
                reason = f"has the same name, dataset and seed as {first.shown}"
                left_out.append(LeftOut(run.shown, reason))
        for group in groups:
            if group is not best:
                seeds = ", ".join(str(seed) for seed in _seeds(best))
                reason = printable(
                    f"differs in {'; '.join(_differences(best[0], group[0]))} from the runs kept "
                    f"in this cell (seed {seeds}); give it another run_name"
                )
                left_out += [LeftOut(run.shown, reason) for run in group]
        kept += chosen.values()
        left_out += _missing_columns(list(chosen.values()))
    return kept, left_out


def _group(runs: list[Run]) -> list[list[Run]]:
    """Group comparable runs; order is kept."""
    groups: list[list[Run]] = []
    for run in runs:
        same = next((group for group in groups if not _differences(group[0], run)), None)
        if same is None:
            groups.append([run])
        else:
            same.append(run)
    return groups


def _differences(one: Run, other: Run) -> list[str]:
    """List the differences of two runs beside the seed, as ``setting=value (kept: value)``."""
    found = [
        f"{name}={as_typed(new)} (kept: {as_typed(old)})"
        for name, old, new in training_differences(one.config.training(), other.config.training())
        if name != "seed"
    ]
    if one.images != other.images:
        found.append("other images in the dataset (see split.csv)")
    return found


def _seeds(group: list[Run]) -> list[int]:
    return sorted({run.seed for run in group})


def _missing_columns(runs: list[Run]) -> list[LeftOut]:
    found = Counter(column for run in runs for column in run.scores)
    return [
        LeftOut(
            f"{run.shown}, score {column.column}",
            f"this run has no {column.title}, others of its cell do: evaluate it again with this "
            f"score; the cell has {found[column]} of {counted(len(runs), 'seed')}",
        )
        for run in runs
        for column in sorted(found.keys() - run.scores.keys(), key=score_order)
    ]


def choose_comparable(runs: Sequence[Run]) -> ComparableRuns:
    """Keep the largest group decided with the same settings, by cell and held-out protocol.

    Args:
        runs: Runs of `choose_consistent`.
    """
    found: dict[CellKey, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.seed):
        for protocol in HELD_OUT_PROTOCOLS:
            for column in run.scores:
                if column.column in run.metrics["protocols"].get(protocol, {}):
                    found[protocol, run.dataset, run.method, column].append(run)
    cells: dict[CellKey, list[Run]] = {}
    left_out: dict[str, LeftOut] = {}
    for key, members in found.items():
        protocol, _, _, column = key
        groups: dict[tuple[float, float, str], list[Run]] = defaultdict(list)
        for run in members:
            row = run.metrics["protocols"][protocol][column.column]
            groups[row["margin"], row["confidence"], _folds(run, protocol, row)].append(run)
        best = max(groups, key=lambda group: len(groups[group]))  # of equal ones, the lowest seed's
        cells[key] = groups.pop(best)
        for (margin, confidence, folds), others in groups.items():
            reason = (
                f"decided with margin {margin:g}, confidence {confidence:g} and {folds}, the other "
                f"runs of the cell with {best[0]:g}, {best[1]:g} and {best[2]}; evaluate it again"
            )
            for run in others:
                what = f"{run.shown}, {protocol}"
                left_out[what] = LeftOut(what, reason)
    return ComparableRuns(cells, list(left_out.values()))


def _folds(run: Run, protocol: str, row: Mapping[str, Any]) -> str:
    """Say what folds were asked for: how many there are may depend on the images of a seed."""
    if protocol == "crossfit":
        return counted(run.metrics["protocol_settings"]["folds"], "fold")
    if row.get("folds", 1) > 1 and row["largest_fold"] == 1:
        return "leave_one_out"
    return counted(len(row["thresholds"]), "fold")
