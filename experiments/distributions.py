"""The picture of Figure 4: a histogram of both classes' scores for each dataset."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.drawing import CLASS_COLOURS, CLASS_NAMES, DPI, save_figure
from cyclegan_ad.reporting.labels import dataset_title, score_title
from cyclegan_ad.thresholds import summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes

THRESHOLDS: tuple[tuple[str, str, str, Literal["--", ":"]], ...] = (
    ("ZFN", "zfn_threshold", "zfn_accuracy", "--"),
    ("ACC", "max_accuracy_threshold", "max_accuracy", ":"),
)
_COLUMNS = 2
# Scores that span more than this factor are drawn on a logarithmic axis.
_WIDE_RATIO = 100.0


@dataclass(frozen=True)
class Distribution:
    """Scores of the test set of one run.

    Attributes:
        title: Name of the dataset.
        classes: Scores of the normal and of the abnormal images, each (N,) float64, raw units.
        summary: As `cyclegan_ad.thresholds.summarise` gives it.
    """

    title: str
    classes: tuple[NDArray[np.float64], NDArray[np.float64]]
    summary: dict[str, float]

    @classmethod
    def of(cls, dataset: str, scores: Sequence[float], labels: Sequence[int]) -> "Distribution":
        """Set the thresholds on the images themselves, as the paper does.

        Args:
            dataset: Name of the dataset.
            scores: (N,) raw units.
            labels: (N,) 0 normal, 1 abnormal; both occur.
        """
        values, abnormal = np.asarray(scores, np.float64), np.asarray(labels) == 1
        classes = (values[~abnormal], values[abnormal])
        return cls(dataset_title(dataset), classes, summarise(scores, labels))


def bin_edges(scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """Place the bins of a histogram.

    Args:
        scores: (N,) raw units.

    Returns:
        (K + 1,) edges around all scores, and whether they are even on a logarithmic axis.
    """
    low, high = float(scores.min()), float(scores.max())
    count = int(np.clip(2 * math.sqrt(scores.size), 12, 60))
    logarithmic = low > 0 and high > _WIDE_RATIO * low
    if logarithmic:
        low, high = math.log(low), math.log(high)
    margin = 0.02 * (high - low) or 0.05 * abs(low) or 1.0
    edges = np.linspace(low - margin, high + margin, count + 1)
    return (np.exp(edges) if logarithmic else edges), logarithmic


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
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    columns = min(_COLUMNS, len(found))
    rows = math.ceil(len(found) / columns)
    figure = Figure(
        figsize=(5.2 * columns, 2.5 * rows + 0.9), dpi=DPI, facecolor="white", layout="constrained"
    )
    panels = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes, distribution in zip(panels, found, strict=False):
        _draw(axes, distribution)
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    handles = [
        *(
            Patch(facecolor=colour, alpha=0.6, label=name)
            for name, colour in zip(CLASS_NAMES, CLASS_COLOURS, strict=True)
        ),
        *(
            Line2D([], [], color="black", linewidth=1.6, linestyle=style, label=f"{name} threshold")
            for name, _, _, style in THRESHOLDS
        ),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2 * columns, frameon=False)
    figure.supxlabel(
        f"{score_title(score)} (higher: more abnormal)\n"
        f"{source}. Both thresholds are set on the images shown: the accuracies are optimistic.",
        fontsize=10,
    )
    figure.supylabel("test images", fontsize=10)
    return save_figure(figure, path)


def _draw(axes: "Axes", distribution: Distribution) -> None:
    from matplotlib.ticker import MaxNLocator

    edges, logarithmic = bin_edges(np.concatenate(distribution.classes))
    bins = edges.tolist()
    for values, colour in zip(distribution.classes, CLASS_COLOURS, strict=True):
        axes.hist(values, bins=bins, color=colour, alpha=0.45)
        axes.hist(values, bins=bins, histtype="step", color=colour, linewidth=1.3)
    if logarithmic:
        axes.set_xscale("log")
    axes.set_xlim(bins[0], bins[-1])
    told = []
    for name, threshold, accuracy, style in THRESHOLDS:
        axes.axvline(distribution.summary[threshold], color="black", linewidth=1.6, linestyle=style)
        told.append(f"{name} {100 * distribution.summary[accuracy]:.1f} %")
    told.append(f"AUROC {100 * distribution.summary['auroc']:.1f} %")
    axes.set_title(distribution.title, loc="left", fontsize=11, fontweight="bold")
    axes.set_title(", ".join(told), loc="right", fontsize=8.5)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
