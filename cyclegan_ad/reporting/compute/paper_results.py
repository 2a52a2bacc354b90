"""The paper's figures for a dataset, as rows of the final table."""

from __future__ import annotations

from dataclasses import dataclass

from cyclegan_ad.reference.table2 import PAPER_METRICS, PaperFigure, paper_figure

PAPER_METHODS = ("cyclegan-256", "cyclegan-64", "ganomaly", "padim", "patchcore")


@dataclass(frozen=True, slots=True)
class PaperResult:
    """A row of the paper's Table 2.

    Attributes:
        dataset: Name of the dataset.
        method: Name of the method there, see `paper_method_name`.
        score: ``sse`` or ``fid``; None for the best of all scores and sizes for each metric.
        figures: Metric -> the paper's figure, where it has one; PG0 follows from its ZFN accuracy,
            as its test sets have as many images of both classes.
    """

    dataset: str
    method: str
    score: str | None
    figures: dict[str, PaperFigure]


def gather_paper(dataset: str) -> list[PaperResult]:
    """Return the paper's figures for a dataset, those of its own method with the best of them."""
    rows = []
    for method in PAPER_METHODS:
        for score in ("sse", "fid"):
            figures = {
                metric: figure
                for metric in PAPER_METRICS
                if (figure := paper_figure(dataset, method, score, metric)) is not None
            }
            if figures:
                rows.append(PaperResult(dataset, method, score, _with_pg0(figures)))
    own = [row for row in rows if row.method.startswith("cyclegan")]
    if own:
        best = {
            metric: max((row.figures[metric] for row in own), key=lambda one: one.mean_percent)
            for metric in PAPER_METRICS
        }
        rows.insert(len(own), PaperResult(dataset, "cyclegan", None, _with_pg0(best)))
    return rows


def _with_pg0(figures: dict[str, PaperFigure]) -> dict[str, PaperFigure]:
    zfn = figures["zfn_accuracy"]
    pg0 = PaperFigure(2 * zfn.mean_percent - 100, 2 * zfn.std_percent, zfn.artefact)
    return figures | {"pg0": pg0}
