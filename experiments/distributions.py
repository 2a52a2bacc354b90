"""The picture of Figure 4: a histogram of both classes' scores for each dataset."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.display.drawing import CLASS_COLOURS, CLASS_NAMES, DPI, save_figure
from cyclegan_ad.display.histogram import draw_scores
from cyclegan_ad.metrics.thresholds import summarise
from cyclegan_ad.reporting.labels import dataset_title, score_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Name, and its entries in a summary.
THRESHOLDS = (
    ("ZFN", "zfn_threshold", "zfn_accuracy"),
    ("ACC", "max_accuracy_threshold", "max_accuracy"),
)
_COLUMNS = 2
# Of the names of the thresholds above a panel: their size in points, and from one to the next as a
# part of the panel's height.
_FONT_SIZE, _LINE_SPACING = 8.5, 0.085


@dataclass(frozen=True)
class Distribution:
    """Scores of the test set of one run.

    Attributes:
        title: Name of the dataset.
        scores: (N,) float64, raw units.
        labels: (N,) int, 0 normal, 1 abnormal.
        summary: As `cyclegan_ad.metrics.thresholds.summarise` gives it.
    """

    title: str
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    summary: dict[str, float]

    @classmethod
    def of(cls, dataset: str, scores: Sequence[float], labels: Sequence[int]) -> "Distribution":
        """Set the thresholds on the images themselves, as the paper does.

        Args:
            dataset: Name of the dataset.
            scores: (N,) raw units.
            labels: (N,) 0 normal, 1 abnormal; both occur.
        """
        return cls(
            title=dataset_title(dataset),
            scores=np.asarray(scores, np.float64),
            labels=np.asarray(labels, np.int64),
            summary=summarise(scores, labels),
        )


def draw_distributions(found: Sequence[Distribution], score: str, source: str, path: Path) -> Path:
    """Draw one histogram a dataset.

    Args:
        found: At least one.
        score: Column of scores.csv.
        source: What the runs are called, for the line below the figure.
        path: The PNG file to write.

    Returns:
        ``path``.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    columns = min(_COLUMNS, len(found))
    rows = math.ceil(len(found) / columns)
    figure = Figure(
        figsize=(5.2 * columns, 2.9 * rows + 0.9), dpi=DPI, facecolor="white", layout="constrained"
    )
    panels = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes, distribution in zip(panels, found, strict=False):
        _draw(axes, distribution)
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    handles = [
        Patch(facecolor=colour, alpha=0.6, label=name)
        for name, colour in zip(CLASS_NAMES, CLASS_COLOURS, strict=True)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False)
    figure.supxlabel(
        f"{score_title(score)} (higher: more abnormal)\n"
        f"{source}. Both thresholds are set on the images shown: the accuracies are optimistic.",
        fontsize=10,
    )
    figure.supylabel("test images", fontsize=10)
    return save_figure(figure, path)


def _draw(axes: "Axes", distribution: Distribution) -> None:
    summary = distribution.summary
    draw_scores(
        axes,
        distribution.scores,
        distribution.labels,
        {name: summary[threshold] for name, threshold, _ in THRESHOLDS},
        font_size=_FONT_SIZE,
        line_spacing=_LINE_SPACING,
    )
    told = [f"{name} {100 * summary[accuracy]:.1f} %" for name, _, accuracy in THRESHOLDS]
    told.append(f"AUROC {100 * summary['auroc']:.1f} %")
    above = _FONT_SIZE * (2 * len(THRESHOLDS) - 0.5)
    axes.set_title(distribution.title, loc="left", fontsize=11, fontweight="bold", pad=above)
    axes.set_title(", ".join(told), loc="right", fontsize=_FONT_SIZE, pad=above)
