"""Means and deviations over seeds, cell by cell, beside the figures of the paper."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from cyclegan_ad.metrics.wording import margin_is_lost
from cyclegan_ad.reporting.labels import Method, dataset_order, score_order, table2_row
from cyclegan_ad.reporting.read.choose_runs import ComparableRuns
from cyclegan_ad.reporting.read.read_run import Run
from cyclegan_ad.runs.results import PAPER_METRICS, PaperFigure, paper_figure
from cyclegan_ad.scoring.names import ScoreColumn


@dataclass(frozen=True, slots=True)
class Statistic:
    """Values of some seeds, fractions in [0, 1].

    Example:
        >>> Statistic((0.5, 0.7)).mean, round(Statistic((0.5, 0.7)).std, 4)
        (0.6, 0.1414)
        >>> Statistic((0.5,)).std is None
        True
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Arithmetic mean."""
        return statistics.fmean(self.values)

    @property
    def std(self) -> float | None:
        """Sample standard deviation (divided by n - 1); None for one value.

        The seeds are a sample of all splits. The paper divided by n: of its 5 runs on brain MRI,
        PaDiM's ZFN accuracy of 50.41 can only come from 3 of 50.00 and 2 of 51.02, whose
        deviation is 0.50 divided by n, as printed, and 0.56 divided by n - 1.
        """
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True, slots=True)
class Entry:
    """One method with one score on one dataset.

    Attributes:
        dataset: name.
        method: column of Table 2.
        column: score column.
        seeds: seeds behind it, ascending.
        statistics: metric -> values over the seeds; a metric that the protocol lacks is absent.
        paper: metric -> the paper's figure, where it has one.
        unlike_paper: what was not as in the paper; empty where it has no figure.
        margin: how far below the smallest abnormal score the thresholds lie, as a part of it; None
            under the paper's protocol.
        margin_is_lost: whether a threshold is 0, of which no part can be taken.
    """

    dataset: str
    method: Method
    column: ScoreColumn
    seeds: tuple[int, ...]
    statistics: dict[str, Statistic]
    paper: dict[str, PaperFigure]
    unlike_paper: tuple[str, ...] = ()
    margin: float | None = None
    margin_is_lost: bool = False

    def difference(self, metric: str) -> float | None:
        """Our mean minus the paper's, as a fraction.

        None where either is missing, or the paper's is an artefact: the difference from a figure
        that says nothing about the method says nothing either.
        """
        if metric not in self.statistics or metric not in self.paper:
            return None
        if self.paper[metric].artefact:
            return None
        return self.statistics[metric].mean - self.paper[metric].mean_percent / 100


@dataclass(frozen=True, slots=True)
class Study:
    """All cells.

    Attributes:
        protocol: which thresholds the accuracies belong to.
        runs: the runs behind them.
        datasets: in the paper's order.
        methods: in the paper's order.
        entries: by dataset, method and score column.
        without_protocol: runs and columns that the protocol has no accuracies for.
    """

    protocol: str
    runs: list[Run]
    datasets: list[str]
    methods: list[Method]
    entries: dict[tuple[str, Method, ScoreColumn], Entry]
    without_protocol: list[tuple[Run, ScoreColumn]] = field(default_factory=list)

    def columns(self, dataset: str) -> list[ScoreColumn]:
        """Score columns of a dataset, the paper's first."""
        found = {column for name, _, column in self.entries if name == dataset}
        return sorted(found, key=score_order)


def choose_protocol(runs: Sequence[Run], wanted: str | None) -> str:
    """The protocol asked for; else the one that all runs were evaluated with, else the paper's."""
    if wanted is not None:
        return wanted
    asked = {str(run.metrics.get("protocol")) for run in runs}
    return asked.pop() if len(asked) == 1 and "None" not in asked else "paper"


def build_study(runs: Sequence[Run], protocol: str, comparable: ComparableRuns) -> Study:
    """Gather the values of all cells.

    Args:
        runs: runs that may stand together, as `choose_consistent` gives them.
        protocol: ``paper``, ``crossfit`` or ``calibrated``: where the accuracies come from.
        comparable: those of them that were decided alike; all count under the paper's protocol,
            which has nothing to decide.
    """
    cells, missing = _cells(runs, protocol, comparable)
    entries = {}
    for (dataset, method, column), members in cells.items():
        statistics = {}
        paper = {}
        for metric in PAPER_METRICS:
            values = [_value(run, column, metric, protocol) for run in members]
            known = tuple(value for value in values if value is not None)
            if len(known) == len(values):
                statistics[metric] = Statistic(known)
            figure = paper_figure(dataset, method.in_paper, column.column, metric)
            if figure is not None:
                paper[metric] = figure
        first = members[0]
        honest = [run.metrics["protocols"].get(protocol, {}).get(column.column) for run in members]
        entries[dataset, method, column] = Entry(
            dataset=dataset,
            method=method,
            column=column,
            seeds=tuple(run.seed for run in members),
            statistics=statistics,
            paper=paper,
            unlike_paper=first.unlike_paper if paper else (),
            margin=None
            if protocol == "paper"
            else float(first.metrics["protocols"][protocol][column.column]["margin"]),
            margin_is_lost=any(row is not None and margin_is_lost(row) for row in honest),
        )
    return Study(
        protocol=protocol,
        runs=list(runs),
        datasets=sorted({run.dataset for run in runs}, key=dataset_order),
        methods=sorted({run.method for run in runs}, key=lambda method: method.order),
        entries=entries,
        without_protocol=missing,
    )


def _cells(
    runs: Sequence[Run], protocol: str, comparable: ComparableRuns
) -> tuple[dict[tuple[str, Method, ScoreColumn], list[Run]], list[tuple[Run, ScoreColumn]]]:
    """The runs of each cell, and the runs and columns that the protocol has nothing for."""
    cells: dict[tuple[str, Method, ScoreColumn], list[Run]] = defaultdict(list)
    missing = []
    for run in sorted(runs, key=lambda run: run.seed):
        for column in run.scores:
            key = (run.dataset, run.method, column)
            if protocol == "paper" or run in comparable.cells.get((protocol, *key), []):
                cells[key].append(run)
            elif column.column not in run.metrics["protocols"].get(protocol, {}):
                missing.append((run, column))
    return cells, missing


def _value(run: Run, column: ScoreColumn, metric: str, protocol: str) -> float | None:
    if protocol == "paper" or metric == "auroc":
        value = run.metrics["scores"][column.column][metric]
    else:
        name = "accuracy" if metric == "zfn_accuracy" else "max_accuracy"
        value = run.metrics["protocols"][protocol][column.column].get(name)
    return None if value is None else float(value)


def best_of(entries: Sequence[Entry], metric: str) -> set[tuple[Method, ScoreColumn]]:
    """Find the (method, score column) with the highest mean, as the reader sees it.

    Returns:
        All that share the highest, rounded to 0.01 percentage points; none if there is but one
        to choose from.
    """
    means = {
        (entry.method, entry.column): round(100 * entry.statistics[metric].mean, 2)
        for entry in entries
        if metric in entry.statistics
    }
    if len(means) < 2:
        return set()
    return {key for key, mean in means.items() if mean == max(means.values())}


def of_table2(study: Study, dataset: str, method: Method | None = None) -> list[Entry]:
    """Entries of a dataset that stand in Table 2, of one method or of all."""
    return [
        entry
        for entry in study.entries.values()
        if entry.dataset == dataset
        and (method is None or entry.method == method)
        and table2_row(entry.column, entry.method.name) is not None
    ]
