"""Ablation of a training: AUROC on images kept out of it, never on test images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.kept_out import read_kept_out
from cyclegan_ad.evaluation.score_rows import groups_of
from cyclegan_ad.methods.names import FUSED
from cyclegan_ad.reporting.compute.aggregate import Statistic
from cyclegan_ad.reporting.labels import Method, dataset_order
from cyclegan_ad.reporting.read.read_run import LeftOut, Run
from cyclegan_ad.runs.directory import RunDirectory, judged_by_kept_out
from cyclegan_ad.runs.results import read_split
from cyclegan_ad.scoring.names import SCORE_NAMES, TERM_TITLES, ScoreColumn
from cyclegan_ad.text import printable

PREFIX = "ablation-"
"""Begin of the names of the runs of an ablation, which are in no other table.

Neither are those of a search, see :data:`cyclegan_ad.runs.directory.JUDGED_BY_KEPT_OUT`.
"""
PROBE = "probe"
"""The linear probe of ``fused`` beside the scores: it is a term, and no column of its own."""

# The whole training first and the paper's last; between them what leaves out one choice.
_FIRST, _LAST = "full", "paper"


@dataclass(frozen=True, slots=True)
class Ablation:
    """One choice of training on one dataset.

    Attributes:
        dataset: Name of the dataset.
        method: Column of the runs.
        seeds: Seeds of the runs, ascending.
        normal: Fewest normal tuning images of a run.
        abnormal: Fewest abnormal tuning images of a run.
        statistics: Score column, or `PROBE` -> AUROC on the tuning images over the seeds; only what
            all runs have. That of a fused score, and of the probe, is by a fit without the image.
        titles: Title of each.
    """

    dataset: str
    method: Method
    seeds: tuple[int, ...]
    normal: int
    abnormal: int
    statistics: dict[str, Statistic]
    titles: dict[str, str]

    @property
    def choice(self) -> str:
        """Name of the choice, such as ``no_ema``."""
        return self.method.run.removeprefix(PREFIX)


def part_ablation(runs: Iterable[Run]) -> tuple[list[Run], list[Run]]:
    """Return the ordinary runs and those of an ablation or a search."""
    ordinary: list[Run] = []
    ablation: list[Run] = []
    for run in runs:
        (ablation if judged_by_kept_out(run.method.run) else ordinary).append(run)
    return ordinary, ablation


def gather_ablation(runs: Sequence[Run]) -> tuple[list[Ablation], list[LeftOut]]:
    """Compute the AUROC of each score on the tuning images, from ``tuning.csv`` alone.

    Args:
        runs: Runs of an ablation, of `choose_consistent`.

    Returns:
        A row for each dataset and choice; and the runs without such images, with the reason.
    """
    cells: dict[tuple[str, Method], list[tuple[Run, _Tuned]]] = defaultdict(list)
    left_out = []
    for run in sorted(runs, key=lambda run: run.seed):
        try:
            tuned = _read_tuned(run)
        except UserError as error:
            reason = str(error).replace(f"{run.path}/", "")
            left_out.append(LeftOut(f"{run.shown}, ablation", printable(reason)))
        else:
            cells[run.dataset, run.method].append((run, tuned))
    rows = []
    for (dataset, method), members in cells.items():
        each = [tuned.auroc for _, tuned in members]
        names = [name for name in each[0] if all(name in one for one in each)]
        rows.append(
            Ablation(
                dataset=dataset,
                method=method,
                seeds=tuple(run.seed for run, _ in members),
                normal=min(tuned.normal for _, tuned in members),
                abnormal=min(tuned.abnormal for _, tuned in members),
                statistics={name: Statistic(tuple(one[name] for one in each)) for name in names},
                titles={name: members[0][1].titles[name] for name in names},
            )
        )
    return sorted(rows, key=_order), left_out


def _order(row: Ablation) -> tuple[object, ...]:
    place = row.choice != _FIRST, row.choice == _LAST, row.method.run, row.method.order
    return (*dataset_order(row.dataset), *place)


@dataclass(frozen=True, slots=True)
class _Tuned:
    normal: int
    abnormal: int
    auroc: dict[str, float]
    titles: dict[str, str]


def _read_tuned(run: Run) -> _Tuned:
    """Read the tuning images of a run; raise a UserError if there are none, or other ones."""
    directory = RunDirectory(run.path)
    kept = read_kept_out(directory, run.metrics)
    groups_of(kept.rows, read_split(run.path), "tuning", directory.tuning.name)
    parsed = {name: ScoreColumn.parse(run.metrics["columns"][name]) for name in kept.auroc}
    found = {name: kept.auroc[name] for name in sorted(kept.auroc, key=_place)}
    titles = {name: column.title for name, column in parsed.items()}
    for fusion in run.metrics["fusions"].values():
        if PROBE in fusion["auroc"]:
            found[PROBE], titles[PROBE] = float(fusion["auroc"][PROBE]), TERM_TITLES[PROBE]
    return _Tuned(kept.normal, kept.abnormal, found, titles)


def _place(column: str) -> tuple[bool, int, str]:
    """Return a sort key: fused scores first, then signals in their usual order."""
    names = [name for name in SCORE_NAMES if column == name or column.startswith(f"{name}_")]
    longest = max(names, key=len, default=column)
    place = SCORE_NAMES.index(longest) if longest in SCORE_NAMES else len(SCORE_NAMES)
    return longest not in FUSED, place, column
