"""The tables of the report as text, for Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cyclegan_ad.reporting.compute.honest_protocols import Honest
from cyclegan_ad.reporting.compute.significance import ALPHA, Comparison
from cyclegan_ad.reporting.labels import (
    METRIC_TITLES,
    NOTHING,
    Method,
    dataset_title,
    mean_and_std,
    percent,
    probability,
    signed,
)
from cyclegan_ad.reporting.show.notes import (
    EMBEDDING_MARK,
    EXTENSION_NOTES,
    FLAG,
    HONEST_NOTES,
    SIGNIFICANCE_NOTES,
    SUBSTITUTE_MARK,
    UNLIKE,
)
from cyclegan_ad.reporting.show.table2 import Cell, Table2
from cyclegan_ad.scoring.names import ScoreColumn


@dataclass(frozen=True, slots=True)
class Text:
    """Text of a cell, and whether it is in bold."""

    text: str
    bold: bool = False


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table to be written in several formats.

    Attributes:
        name: of the file, without its ending.
        title: above the table.
        groups: (heading, number of columns) above the header; empty for none.
        header: one a column.
        rows: as many texts as columns.
        notes: below the table.
        text_columns: how many columns, from the left, hold words; the others hold numbers.
    """

    name: str
    title: str
    groups: tuple[tuple[str, int], ...]
    header: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    notes: tuple[str, ...]
    text_columns: int = 2


def table2_text(name: str, title: str, table: Table2, notes: Sequence[str]) -> TextTable:
    """Lay out a table with the methods side by side; the paper's figures in rows of their own."""
    groups = [("", 3)] + [(method.title, len(METRIC_TITLES) + 1) for method in table.methods]
    header = ["Dataset", "Score", ""]
    header += [*METRIC_TITLES.values(), "Behind"] * len(table.methods)
    rows = []
    for row in table.rows:
        mark = f" ({SUBSTITUTE_MARK})" if row.substitute else ""
        cells = [None if block is None else block.cells for block in row.blocks]
        line = [Text(row.dataset), Text(row.score + mark), Text("ours")]
        for block in row.blocks:
            if block is None:
                line += [Text(NOTHING)] * (len(METRIC_TITLES) + 1)
                continue
            added = f" ({EMBEDDING_MARK})" if block.embedding else ""
            line += [Text(cell.ours + added, cell.best) for cell in block.cells]
            line.append(Text(block.behind))
        rows.append(tuple(line))
        if any(cell.paper for block in cells if block is not None for cell in block):
            rows.append(_second_line("paper", cells))
        if any(cell.difference for block in cells if block is not None for cell in block):
            rows.append(_second_line("difference", cells))
    return TextTable(name, title, tuple(groups), tuple(header), tuple(rows), tuple(notes), 3)


def _second_line(what: str, blocks: list[tuple[Cell, Cell, Cell] | None]) -> tuple[Text, ...]:
    line = [Text(""), Text(""), Text(what)]
    for block in blocks:
        for cell in block or (Cell(""), Cell(""), Cell("")):
            line.append(Text(marked(cell) if what == "paper" else cell.difference))
        line.append(Text(""))
    return tuple(line)


def marked(cell: Cell) -> str:
    """The paper's figure with its marks; empty where there is none."""
    if not cell.paper:
        return ""
    return cell.paper + (FLAG if cell.flagged else "") + (UNLIKE if cell.unlike else "")


def honest_text(rows: Sequence[Honest]) -> TextTable:
    """Lay out the honest protocols, a row a method and score."""
    header = (
        *("Protocol", "Dataset", "Method", "Score", "Missed", "Miss rate %", "Upper bound %"),
        *("False alarms", "False alarm rate %", "Accuracy %", "Best accuracy %", "Seeds"),
    )
    lines = []
    for row in rows:
        found = row.decisions
        best = row.max_accuracy
        lines.append(
            (
                Text(row.protocol),
                Text(dataset_title(row.dataset)),
                Text(row.method.title),
                Text(row.column.title),
                Text(f"{found['misses']} of {found['abnormal']}"),
                Text(percent(found["miss_rate"])),
                Text(percent(found["miss_rate_bound"], 1)),
                Text(f"{found['false_alarms']} of {found['normal']}"),
                Text(percent(found["false_alarm_rate"])),
                Text(mean_and_std(row.accuracy.mean, row.accuracy.std)),
                Text(NOTHING if best is None else mean_and_std(best.mean, best.std)),
                Text(str(len(row.seeds))),
            )
        )
    title = "Honest protocols: thresholds judged on other images than they were set on"
    return TextTable("protocols", title, (), header, tuple(lines), tuple(HONEST_NOTES), 4)


def significance_text(comparisons: Sequence[Comparison]) -> TextTable:
    """Lay out the comparisons of methods."""
    header = (
        *("Metric", "First", "Second", "First minus second", "Pairs", "Datasets ahead"),
        *("p", "p (Holm)", "Result"),
    )
    lines = [
        (
            Text(METRIC_TITLES[c.metric]),
            Text(entry_title(*c.first)),
            Text(entry_title(*c.second)),
            Text(signed(c.difference)),
            Text(str(c.pairs)),
            Text(f"{c.datasets_ahead} of {c.datasets}"),
            Text(probability(c.p)),
            Text(probability(c.p_holm)),
            Text(verdict(c)),
        )
        for c in comparisons
    ]
    title = "Methods compared on the splits they share"
    return TextTable("significance", title, (), header, tuple(lines), tuple(SIGNIFICANCE_NOTES), 3)


def entry_title(method: Method, column: ScoreColumn) -> str:
    """Title of a method with one of its scores."""
    return f"{method.title}, {column.title}"


def verdict(comparison: Comparison) -> str:
    """Say in words what a comparison shows."""
    if comparison.p_holm is not None and comparison.p_holm <= ALPHA:
        return "first is better" if comparison.difference > 0 else "second is better"
    if comparison.too_few:
        return "too few pairs for 5 %"
    return "no difference shown"


def extension_text(table: Table2 | None, protocol_notes: Sequence[str]) -> TextTable:
    """Lay out the extension scores; empty where there are none."""
    notes = [*protocol_notes, *EXTENSION_NOTES]
    return table2_text("extensions", "Extension scores", table or Table2((), ()), notes)
