"""Print runs among which a choice is made: AUROC on images kept out of their training."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cyclegan_ad.display.numbers import in_ascii
from cyclegan_ad.display.terminal import says_ascii_only, standard_output
from cyclegan_ad.reporting.compute.ablation import Ablation
from cyclegan_ad.reporting.labels import dataset_title, mean_and_std

_NOTE = (
    "AUROC in percent on images kept out of training (normal + abnormal), mean ± sample standard "
    "deviation over seeds. No figure of a test image is shown, so that none has a part in the "
    "choice; the AUROC of the best of several runs is optimistic."
)


def print_kept_out(rows: Sequence[Ablation], console: Console | None = None) -> None:
    """Print a row for each run and score; nothing for no rows.

    Args:
        rows: Result of :func:`cyclegan_ad.reporting.compute.ablation.gather_ablation`.
        console: Destination; standard output by default.
    """
    if not rows:
        return
    console = console or standard_output()
    ascii_only = says_ascii_only(console)

    def text(words: str) -> Text:
        return Text(in_ascii(words) if ascii_only else words)

    table = Table(box=None if ascii_only else box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Images kept out of training", overflow="fold", max_width=44)
    for heading in ("AUROC %", "Images", "n"):
        table.add_column(heading, justify="right", no_wrap=True)
    last = None
    for row in rows:
        if row.dataset != last:
            table.add_section()
            table.add_row(text(dataset_title(row.dataset)), style="bold")
            last = row.dataset
        for name, values in row.statistics.items():
            named = f"  {row.method.run}, {row.titles[name]}"
            found = mean_and_std(values.mean, values.std)
            images = f"{row.normal} + {row.abnormal}"
            table.add_row(text(named), text(found), images, str(len(row.seeds)))
    console.print(table)
    console.print(text(f"n: seeds. {_NOTE}"))
