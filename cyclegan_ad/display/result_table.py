"""Result table at the end of a command, with the figures of the paper."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cyclegan_ad.display.terminal import (
    FLAG,
    NOTHING,
    UNLIKE,
    in_ascii,
    percent,
    says_ascii_only,
    standard_output,
)
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


def result_table(
    metrics: Mapping[str, Any], unlike: Sequence[str], *, ascii_only: bool = False
) -> Table:
    """Lay out the metrics of one run, one row a score, within 80 columns.

    The first line of a row is this run; the second is the paper's mean and standard deviation
    for the same dataset, method and score, where it has one.

    Args:
        metrics: Content of ``metrics.json``; fractions in [0, 1], thresholds in raw units.
        unlike: Differences from the paper, see `differences_of_run`.
        ascii_only: Whether to write plus-minus and the marks in ASCII.
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
    title = printable(
        f"{metrics['run']} on {metrics['dataset']}, seed {metrics['seed']}, "
        f"{counted(metrics['epochs'], 'epoch')}"
    )
    published = [figure for row in paper.values() for figure in row.values() if figure is not None]

    def text(words: str) -> Text:
        return Text(in_ascii(words) if ascii_only else words)

    table = Table(
        title=Text(title, style="bold"),
        caption=text(_caption(metrics, published, unlike)),
        title_justify="left",
        caption_justify="left",
        caption_style="",
        box=None if ascii_only else box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("Score", overflow="fold", max_width=22)
    for heading in ("ZFN\naccuracy %", "Best\naccuracy %", "AUROC %"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Normal\npassed %", justify="right", no_wrap=True)
    table.add_column("Threshold", justify="right", no_wrap=True)
    for score, row in scores.items():
        in_paper = any(figure is not None for figure in paper[score].values())
        mark = UNLIKE if unlike else ""
        name = printable(score)
        cells = [text(f"{name}\n  paper{mark}" if in_paper else name)]
        cells += [
            text(f"{percent(row[metric])}\n{_published(paper[score][metric])}")
            for metric in PAPER_METRICS
        ]
        passed = [f"{name.upper()} {percent(row[name])}" for name in PASSED]
        cells.append(Text(NOTHING if row["pg0"] is None else "\n".join(passed)))
        limits = set_thresholds(metrics, score)
        cells.append(Text("\n".join(f"{name} {value:.6g}" for name, value in limits.items())))
        table.add_row(*cells)
    return table


def print_result(
    metrics: Mapping[str, Any], unlike: Sequence[str], console: Console | None = None
) -> None:
    """Print `result_table`, and the decisions of the protocol in words.

    Args:
        metrics: Content of ``metrics.json``.
        unlike: Differences from the paper, see `differences_of_run`.
        console: Destination; standard output by default.
    """
    console = console or standard_output()
    console.print(result_table(metrics, unlike, ascii_only=says_ascii_only(console)))
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
    if few := few_images(abnormal, metrics["protocol_settings"]["confidence"]):
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
