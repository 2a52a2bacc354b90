"""Table of what decided: the terms of fused scores and what they add to test images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cyclegan_ad.display.numbers import NOTHING
from cyclegan_ad.reporting.compute.aggregate import Statistic
from cyclegan_ad.reporting.compute.decided import CONSTANT, TOTAL, Decided, Term
from cyclegan_ad.reporting.labels import dataset_title, mean_and_std
from cyclegan_ad.reporting.show.text_tables import Text, TextTable
from cyclegan_ad.scoring.names import TERM_TITLES

HEADER = [
    *("dataset", "run", "method", "resolution", "score", "term", "seeds"),
    *("tuning_normal", "tuning_abnormal", "weight_mean", "weight_std"),
    *("tuning_auroc_mean_percent", "tuning_auroc_std_percent"),
    *("normal_mean", "normal_std", "abnormal_mean", "abnormal_std"),
]
TITLES = TERM_TITLES | {CONSTANT: "constant", TOTAL: "total: the score"}
NOTES = (
    "A fused score is a constant and a weighted term for each signal (of amounts the logarithm), "
    "which add up to log-odds: above 0 looks abnormal. Mean ± standard deviation over seeds.",
    "Weight, for the unit of the term, and AUROC come from the tuning images, which the networks "
    "did not train on; the AUROC of the total is by fits without the fold of the image. A weight "
    "of 0: the term adds nothing to the others, or points in the wrong direction.",
    "Normal, abnormal: what a term adds to the score of such test images, on average. The weights "
    "were fixed before the test images were scored.",
)


def decided_text(rows: Sequence[Decided]) -> TextTable:
    """Lay out the terms, a row a term."""
    header = (
        *("Dataset", "Fused score", "Term", "Weight", "AUROC on tuning images %"),
        *("Normal", "Abnormal", "Abnormal - normal", "Tuning images", "Seeds"),
    )
    lines = []
    for row in rows:
        images = f"{row.tuned_normal} + {row.tuned_abnormal}"
        for term in row.terms:
            apart = Statistic(
                tuple(
                    one - two
                    for one, two in zip(term.abnormal.values, term.normal.values, strict=True)
                )
            )
            cells = (
                dataset_title(row.dataset),
                f"{row.method.title}, {row.column.title}",
                title_of(term.name),
                _plain(term.weight),
                NOTHING if term.auroc is None else mean_and_std(term.auroc.mean, term.auroc.std),
                *map(_plain, (term.normal, term.abnormal)),
                NOTHING if term.name == CONSTANT else _plain(apart),
                *(images, str(len(row.seeds))),
            )
            lines.append(tuple(Text(cell, bold=term.name == TOTAL) for cell in cells))
    title = "What decided: terms of the fused scores"
    return TextTable("decided", title, (), header, tuple(lines), NOTES, 3, 2)


def decided_rows(rows: Sequence[Decided]) -> list[list[Any]]:
    """Return the numbers of the terms, a term a row, in the columns of `HEADER`."""
    return [
        [
            *(row.dataset, row.method.run, row.method.name, row.method.resolution),
            *(row.column.column, term.name, " ".join(map(str, row.seeds))),
            *(row.tuned_normal, row.tuned_abnormal, *_numbers(term)),
        ]
        for row in rows
        for term in row.terms
    ]


def title_of(term: str) -> str:
    """Return the title of a term, with the name of its signal.

    >>> title_of("sse"), title_of("constant")
    ('change to normal (sse)', 'constant')
    """
    return f"{TITLES[term]} ({term})" if term in TERM_TITLES else TITLES[term]


def _plain(found: Statistic | None) -> str:
    if found is None:
        return NOTHING
    return f"{found.mean:.2f}" + ("" if found.std is None else f" ± {found.std:.2f}")


def _numbers(term: Term) -> list[float | None]:
    found: list[float | None] = []
    for values, unit in ((term.weight, 1), (term.auroc, 100), (term.normal, 1), (term.abnormal, 1)):
        if values is None:
            found += [None, None]
        else:
            found += [unit * values.mean, None if values.std is None else unit * values.std]
    return found
