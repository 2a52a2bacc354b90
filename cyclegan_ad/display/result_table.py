"""Result table at the end of a command, with the figures of the paper."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cyclegan_ad.display.numbers import FLAG, NOTHING, UNLIKE, in_ascii, percent
from cyclegan_ad.display.terminal import says_ascii_only, standard_output
from cyclegan_ad.display.thresholds import set_thresholds
from cyclegan_ad.metrics.thresholds import PASSED
from cyclegan_ad.metrics.wording import (
    CHOOSE_BEFOREHAND,
    PAPER_PROTOCOL,
    explain,
    few_images,
)
from cyclegan_ad.reference.table2 import PAPER_METRICS, PaperFigure, paper_figure, paper_method_name
from cyclegan_ad.text import counted, printable

_NOTE_COLUMNS = 100  # longer lines are hard to read


def result_tables(
    metrics: Mapping[str, Any], unlike: Sequence[str], *, ascii_only: bool = False
) -> tuple[list[Table], Text]:
    """Lay out the metrics of one run and its thresholds, a row a score, one number a cell.

    The first line of a row of metrics is this run; the second is the paper's mean and standard
    deviation for the same dataset, method and score, where it has one. Names of scores break over
    lines only if they are longer than the console has room for: 40 characters in 100 columns.

    Args:
        metrics: Content of ``metrics.json``; fractions in [0, 1], thresholds in raw units.
        unlike: Differences from the paper, see `differences_of_run`.
        ascii_only: Whether to write plus-minus and the marks in ASCII.

    Returns:
        The metrics, and the thresholds if there are any; what the tables mean.
    """
    scores: Mapping[str, Mapping[str, Any]] = metrics["scores"]
    method_name = paper_method_name(metrics["method"], metrics["resolution"])
    paper = {
        score: {
            metric: paper_figure(metrics["dataset"], method_name, score, metric)
            for metric in PAPER_METRICS
        }
        for score in scores
    }
    run = printable(
        f"{metrics['run']} on {metrics['dataset']}, seed {metrics['seed']}, "
        f"{counted(metrics['epochs'], 'epoch')}"
    )
    published = [figure for row in paper.values() for figure in row.values() if figure is not None]

    def text(words: str) -> Text:
        return Text(in_ascii(words) if ascii_only else words)

    found = _table(("ZFN\naccuracy %", "Best\naccuracy %", "AUROC %"), ascii_only)
    found.title = Text(run, style="bold")
    for name in PASSED:
        found.add_column(f"{name.upper()} %", justify="right", no_wrap=True)
    for score, row in scores.items():
        in_paper = any(figure is not None for figure in paper[score].values())
        mark = UNLIKE if unlike else ""
        name = printable(score)
        cells = [text(f"{name}\n  paper{mark}" if in_paper else name)]
        cells += [
            text("\n".join([percent(row[metric])] + [_published(paper[score][metric])] * in_paper))
            for metric in PAPER_METRICS
        ]
        found.add_row(*cells, *(Text(percent(row[name])) for name in PASSED))
    limits = {score: set_thresholds(metrics, score) for score in scores}
    names = list(dict.fromkeys(name for of_score in limits.values() for name in of_score))
    tables = [found]
    if names:
        thresholds = _table([f"{name}\nthreshold" for name in names], ascii_only)
        for score, of_score in limits.items():
            values = (f"{of_score[name]:.6g}" if name in of_score else NOTHING for name in names)
            thresholds.add_row(Text(printable(score)), *map(Text, values))
        tables.append(thresholds)
    return tables, text(_caption(metrics, published, unlike))


def _table(headings: Sequence[str], ascii_only: bool) -> Table:
    table = Table(
        title_justify="left",
        box=None if ascii_only else box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("Score", overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def print_result(
    metrics: Mapping[str, Any], unlike: Sequence[str], console: Console | None = None
) -> None:
    """Print `result_tables`, and the decisions of the protocol in words.

    Args:
        metrics: Content of ``metrics.json``.
        unlike: Differences from the paper, see `differences_of_run`.
        console: Destination; standard output by default.
    """
    console = console or standard_output()
    tables, notes = result_tables(metrics, unlike, ascii_only=says_ascii_only(console))
    for table in tables:
        console.print(table)
    console.print(notes, width=min(console.width, _NOTE_COLUMNS))
    decided = metrics["protocols"].get(metrics["protocol"], {})
    for column, decisions in decided.items():
        console.print(
            Text(f"protocol={metrics['protocol']}, {printable(column)}: {explain(decisions)}")
        )
    if len(decided) > 1:
        console.print(Text(CHOOSE_BEFOREHAND))


def _caption(
    metrics: Mapping[str, Any],
    published: list[PaperFigure],
    unlike: Sequence[str],
) -> str:
    normal, abnormal = metrics["test_normal"], metrics["test_abnormal"]
    if not abnormal:
        return f"{counted(normal, 'normal image')} kept out of training, no abnormal images."
    lines = [f"{counted(normal + abnormal, 'test image')}: {normal} normal, {abnormal} abnormal."]
    if few := few_images(metrics):
        lines.append(f"{few}.")
    lines.append(
        f"{PAPER_PROTOCOL} ZFN: the highest threshold that misses no abnormal image. ACC: the "
        "one with the most correct decisions. PG0, PG2, PG5: normal images passed if 0, 2, 5 % of "
        "the abnormal ones may be missed."
    )
    if published:
        lines.append("Paper: mean and standard deviation over 5 splits.")
    if published and unlike:
        lines.append(f"{UNLIKE} Different from the paper: {', '.join(unlike)}.")
    if any(figure.artefact for figure in published):
        lines.append(
            f"{FLAG} The paper's figures for this method come from an error in its "
            "code (one score shared by each batch) and do not describe the method."
        )
    if metrics["localisation"] is not None:
        found = metrics["localisation"]
        by = metrics["localisation_by"]
        computed = ", averaged over 8 symmetries," if by["tta"] == "dihedral" else ""
        computed += " in bf16" if by["precision"] == "bf16" else ""
        lines.append(
            f"Anomaly maps{computed} against the masks of "
            f"{counted(found['masked_images'], 'image')}: pixel "
            f"AUROC {percent(found['pixel_auroc'])} %, AUPRO {percent(found['aupro'])} %."
        )
    return "\n".join(lines)


def _published(figure: PaperFigure | None) -> str:
    if figure is None:
        return ""
    mark = FLAG if figure.artefact else ""
    return f"{figure.mean_percent:.2f}±{figure.std_percent:.2f}{mark}"
