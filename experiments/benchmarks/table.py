"""The benchmark's table, for a terminal and as Markdown."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from experiments.benchmarks.rows import Row, table_rows
from experiments.benchmarks.targets import Target
from experiments.benchmarks.timing import Spread

# Mean number of processes ready to run, above which a measurement is not alone.
BUSY = 1.0

_COLUMNS = ("textbook", "ours", "ratio", "peak", "asked")

EXPLANATION = (
    "Medians over rounds in which the ways take turns; in brackets, the 10th and 90th percentile "
    "of the ratio within a round. Textbook: what is commonly written, in float32 "
    "(experiments/textbook_step.py, experiments/textbook_scores.py); for peak memory, ours without "
    "checkpointing; for several devices, one. Peak: the arithmetic a pair needs, over what a "
    "matrix product of that precision does in the same time, measured in the same rounds; "
    "above 100%, convolutions are faster than matrix products there."
)


def print_table(record: Mapping[str, Any], console: Console) -> None:
    """Print the table of a record."""
    ascii_only = not console.encoding.lower().startswith("utf")
    table = Table(
        title=heading(record),
        title_justify="left",
        title_style="bold",
        box=None if ascii_only else box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,
    )
    table.add_column("", overflow="fold")
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name == "asked" else "right", no_wrap=True)
    for group, rows in _groups(record):
        table.add_row(f"[bold]{group}[/bold]")
        for row in rows:
            cells = [cell.replace(", ", "\n") for cell in _cells(row)]
            table.add_row(f" {row.what}", *(_plain(cell) if ascii_only else cell for cell in cells))
    console.print(table)
    for note in _notes(record):
        console.print(note, markup=False, soft_wrap=True)
    console.print(f"\n{EXPLANATION}", markup=False)


def markdown_table(record: Mapping[str, Any]) -> str:
    """The table of a record with its heading, as Markdown."""
    lines = [
        f"**{heading(record)}**",
        "",
        f"| | {' | '.join(_COLUMNS)} |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for group, rows in _groups(record):
        lines.append(f"| **{group}** | | | | | |")
        lines += [f"| {row.what} | {' | '.join(_cells(row))} |" for row in rows]
    notes = [f"- {note}" for note in _notes(record)]
    return "\n".join([*lines, *(["", *notes] if notes else [])]) + "\n"


def heading(record: Mapping[str, Any]) -> str:
    """What was measured, with what, and when."""
    versions, machine = record["versions"], record["machine"]
    commit = versions["commit"]
    made = "commit unknown" if commit is None else f"commit {commit[:10]}"
    made += " with changes" if versions["changed"] else ""
    quick = " (quick)" if record["quick"] else ""
    return (
        f"{machine['name']}{quick}; torch {versions['packages']['torch']}, {made}, "
        f"{versions['date']}"
    )


def figure(value: float) -> str:
    """About three digits, and all those before the point.

    >>> figure(0.0312), figure(1.857), figure(67.06), figure(2067.5)
    ('0.031', '1.86', '67.1', '2,068')
    """
    digits = next((3 - i for i, limit in enumerate((0.1, 10, 100)) if value < limit), 0)
    return f"{value:,.{digits}f}"


def _notes(record: Mapping[str, Any]) -> list[str]:
    """What a reader has to know beside the figures."""
    notes = [f"{name}: {reason}" for name, reason in record["left_out"].items()]
    load = record["machine"]["load"]
    if load is not None and load[0] > BUSY:
        notes.append(f"the machine was not idle beforehand (load {load[0]:.1f})")
    return notes


def _groups(record: Mapping[str, Any]) -> list[tuple[str, list[Row]]]:
    by_group = groupby(table_rows(record), key=lambda row: f"{row.group}, {row.unit}")
    return [(group, list(rows)) for group, rows in by_group]


def _cells(row: Row) -> list[str]:
    return [
        "" if row.reference is None else figure(row.reference),
        "" if row.ours is None else figure(row.ours),
        "" if row.ratio is None else _ratio(row.ratio),
        "" if row.share is None else f"{row.share.median:.0%}",
        row.note or ", ".join(map(_asked, row.targets)),
    ]


def _ratio(ratio: Spread) -> str:
    if ratio.low == ratio.high:
        return figure(ratio.median)
    return f"{figure(ratio.median)} ({figure(ratio.low)}-{figure(ratio.high)})"


def _asked(target: Target) -> str:
    bound = f"{target.limit:.0%}" if target.quantity == "share" else f"{target.limit:g}"
    sign, verdict = "≥" if target.at_least else "≤", "ok" if target.reached else "missed"
    return f"{sign}{bound} {verdict}"


def _plain(text: str) -> str:
    return text.replace("≥", ">=").replace("≤", "<=")
