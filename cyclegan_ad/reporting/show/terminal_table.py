"""Print Table 2 in the terminal: a row a method and score, within 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cyclegan_ad.display.numbers import in_ascii
from cyclegan_ad.display.terminal import says_ascii_only, standard_output
from cyclegan_ad.reporting.compute.normal_only import NormalOnly
from cyclegan_ad.reporting.labels import METRIC_TITLES
from cyclegan_ad.reporting.read.read_run import LeftOut
from cyclegan_ad.reporting.show.notes import SUBSTITUTE_MARK
from cyclegan_ad.reporting.show.table2 import Block, Row, Table2
from cyclegan_ad.reporting.show.text_tables import marked, marks


def print_study(
    table: Table2,
    notes: Sequence[str],
    left_out: Sequence[LeftOut],
    console: Console | None = None,
    title: str = "Table 2",
) -> None:
    """Print a table, its notes and what was left out.

    Args:
        table: Table of `lay_out_table2`, `lay_out_beside` or `lay_out_sweep`.
        notes: Texts below the table.
        left_out: Runs and columns left out, listed below the notes.
        console: Destination; standard output by default.
        title: Title of the table.
    """
    console = console or standard_output()
    if not table.rows:
        console.print("No run has abnormal test images.")
        print_left_out(left_out, console)
        return
    ascii_only = says_ascii_only(console)

    def text(words: str) -> Text:
        return _encodable(in_ascii(words) if ascii_only else words, console)

    console.print(_table(table, text, ascii_only, title))
    behind = ", in MEAN datasets" if any(row.mean for row in table.rows) else ""
    for note in (f"n: seeds{behind}.", *notes):
        console.print(text(note))
    print_left_out(left_out, console)


def print_sentences(sentences: Sequence[str], console: Console | None = None) -> None:
    """Print the headline."""
    console = console or standard_output()
    ascii_only = says_ascii_only(console)
    for sentence in sentences:
        console.print(_encodable(in_ascii(sentence) if ascii_only else sentence, console))


def print_normal_only(rows: Sequence[NormalOnly], console: Console | None = None) -> None:
    """Print the thresholds of runs without abnormal images in words; nothing for an empty list."""
    console = console or standard_output()
    for row in rows:
        named = f"{row.run.shown}, {row.column.title}: {row.sentence}"
        console.print(_encodable(f"\n{named}", console))


def print_left_out(
    left_out: Sequence[LeftOut], console: Console | None = None, *, most: int | None = None
) -> None:
    """Print what was left out with the reasons; nothing for an empty list.

    Args:
        left_out: What was left out.
        console: Destination; standard output by default.
        most: Of more than these, the first ones, as ``left_out.csv`` has all; None: all.
    """
    if not left_out:
        return
    console = console or standard_output()
    console.print(f"\nLeft out ({len(left_out)}):")
    for row in left_out[:most]:
        console.print(_encodable(f"  {row.what}: {row.reason}", console), soft_wrap=True)
    if most is not None and len(left_out) > most:
        console.print(f"  and {len(left_out) - most} more: left_out.csv has all")


def _encodable(words: str, console: Console) -> Text:
    encoding = console.encoding
    return Text(words.encode(encoding, "backslashreplace").decode(encoding))


def _table(table: Table2, text: Callable[[str], Text], ascii_only: bool, title: str) -> Table:
    drawn = Table(box=None if ascii_only else box.SIMPLE_HEAD, pad_edge=False)
    drawn.add_column(title, overflow="fold")  # the only one that may break over lines
    for title in METRIC_TITLES.values():
        heading = f"{title} %".replace(" accuracy", "\naccuracy")
        drawn.add_column(heading, justify="right", no_wrap=True)
    drawn.add_column("n", justify="right", no_wrap=True)
    last = ""
    for row in table.rows:
        if row.dataset != last:
            drawn.add_section()
            drawn.add_row(text(row.dataset), style="bold")
            last = row.dataset
        for method, block in zip(table.methods, row.blocks, strict=True):
            if block is None:
                continue
            drawn.add_row(*_ours(method.title, row, block, text))
            if any(cell.paper for cell in block.cells):
                paper = [marked(cell) for cell in block.cells]
                drawn.add_row(text("    paper"), *(text(words) for words in paper), style="dim")
    return drawn


def _ours(title: str, row: Row, block: Block, text: Callable[[str], Text]) -> list[RenderableType]:
    mark = f" ({SUBSTITUTE_MARK})" if row.substitute else ""
    mark += marks(block)
    named = text(f"{title}{marks(block)}" if row.mean else f"{title}, {row.score}{mark}")
    cells = []
    for cell in block.cells:
        cells.append(text(cell.ours))
        if cell.best:
            cells[-1].stylize("bold")
    # Padding also indents what is broken over lines.
    return [Padding(named, (0, 0, 0, 2)), *cells, text(block.behind.split()[0])]
