"""What belongs into the paper's Table 2, and what stands in tables beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cyclegan_ad.reference.paper import paper_table1
from cyclegan_ad.reporting.compute.aggregate import Entry, Study
from cyclegan_ad.reporting.labels import table2_row

PAPER, OTHER, OWN = "paper", "other", "own"


@dataclass(frozen=True, slots=True)
class Table2Parts:
    """The cells of a study with the scores of Table 2 and those that a method was asked for first.

    Attributes:
        paper: The paper's methods, under their usual names and at its sizes, on its datasets.
        other: Other methods, names, sizes and networks, on the paper's datasets.
        own: Everything on other datasets.
    """

    paper: Study
    other: Study
    own: Study


def part_of(entry: Entry) -> str | None:
    """Return the part that a cell belongs to; None for a further score of its method."""
    in_table2 = table2_row(entry.column, entry.method.name) is not None
    if not (in_table2 or entry.first):
        return None
    if entry.dataset not in paper_table1():
        return OWN
    return PAPER if in_table2 and entry.method.of_paper else OTHER


def part_study(study: Study) -> Table2Parts:
    """Divide the cells; datasets and methods keep their order."""

    def only(name: str) -> Study:
        entries = {key: one for key, one in study.entries.items() if part_of(one) == name}
        cells = {key[:2] for key in entries}
        return replace(
            study,
            runs=[
                r for r in study.runs if any(key[:2] == (r.dataset, r.method) for key in entries)
            ],
            datasets=[d for d in study.datasets if any(cell[0] == d for cell in cells)],
            methods=[m for m in study.methods if any(cell[1] == m for cell in cells)],
            entries=entries,
        )

    return Table2Parts(only(PAPER), only(OTHER), only(OWN))
