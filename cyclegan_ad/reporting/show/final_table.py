"""The final table as text: all methods, without copies in the test set, against the probe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cyclegan_ad.display.numbers import FLAG, NOTHING, percent
from cyclegan_ad.reference.table2 import PaperFigure
from cyclegan_ad.reporting.compute.final import (
    BASELINE,
    METRICS,
    Difference,
    Result,
)
from cyclegan_ad.reporting.compute.held_out import HeldOut
from cyclegan_ad.reporting.compute.paper_results import PaperResult, gather_paper
from cyclegan_ad.reporting.labels import (
    METHOD_TITLES,
    METRIC_TITLES,
    PASSED_TITLES,
    dataset_title,
    mean_and_std,
    signed,
)
from cyclegan_ad.reporting.show.notes import FEW_MARK, few_notes
from cyclegan_ad.reporting.show.text_tables import Text, TextTable

HEADER = [
    *("dataset", "source", "run", "method", "resolution", "score", "test_images", "metric"),
    *("seeds", "mean_percent", "std_percent", "artefact"),
]
DIFFERENCES_HEADER = [
    *("dataset", "run", "method", "resolution", "score", "metric", "difference_points"),
    *("at_least_as_good", "splits"),
]
PAPER = "Paper"
"""Begin of the titles of the paper's rows."""

_TITLES = METRIC_TITLES | PASSED_TITLES
_SHOWN = tuple(f"{_TITLES[metric]} %" for metric in METRICS)
_BETTER = "better of SSE and FID, by test result"
_BEST = "best score and size, by test result"
_PAPER_SIZES = {"cyclegan-256": "CycleGAN 256 px", "cyclegan-64": "CycleGAN 64 px"}


def final_text(results: Sequence[Result]) -> TextTable:
    """Lay out the final table, with the paper's rows below those of each dataset."""
    header = (
        *("Dataset", "Method", "Score", *_SHOWN),
        *("Missed, crossfit", "Passed %, crossfit"),
        *("Also by", "Missed", "Stated bound %", "Passed %", "Seeds"),
    )
    rows: list[tuple[Text, ...]] = []
    for dataset in dict.fromkeys(result.dataset for result in results):
        for one in results:
            if one.dataset == dataset:
                shown = [
                    mean_and_std(one.statistics[m].mean, one.statistics[m].std) for m in METRICS
                ]
                cells = [*_named(one), *(text + _mark(one) for text in shown)]
                decided = *_counts(one.crossfit), *_decided(one.by_training)
                rows.append(_texts(*cells, *decided, str(len(one.seeds))))
        rows += [_of_paper(row, len(header)) for row in gather_paper(dataset)]
    notes = (*FINAL_NOTES, *few_notes(results))
    return TextTable("final", "Final table: all methods", (), header, tuple(rows), notes, 3, 1)


def without_copies_text(results: Sequence[Result]) -> TextTable:
    """Lay out the same figures without test images that have a copy among the images used."""
    header = (
        *("Dataset", "Method", "Score", *_SHOWN, "Left out"),
        *("Missed, crossfit", "Passed %, crossfit"),
        *("Also by", "Missed", "Passed %", "Seeds"),
    )
    rows = []
    for one in results:
        found = one.without_copies
        if found is None:
            continue
        shown = [mean_and_std(found[m].mean, found[m].std) if found else NOTHING for m in METRICS]
        cells = [text + _mark(one) for text in shown]
        by = one.by_training
        decided = (
            *_counts(one.crossfit, independent=True),
            *(NOTHING if by is None else by.protocol, *_counts(by, independent=True)),
        )
        end = *decided, str(len(one.seeds))
        rows.append(_texts(*_named(one), *cells, _range(one.copies), *end))
    title = "Without test images that have a byte-identical copy in training"
    notes = (*COPIES_NOTES, *few_notes(results)) if rows else ()
    return TextTable("final_without_copies", title, (), header, tuple(rows), notes, 3, 1)


def differences_text(results: Sequence[Result]) -> TextTable:
    """Lay out the paired differences to the linear probe."""
    header = ("Dataset", "Method", "Score", *(f"{_TITLES[m]}, points" for m in METRICS), "Splits")
    rows = []
    for one in results:
        if one.differences:
            each = [one.differences[metric] for metric in METRICS]
            splits = str(each[0].splits)
            rows.append(_texts(*_named(one), *map(_against, each), splits))
    title = "Compared with the linear probe, split by split"
    notes = (*DIFFERENCE_NOTES, *few_notes(results)) if rows else ()
    return TextTable("final_differences", title, (), header, tuple(rows), notes, 3, 1)


def final_rows(results: Sequence[Result]) -> list[list[Any]]:
    """Return the numbers of both tables, one figure a row, in the columns of `HEADER`."""
    rows: list[list[Any]] = []
    for one in results:
        score = "better_of_sse_and_fid" if one.column is None else one.column.column
        named = [one.dataset, "ours", one.method.run, one.method.name, one.method.resolution, score]
        seeds = " ".join(map(str, one.seeds))
        for images, found in (("all", one.statistics), ("without_copies", one.without_copies)):
            for metric, values in (found or {}).items():
                std = None if values.std is None else 100 * values.std
                rows.append([*named, images, metric, seeds, 100 * values.mean, std, None])
    for dataset in dict.fromkeys(result.dataset for result in results):
        for row in gather_paper(dataset):
            score = row.score or "best_of_score_and_size"
            named = [dataset, "paper", None, row.method, None, score, "all"]
            for metric, figure in row.figures.items():
                numbers = (figure.mean_percent, figure.std_percent, figure.artefact)
                rows.append([*named, metric, None, *numbers])
    return rows


def difference_rows(results: Sequence[Result]) -> list[list[Any]]:
    """Return the paired differences, one a row, in the columns of `DIFFERENCES_HEADER`."""
    return [
        [
            *(one.dataset, one.method.run, one.method.name, one.method.resolution),
            *("" if one.column is None else one.column.column, metric),
            *(100 * found.mean, found.at_least, found.splits),
        ]
        for one in results
        for metric, found in one.differences.items()
    ]


def _named(one: Result) -> tuple[str, str, str]:
    score = _BETTER if one.column is None else one.column.title
    return dataset_title(one.dataset), one.method.title, score


def _counts(row: HeldOut | None, *, independent: bool = False) -> tuple[str, str]:
    """Return the missed abnormal images and the share of normal ones that passed."""
    found = None if row is None else row.decisions
    if found is not None and independent:
        found = found["independent"]
    if found is None or not (found["abnormal"] and found["normal"]):
        return NOTHING, NOTHING
    passed = 1 - found["false_alarms"] / found["normal"]
    return f"{found['misses']} of {found['abnormal']}", percent(passed)


def _decided(row: HeldOut | None) -> tuple[str, ...]:
    if row is None:
        return (NOTHING,) * 4
    missed, passed = _counts(row)
    return row.protocol, missed, percent(row.guaranteed), passed


def _of_paper(row: PaperResult, width: int) -> tuple[Text, ...]:
    name = _PAPER_SIZES.get(row.method, METHOD_TITLES[row.method.partition("-")[0]])
    shown = [_published(row.figures.get(metric)) for metric in METRICS]
    score = _BEST if row.score is None else row.score.upper()
    cells = [dataset_title(row.dataset), f"{PAPER}: {name}", score, *shown]
    return _texts(*cells, *[NOTHING] * (width - len(cells) - 1), "5")


def _published(figure: PaperFigure | None) -> str:
    if figure is None:
        return NOTHING
    mark = FLAG if figure.artefact else ""
    return f"{figure.mean_percent:.2f} ± {figure.std_percent:.2f}{mark}"


def _against(found: Difference) -> str:
    return f"{signed(found.mean)} ({found.at_least} of {found.splits})"


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


def _mark(one: Result) -> str:
    return "" if one.few is None else f" ({FEW_MARK})"


def _texts(*cells: str) -> tuple[Text, ...]:
    return tuple(map(Text, cells))


FINAL_NOTES = (
    "Mean ± sample standard deviation over seeds, in percent. Optimistic: the thresholds of ZFN "
    "accuracy, best accuracy and PG0 were set on the test images, as in the paper. Single signals "
    "are under Extension scores.",
    "Missed: abnormal test images that passed, over all seeds; passed: normal ones. crossfit: at "
    "thresholds set on other test images, for all methods alike. Also by: crossval, else "
    "calibrated, where there is one; at thresholds set on abnormal images outside the test set, "
    "beside the bound on the miss rate that was stated beforehand, averaged over draws. A protocol "
    "with more abnormal images has a lower threshold: compare methods within one protocol. All are "
    "under Held-out thresholds.",
    f"“{_BETTER}”: the higher mean of the two for each metric, which is how the paper chooses. It "
    "was known only after the test and is nobody's result; no other row was chosen so.",
    f"{PAPER}: mean ± standard deviation over 5 splits, divided by n. Its PG0 is 2 ZFN accuracy - "
    f"100, as its test sets are balanced. {FLAG} Artefact of the published code.",
)
COPIES_NOTES = (
    "Left out: test images with the same bytes as an image outside the test set, fewest and most "
    "of a seed; the same ones for every method. They flatter a classifier most, and one whose copy "
    "sets a threshold cannot be missed. Missed and passed: different images, each once a seed. "
    "Datasets without copies are not listed.",
)
DIFFERENCE_NOTES = (
    f"Mean of the method's figure minus that of the {METHOD_TITLES[BASELINE].lower()} on the same "
    "test images, in percentage points, by the first score that the probe was asked for; in "
    "brackets, the splits on which the method is at least as good. Thresholds set on the test "
    "images (optimistic), for both.",
)
