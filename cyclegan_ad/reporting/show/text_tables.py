"""Tables of the report as text, for the page, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from cyclegan_ad.display.numbers import NOTHING, percent
from cyclegan_ad.reporting.compute.aggregate import Study
from cyclegan_ad.reporting.compute.held_out import HeldOut
from cyclegan_ad.reporting.compute.normal_only import NormalOnly
from cyclegan_ad.reporting.compute.passed import METRICS, Passed
from cyclegan_ad.reporting.labels import (
    METRIC_TITLES,
    PASSED_TITLES,
    dataset_title,
    mean_and_std,
)
from cyclegan_ad.reporting.show.notes import (
    EMBEDDING_MARK,
    EXTENSION_NOTES,
    FEW_MARK,
    FLAG,
    HELD_OUT_NOTES,
    NORMAL_ONLY_NOTES,
    PASSED_NOTES,
    SUBSTITUTE_MARK,
    UNLIKE,
    few_notes,
    protocol_notes,
)
from cyclegan_ad.reporting.show.table2 import Block, Cell, Table2

_RATES = ("target", "expected", "bound")


@dataclass(frozen=True, slots=True)
class Text:
    """Text of a cell, and whether it is bold."""

    text: str
    bold: bool = False


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table to be written in several formats.

    Attributes:
        name: Name of the file, without its ending.
        title: Text above the table.
        groups: (heading, number of columns) above the header; may be empty.
        header: Names of the columns.
        rows: One text a column.
        notes: Texts below the table.
        text_columns: Number of columns, from the left, that hold words; the others hold numbers.
        sections: Number of these, from the left, that become headings above their rows where the
            format has such; rows with the same words follow each other.
    """

    name: str
    title: str
    groups: tuple[tuple[str, int], ...]
    header: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    notes: tuple[str, ...]
    text_columns: int = 2
    sections: int = 0

    @property
    def caption(self) -> str:
        """The title without a number of its own, which a document gives."""
        return self.title.removeprefix("Table 2: ")


def sections_of(table: TextTable) -> list[tuple[str, list[tuple[Text, ...]]]]:
    """Divide the rows of a table by the cells of `TextTable.sections`.

    Returns:
        Heading, and its rows without these cells; without sections one with an empty heading.
    """

    def heading(row: tuple[Text, ...]) -> str:
        return ", ".join(cell.text for cell in row[: table.sections])

    found = groupby(table.rows, heading)
    return [(name, [row[table.sections :] for row in rows]) for name, rows in found]


def table2_text(name: str, title: str, table: Table2, notes: Sequence[str]) -> TextTable:
    """Lay out a table with a row a method and score, and the paper's figures beside ours."""
    with_paper = any(
        cell.paper for row in table.rows for block in row.blocks if block for cell in block.cells
    )
    metrics = [f"{metric} %" for metric in METRIC_TITLES.values()]
    width = 2 if with_paper else 1
    groups = (("", 3), *((metric, width) for metric in metrics), ("", 1)) if with_paper else ()
    header = [*("Dataset", "Method", "Score"), *(["ours", "paper"] * 3 if with_paper else metrics)]
    rows = []
    # Rows of one dataset and name of a mean follow each other.
    for dataset, members in groupby(table.rows, attrgetter("dataset")):
        beside = list(members)
        for number, method in enumerate(table.methods):
            for row in beside:
                if (block := row.blocks[number]) is None:
                    continue
                unlike = f" {UNLIKE}" if any(cell.unlike for cell in block.cells) else ""
                # The note of the mark names the network.
                score = f"FID ({SUBSTITUTE_MARK})" if row.substitute else row.score
                score = "the better" if row.mean else score
                score += f" ({EMBEDDING_MARK})" if block.embedding else ""
                line = [Text(dataset), Text(method.title + unlike), Text(score)]
                for cell in block.cells:
                    few = f" ({FEW_MARK})" if block.few and cell.ours != NOTHING else ""
                    line.append(Text(cell.ours + few, cell.best))
                    if with_paper:
                        flag = FLAG if cell.flagged else ""
                        line.append(Text(cell.paper + flag if cell.paper else NOTHING))
                rows.append((*line, Text(block.behind)))
    return TextTable(
        name=name,
        title=title,
        groups=groups,
        header=(*header, "Mean over"),
        rows=tuple(rows),
        notes=tuple(notes),
        text_columns=3,
        sections=1,
    )


def marks(block: Block) -> str:
    """Return the marks of a method's figures: few test images, a distance of embeddings."""
    found = ((FEW_MARK, block.few), (EMBEDDING_MARK, block.embedding))
    return "".join(f" ({mark})" for mark, applies in found if applies)


def marked(cell: Cell) -> str:
    """Return the paper's figure with its marks; empty where there is none."""
    if not cell.paper:
        return ""
    return cell.paper + (FLAG if cell.flagged else "") + (UNLIKE if cell.unlike else "")


def held_out_text(rows: Sequence[HeldOut]) -> TextTable:
    """Lay out the decisions at held-out thresholds, a row a method and score."""
    header = (
        *("Protocol", "Dataset", "Method", "Score", "Set on", "Missed", "Miss rate %"),
        *("Expected %", "Guaranteed %", "Upper bound %"),
        *("False alarms", "False alarm rate %", "Accuracy %", "Best accuracy %", "Seeds"),
    )
    lines = []
    for row in rows:
        found, best = row.decisions, row.max_accuracy
        lines.append(
            (
                *(row.protocol, dataset_title(row.dataset), row.method.title, row.column.title),
                _set_on(found),
                f"{found['misses']} of {found['abnormal']}"
                + (f" ({FEW_MARK})" if row.few is not None else ""),
                percent(found["miss_rate"]),
                percent(row.expected, 1),
                percent(row.guaranteed, 1),
                percent(found["miss_rate_bound"], 1),
                f"{found['false_alarms']} of {found['normal']}",
                percent(found["false_alarm_rate"]),
                mean_and_std(row.accuracy.mean, row.accuracy.std),
                NOTHING if best is None else mean_and_std(best.mean, best.std),
                str(len(row.seeds)),
            )
        )
    title = "Held-out thresholds: set on other images than those they are judged on"
    notes = [*HELD_OUT_NOTES, *few_notes(rows)]
    return plain_table("protocols", title, header, lines, notes, 4, 2)


def passed_text(rows: Sequence[Passed]) -> TextTable:
    """Lay out the shares of normal images passed, a row a dataset, method and score."""
    header = ("Dataset", "Method", "Score", *PASSED_TITLES.values(), "AUROC", "Seeds")
    lines = []
    for row in rows:
        mark = f" ({FEW_MARK})" if row.few is not None else ""
        found = [(row.statistics[metric], metric in row.best) for metric in METRICS]
        lines.append(
            (
                *map(Text, (dataset_title(row.dataset), row.method.title, row.column.title)),
                *(Text(mean_and_std(one.mean, one.std) + mark, best) for one, best in found),
                Text(str(len(row.seeds))),
            )
        )
    title = "Normal images passed while few defects are missed"
    notes = (*PASSED_NOTES, *few_notes(rows))
    return TextTable("passed", title, (), header, tuple(lines), notes, 3, 1)


def _set_on(decisions: Mapping[str, Any]) -> str:
    """Return the images behind a threshold, with the number of folds if they have several fits."""
    folds = decisions.get("folds", 1)
    return str(decisions["calibration_abnormal"]) + (f" in {folds} folds" if folds > 1 else "")


def normal_only_text(rows: Sequence[NormalOnly]) -> TextTable:
    """Lay out the thresholds set on normal images alone, a row a run and score."""
    header = (
        *("Dataset", "Method", "Score", "Seed", "Images", "Threshold"),
        *("False alarms asked for %", "expected %", "upper bound %", "Confidence %"),
    )
    lines = [
        (
            *(dataset_title(row.run.dataset), row.run.method.title, row.column.title),
            *(str(row.run.seed), str(row.decisions["different"])),
            f"{row.decisions['thresholds'][0]:.6g}",
            *(percent(row.decisions[f"false_alarm_rate_{name}"], 1) for name in _RATES),
            f"{100 * row.decisions['confidence']:g}",
        )
        for row in rows
    ]
    title = "Normal images only: thresholds without a test"
    return plain_table("normal_only", title, header, lines, NORMAL_ONLY_NOTES, 3, 1)


def plain_table(
    name: str,
    title: str,
    header: tuple[str, ...],
    lines: Iterable[tuple[str, ...]],
    notes: Sequence[str],
    text_columns: int,
    sections: int,
) -> TextTable:
    """Make a table of plain cells."""
    rows = tuple(tuple(map(Text, line)) for line in lines)
    return TextTable(name, title, (), header, rows, tuple(notes), text_columns, sections)


def extension_text(table: Table2 | None, study: Study) -> TextTable:
    """Lay out the extension scores of a study; empty if there are none."""
    notes = [*protocol_notes(study), *EXTENSION_NOTES, *few_notes(study.entries.values())]
    return table2_text("extensions", "Extension scores", table or Table2((), ()), notes)
