"""Table of the comparisons of methods, where there are enough pairs for one."""

from __future__ import annotations

from collections.abc import Sequence

from cyclegan_ad.reporting.compute.aggregate import Study
from cyclegan_ad.reporting.compute.significance import ALPHA, Comparison
from cyclegan_ad.reporting.labels import METRIC_TITLES, probability, signed
from cyclegan_ad.reporting.show.notes import SIGNIFICANCE_NOTES, few_notes
from cyclegan_ad.reporting.show.text_tables import TextTable, plain_table
from cyclegan_ad.text import counted


def significance_text(comparisons: Sequence[Comparison], study: Study) -> TextTable:
    """Lay out the comparisons of methods that have enough pairs for a significant outcome."""
    header = (
        *("Metric", "First", "Second", "First minus second", "Pairs", "Datasets ahead"),
        *("p", "p (Holm)", "Result"),
    )
    lines = [
        (
            METRIC_TITLES[c.metric],
            *(f"{method.title}, {column.title}" for method, column in (c.first, c.second)),
            signed(c.difference),
            str(c.pairs),
            f"{c.datasets_ahead} of {c.datasets}",
            probability(c.p),
            probability(c.p_holm),
            _verdict(c),
        )
        for c in comparisons
        if not c.too_few
    ]
    title = "Methods compared on the splits they share"
    notes = [*SIGNIFICANCE_NOTES, *few_notes(study.entries.values())] if lines else []
    if too_few := too_few_pairs(comparisons):
        notes.insert(0, too_few)
    return plain_table("significance", title, header, lines, notes, 3, 1)


def too_few_pairs(comparisons: Sequence[Comparison]) -> str:
    """Say in one sentence why comparisons are not in the table; empty if all are."""
    alone = [c for c in comparisons if c.too_few]
    if not comparisons:
        return "No two methods were tested on the same split."
    if not alone:
        return ""
    pairs = sorted({c.pairs for c in alone})
    shared = str(pairs[0]) if len(pairs) == 1 else f"{pairs[0]} to {pairs[-1]}"
    which = (
        "All comparisons" if len(alone) == len(comparisons) else counted(len(alone), "comparison")
    )
    return (
        f"{which} of two methods: too few shared splits ({shared}) for any outcome to be "
        f"significant at {100 * ALPHA:g} %; the differences are in significance.csv."
    )


def _verdict(comparison: Comparison) -> str:
    if comparison.p_holm is not None and comparison.p_holm <= ALPHA:
        return "first is better" if comparison.difference > 0 else "second is better"
    return "no difference shown"
