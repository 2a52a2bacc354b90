"""Means and standard deviations over seeds for each cell, with the figures of the paper."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cyclegan_ad.metrics.wording import few_images, margin_is_lost
from cyclegan_ad.reference.table2 import PAPER_METRICS, PaperFigure, paper_figure
from cyclegan_ad.reporting.labels import Method, cell_order, dataset_order, table2_row
from cyclegan_ad.reporting.read.choose_runs import ComparableRuns
from cyclegan_ad.reporting.read.read_run import Run
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
        """Sample standard deviation (divided by n - 1, the paper by n); None for one value."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True, slots=True)
class Entry:
    """One method with one score on one dataset.

    Attributes:
        dataset: Name of the dataset.
        method: Column of Table 2.
        column: Score column.
        seeds: Seeds of the runs, ascending.
        statistics: Metric -> values over the seeds, without metrics that the protocol lacks.
        paper: Metric -> the paper's figure, where it has one.
        unlike_paper: Differences from the paper's settings; empty where it has no figure.
        margin: Margin of the thresholds, a fraction; None under the paper's protocol.
        margin_is_lost: Whether a threshold is 0, so that the margin has no effect.
        few: What few abnormal test images support, see `few_images`; None if they are many.
        first: Whether the column is the first score that the runs were asked for (``score.names``).
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
    few: str | None = None
    first: bool = False

    def difference(self, metric: str) -> float | None:
        """Our mean minus the paper's, a fraction; None if one is missing or an artefact."""
        ours, paper = self.statistics.get(metric), self.paper.get(metric)
        if ours is None or paper is None or paper.artefact:
            return None
        return ours.mean - paper.mean_percent / 100


@dataclass(frozen=True, slots=True)
class Study:
    """All cells.

    Attributes:
        protocol: Protocol of the accuracies.
        runs: All runs with abnormal test images.
        datasets: Names in the paper's order.
        methods: Methods in the paper's order.
        entries: Cells by dataset, method and score column, in this order.
        without_protocol: Runs and columns without accuracies of the protocol.
    """

    protocol: str
    runs: list[Run]
    datasets: list[str]
    methods: list[Method]
    entries: dict[tuple[str, Method, ScoreColumn], Entry]
    without_protocol: list[tuple[Run, ScoreColumn]] = field(default_factory=list)


def choose_protocol(runs: Sequence[Run], wanted: str | None) -> str:
    """Choose the wanted protocol; without one, that of all runs if they agree, else the paper's."""
    if wanted is not None:
        return wanted
    asked = {str(run.metrics.get("protocol")) for run in runs if run.tested}
    return asked.pop() if len(asked) == 1 and "None" not in asked else "paper"


def build_study(runs: Sequence[Run], protocol: str, comparable: ComparableRuns) -> Study:
    """Gather the values of all cells.

    Args:
        runs: Runs of `choose_consistent`; those without abnormal images are left out.
        protocol: Protocol of the accuracies: ``paper``, ``crossfit``, ``calibrated`` or
            ``crossval``.
        comparable: Those of the runs that were decided with the same settings; the paper's
            protocol has no such settings and takes all runs.
    """
    runs = [run for run in runs if run.tested]
    cells: dict[tuple[str, Method, ScoreColumn], list[Run]] = defaultdict(list)
    missing = []
    for run in sorted(runs, key=lambda run: run.seed):
        for column in run.scores:
            key = (run.dataset, run.method, column)
            if protocol == "paper" or run in comparable.cells.get((protocol, *key), []):
                cells[key].append(run)
            elif column.column not in run.metrics["protocols"].get(protocol, {}):
                missing.append((run, column))
    return Study(
        protocol=protocol,
        runs=runs,
        datasets=sorted({run.dataset for run in runs}, key=dataset_order),
        methods=sorted({run.method for run in runs}, key=lambda method: method.order),
        entries={key: _entry(*key, cells[key], protocol) for key in sorted(cells, key=cell_order)},
        without_protocol=missing,
    )


def _entry(
    dataset: str, method: Method, column: ScoreColumn, runs: list[Run], protocol: str
) -> Entry:
    statistics: dict[str, Statistic] = {}
    paper: dict[str, PaperFigure] = {}
    for metric in PAPER_METRICS:
        values = [_value(run, column, metric, protocol) for run in runs]
        known = tuple(value for value in values if value is not None)
        if len(known) == len(values):
            statistics[metric] = Statistic(known)
        figure = paper_figure(dataset, method.in_paper, column.column, metric)
        if figure is not None:
            paper[metric] = figure
    decided = [run.metrics["protocols"].get(protocol, {}).get(column.column) for run in runs]
    return Entry(
        dataset=dataset,
        method=method,
        column=column,
        seeds=tuple(run.seed for run in runs),
        statistics=statistics,
        paper=paper,
        unlike_paper=runs[0].unlike_paper if paper else (),
        margin=None if protocol == "paper" else float(decided[0]["margin"]),
        margin_is_lost=any(row is not None and margin_is_lost(row) for row in decided),
        few=few_of(runs),
        first=column == runs[0].first_score,
    )


def few_of(runs: Sequence[Run]) -> str | None:
    """Say what the abnormal test images of a cell support if they are few, see `few_images`.

    More seeds add none, as their test sets overlap; the one with the fewest independent counts.
    """
    return few_images(min((run.metrics for run in runs), key=_independent))


def _independent(metrics: Mapping[str, Any]) -> int:
    return int(metrics["independent"]["abnormal"])


def _value(run: Run, column: ScoreColumn, metric: str, protocol: str) -> float | None:
    if protocol == "paper" or metric == "auroc":
        value = run.metrics["scores"][column.column][metric]
    else:
        name = "accuracy" if metric == "zfn_accuracy" else "max_accuracy"
        value = run.metrics["protocols"][protocol][column.column].get(name)
    return None if value is None else float(value)


def best_of(entries: Sequence[Entry], metric: str) -> set[tuple[Method, ScoreColumn]]:
    """Find all (method, score column) whose mean, rounded as shown, is the highest of several."""
    means = {
        (entry.method, entry.column): round(100 * entry.statistics[metric].mean, 2)
        for entry in entries
        if metric in entry.statistics
    }
    return {key for key, mean in means.items() if len(means) > 1 and mean == max(means.values())}


def of_table2(study: Study, dataset: str, method: Method | None = None) -> list[Entry]:
    """Return the entries of a dataset in Table 2, of one method or of all."""
    return [
        entry
        for entry in study.entries.values()
        if entry.dataset == dataset
        and (method is None or entry.method == method)
        and table2_row(entry.column, entry.method.name) is not None
    ]
