"""Table of results over the number of abnormal images that were used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cyclegan_ad.display.numbers import NOTHING
from cyclegan_ad.reporting.compute.few_abnormal import METRICS, Curve, Point
from cyclegan_ad.reporting.labels import (
    METRIC_TITLES,
    PASSED_TITLES,
    dataset_title,
    mean_and_std,
)
from cyclegan_ad.reporting.show.notes import FEW_ABNORMAL_NOTES, FEW_MARK, few_notes
from cyclegan_ad.reporting.show.text_tables import Text, TextTable

HEADER = [
    *("dataset", "run", "method", "resolution", "score", "max_abnormal", "abnormal", "metric"),
    *("seeds", "mean_percent", "std_percent"),
]
_TITLES = METRIC_TITLES | PASSED_TITLES


def few_abnormal_text(curves: Sequence[Curve]) -> TextTable:
    """Lay out the curves: a row a metric, a column a number of abnormal images."""
    limits = sorted({p.limit for c in curves for p in c.points if p.limit is not None})
    rows = []
    for curve in curves:
        of_limit = {point.limit: point for point in _reached(curve)}
        mark = f" ({FEW_MARK})" if curve.few is not None else ""
        for metric in METRICS:
            named = (dataset_title(curve.dataset), curve.method.title, curve.column.title)
            cells = [_cell(of_limit.get(limit), metric, mark) for limit in (*limits, None)]
            seeds = max(len(point.seeds) for point in curve.points)
            rows.append(
                tuple(map(Text, (*named, _TITLES[metric], *cells, _all(curve), str(seeds))))
            )
    header = ("Dataset", "Method", "Score", "Metric", *map(str, limits), "all", "All are", "Seeds")
    notes = (*FEW_ABNORMAL_NOTES, *_uneven(curves), *few_notes(curves))
    title = "How many defects a method needs: abnormal training images"
    return TextTable("few_abnormal", title, (), header, tuple(rows), notes, 4, 1)


def few_abnormal_rows(curves: Sequence[Curve]) -> list[list[Any]]:
    """Return the numbers of the curves, one figure a row, in the columns of `HEADER`."""
    rows: list[list[Any]] = []
    for curve in curves:
        method = curve.method
        named = [curve.dataset, method.run, method.name, method.resolution, curve.column.column]
        for point in curve.points:
            for metric, found in point.statistics.items():
                std = None if found.std is None else 100 * found.std
                seeds = " ".join(map(str, point.seeds))
                where = [*named, point.limit, point.abnormal, metric]
                rows.append([*where, seeds, 100 * found.mean, std])
    return rows


def _reached(curve: Curve) -> list[Point]:
    """Return the points whose number of images the dataset has; of others, all are used."""
    most = max(point.abnormal for point in curve.points)
    return [
        point
        for point in curve.points
        if point.limit is None or point.limit <= most or point.abnormal < most
    ]


def _cell(point: Point | None, metric: str, mark: str) -> str:
    if point is None:
        return NOTHING
    found = point.statistics[metric]
    return mean_and_std(found.mean, found.std) + mark


def _all(curve: Curve) -> str:
    """Return the number of all abnormal images; of none, if the method uses none."""
    if not curve.trains_on_abnormal:
        return "none used"
    return next((str(p.abnormal) for p in curve.points if p.limit is None), NOTHING)


def _uneven(curves: Sequence[Curve]) -> list[str]:
    """Say where the numbers of a curve have not the same seeds."""
    found = [
        f"{dataset_title(curve.dataset)}, {curve.method.title}, {curve.column.title}: "
        + ", ".join(
            f"{'all' if p.limit is None else p.limit} with seed {' '.join(map(str, p.seeds))}"
            for p in curve.points
        )
        for curve in curves
        if len({point.seeds for point in curve.points}) > 1
    ]
    return (
        [f"Not the same seeds, so not the same test images. {'; '.join(found)}."] if found else []
    )
