"""Normal images passed at a stated share of missed abnormal ones, over seeds."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from cyclegan_ad.metrics.thresholds import PASSED
from cyclegan_ad.reporting.compute.aggregate import Statistic, Study
from cyclegan_ad.reporting.labels import Method
from cyclegan_ad.scoring.names import ScoreColumn

METRICS = (*PASSED, "auroc")


@dataclass(frozen=True, slots=True)
class Passed:
    """One method with one score on one dataset.

    Attributes:
        dataset: Name of the dataset.
        method: Column of Table 2.
        column: Score column.
        seeds: Seeds of the runs, ascending.
        statistics: ``pg0``, ``pg2``, ``pg5`` and ``auroc`` -> values over the seeds, in [0, 1].
        best: Those of them whose mean, rounded as shown, is the highest of several of the dataset.
        few: What few abnormal test images support, see `few_images`; None if they are many.
    """

    dataset: str
    method: Method
    column: ScoreColumn
    seeds: tuple[int, ...]
    statistics: dict[str, Statistic]
    best: frozenset[str]
    few: str | None


def gather_passed(study: Study) -> list[Passed]:
    """Gather the cells of a study, in its order; the thresholds are always set on the test set."""
    cells = {}
    means: dict[tuple[str, str], list[float]] = defaultdict(list)  # of a dataset and metric
    for key, entry in study.entries.items():
        rows = [
            run.metrics["scores"][entry.column.column]
            for run in study.runs
            if (run.dataset, run.method) == key[:2] and run.seed in entry.seeds
        ]
        cells[key] = {
            metric: Statistic(tuple(float(row[metric]) for row in rows)) for metric in METRICS
        }
        for metric, statistic in cells[key].items():
            means[entry.dataset, metric].append(_shown(statistic))
    return [
        Passed(
            dataset=entry.dataset,
            method=entry.method,
            column=entry.column,
            seeds=entry.seeds,
            statistics=cells[key],
            best=frozenset(
                metric
                for metric, statistic in cells[key].items()
                if len(beside := means[entry.dataset, metric]) > 1
                and _shown(statistic) == max(beside)
            ),
            few=entry.few,
        )
        for key, entry in study.entries.items()
    ]


def _shown(statistic: Statistic) -> float:
    return round(100 * statistic.mean, 2)
