"""Results over the number of abnormal images that were used, ``dataset.max_abnormal``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cyclegan_ad.methods.names import METHODS
from cyclegan_ad.reporting.compute.aggregate import Statistic, few_of
from cyclegan_ad.reporting.labels import Method, cell_order, dataset_order
from cyclegan_ad.reporting.read.read_run import LeftOut, Run
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.settings.train import training_differences
from cyclegan_ad.text import as_typed, printable

METRICS = ("auroc", "zfn_accuracy", "pg0")
_LIMIT = "dataset.max_abnormal"

CurveKey = tuple[str, Method, ScoreColumn]


@dataclass(frozen=True, slots=True)
class Point:
    """The runs with one number of abnormal images.

    Attributes:
        limit: ``dataset.max_abnormal``; None for all images.
        abnormal: Abnormal images outside the test set that were used.
        seeds: Seeds of the runs, ascending.
        statistics: ``auroc``, ``zfn_accuracy`` (threshold set on the test images) and ``pg0`` ->
            values over the seeds, in [0, 1].
    """

    limit: int | None
    abnormal: int
    seeds: tuple[int, ...]
    statistics: dict[str, Statistic]


@dataclass(frozen=True, slots=True)
class Curve:
    """One method with one score on one dataset.

    Attributes:
        dataset: Name of the dataset.
        method: Column of Table 2 that the runs with all images belong to.
        column: Score column.
        points: In ascending order of the number; of a method that trains on normal images alone,
            the one of its ordinary runs.
        trains_on_abnormal: Whether the method trains on abnormal images.
        first: Whether the column is the first score that the runs were asked for (``score.names``).
        few: What few abnormal test images support, see `few_images`; None if they are many.
    """

    dataset: str
    method: Method
    column: ScoreColumn
    points: tuple[Point, ...]
    trains_on_abnormal: bool
    first: bool
    few: str | None


def shown_curves(curves: Iterable[Curve]) -> list[Curve]:
    """Return the curves of the first score of each method, which was set before its results."""
    return [curve for curve in curves if curve.first]


def part_limited(runs: Iterable[Run]) -> tuple[list[Run], list[Run]]:
    """Return the ordinary runs and those with a limit, which no other table may contain."""
    ordinary: list[Run] = []
    limited: list[Run] = []
    for run in runs:
        (ordinary if run.config.dataset.max_abnormal is None else limited).append(run)
    return ordinary, limited


def gather_curves(
    ordinary: Sequence[Run], limited: Sequence[Run]
) -> tuple[list[Curve], list[LeftOut]]:
    """Gather the curves of the methods that have runs with a limit, and lines to compare with.

    The points of a curve differ in nothing but ``dataset.max_abnormal`` and the seeds.

    Args:
        ordinary: Runs with all images.
        limited: Runs with a limit.

    Returns:
        The curves, by dataset, method and score; on their datasets, the methods that train on
        normal images alone follow in the same order. And the limited runs that are in no curve,
        with the reason.
    """
    methods: dict[tuple[str, Method], list[Run]] = defaultdict(list)
    left_out = []
    for run in limited:
        if _trains_on_abnormal(run):
            methods[run.dataset, _without_limit(run)].append(run)
        else:
            left_out.append(
                LeftOut(
                    run.shown,
                    f"method={run.method.name} trains on normal images alone, so {_LIMIT} does not "
                    "change it; its ordinary runs are in the tables",
                )
            )
    shown_on = {dataset for dataset, _ in methods}
    for run in ordinary:
        key = run.dataset, run.method
        compared = run.dataset in shown_on and not _trains_on_abnormal(run)
        if run.tested and (key in methods or compared):
            methods[key].append(run)
    curves: dict[CurveKey, Curve] = {}
    for (dataset, method), members in methods.items():
        alike, others = _alike(members)
        left_out += others
        columns = {column for run in alike for column in run.scores}
        for column in columns:
            having = [run for run in alike if column in run.scores]
            asked = having[0].config.score.columns
            curves[dataset, method, column] = Curve(
                dataset=dataset,
                method=method,
                column=column,
                points=_points(having, column),
                trains_on_abnormal=_trains_on_abnormal(having[0]),
                first=column == next((one for one in asked if one in columns), column),
                few=few_of(having),
            )

    def order(key: CurveKey) -> tuple[object, ...]:
        return dataset_order(key[0]), not curves[key].trains_on_abnormal, cell_order(key)

    return [curves[key] for key in sorted(curves, key=order)], left_out


def _trains_on_abnormal(run: Run) -> bool:
    return "abnormal" in METHODS[run.method.name].train_classes


def _without_limit(run: Run) -> Method:
    """Return the method of the runs with all images that a run with a limit belongs to."""
    name = run.method.run.removeprefix(f"few-{run.config.dataset.max_abnormal}-")
    return replace(run.method, run=name)


def _alike(runs: Sequence[Run]) -> tuple[list[Run], list[LeftOut]]:
    """Keep the runs that differ from the first in the limit and the seed alone.

    The first is one with all images, if there is one.
    """
    ordered = sorted(
        runs,
        key=lambda run: (run.config.dataset.max_abnormal is not None, run.seed, run.shown),
    )
    first = ordered[0]
    kept, left_out = [], []
    for run in ordered:
        different = [
            f"{name}={as_typed(new)} (kept: {as_typed(old)})"
            for name, old, new in training_differences(
                first.config.training(), run.config.training()
            )
            if name not in ("seed", _LIMIT)
        ]
        if run.images != first.images:
            different.append("other images in the dataset (see split.csv)")
        if not different:
            kept.append(run)
        elif run.config.dataset.max_abnormal is not None:
            reason = printable(
                f"differs in {'; '.join(different)} from the runs of its curve ({first.shown}); "
                "train it again with the same settings"
            )
            left_out.append(LeftOut(run.shown, reason))
    return kept, left_out


def _points(runs: Sequence[Run], column: ScoreColumn) -> tuple[Point, ...]:
    by_limit: dict[int | None, dict[int, Run]] = defaultdict(dict)
    for run in runs:
        by_limit[run.config.dataset.max_abnormal].setdefault(run.seed, run)
    points = []
    for limit, of_seed in by_limit.items():
        members = [of_seed[seed] for seed in sorted(of_seed)]
        rows = [run.metrics["scores"][column.column] for run in members]
        statistics = {
            metric: Statistic(tuple(float(row[metric]) for row in rows)) for metric in METRICS
        }
        points.append(Point(limit, members[0].abnormal_used, tuple(sorted(of_seed)), statistics))
    return tuple(sorted(points, key=lambda point: (point.limit is None, point.abnormal)))
