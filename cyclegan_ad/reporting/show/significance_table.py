"""Matrix of the differences between methods, where there are enough datasets for one."""

from __future__ import annotations

from collections.abc import Sequence

from cyclegan_ad.display.numbers import NOTHING
from cyclegan_ad.reporting.compute.aggregate import Study
from cyclegan_ad.reporting.compute.significance import ALPHA, Comparison, Scored, is_shown
from cyclegan_ad.reporting.labels import METRIC_TITLES, score_order, signed
from cyclegan_ad.reporting.show.notes import SIGNIFICANCE_NOTES, few_notes
from cyclegan_ad.reporting.show.text_tables import Text, TextTable
from cyclegan_ad.text import counted

SIGNIFICANT = "*"


def significance_text(comparisons: Sequence[Comparison], study: Study) -> TextTable:
    """Lay out the comparisons of methods that share enough datasets: the row minus the column."""
    enough = [c for c in comparisons if not c.too_few]
    compared = {one for c in enough for one in (c.first, c.second)}
    methods = sorted(compared, key=lambda one: (one[0].order, score_order(one[1])))
    found: dict[tuple[str, Scored, Scored], tuple[float, bool]] = {}
    for c in enough:
        found[c.metric, c.first, c.second] = (c.difference, is_shown(c))
        found[c.metric, c.second, c.first] = (-c.difference, is_shown(c))
    metrics = dict.fromkeys(c.metric for c in enough)
    rows = tuple(
        (
            Text(METRIC_TITLES[metric]),
            Text(_name(one)),
            *(_cell(found.get((metric, one, other))) for other in methods),
        )
        for metric in metrics
        for one in methods
    )
    notes = [*SIGNIFICANCE_NOTES, *few_notes(study.entries.values())] if rows else []
    if too_few := too_few_datasets(comparisons):
        notes.insert(0, too_few)
    title = "Methods compared on the splits they share"
    header = ("Metric", "Row minus column, points", *map(_name, methods))
    return TextTable("significance", title, (), header, rows, tuple(notes), 2, 1)


def too_few_datasets(comparisons: Sequence[Comparison]) -> str:
    """Say in one sentence why comparisons are not in the table; empty if all are."""
    if not comparisons:
        return "No two methods were tested on the same split."
    alone = [c for c in comparisons if c.too_few]
    if not alone:
        return ""
    numbers = sorted({c.datasets for c in alone})
    shared = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
    which = (
        "All comparisons" if len(alone) == len(comparisons) else counted(len(alone), "comparison")
    )
    return (
        f"{which} of two methods: too few shared datasets ({shared}) for any outcome to be "
        f"significant at {100 * ALPHA:g} %; the differences are in significance.csv."
    )


def _name(scored: Scored) -> str:
    method, column = scored
    return f"{method.title}, {column.title}"


def _cell(found: tuple[float, bool] | None) -> Text:
    if found is None:
        return Text(NOTHING)
    difference, significant = found
    return Text(signed(difference) + SIGNIFICANT * significant, significant)
