"""Histograms of the scores of both classes, with the thresholds."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.display.drawing import CLASS_COLOURS, CLASS_NAMES, DPI, to_numpy
from cyclegan_ad.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Scores whose maximum is this many times their median are shown on a logarithmic axis.
_HEAVY_TAIL_RATIO = 20.0

OPTIMISTIC = "Both thresholds were set on these test images: their accuracies are optimistic."
NORMAL_ONLY = "The threshold was set on these normal images, which were kept out of training."


def set_thresholds(metrics: Mapping[str, Any], column: str) -> dict[str, float]:
    """Return the thresholds to draw for a score: name -> value, raw units.

    Args:
        metrics: Content of ``metrics.json``.
        column: Score column.

    Returns:
        ``ZFN`` and ``ACC``; for a run without abnormal images ``quantile``.
    """
    row = metrics["scores"][column]
    if row["zfn_threshold"] is not None:
        return {"ZFN": row["zfn_threshold"], "ACC": row["max_accuracy_threshold"]}
    decided = metrics["protocols"].get("quantile", {})
    return {"quantile": decided[column]["thresholds"][0]} if column in decided else {}


def score_figure(
    scores: Any, labels: Any, thresholds: Mapping[str, float], score_name: str
) -> "Figure":
    """Draw the histograms of both classes' scores, with the thresholds.

    Args:
        scores: (N,) float, raw units.
        labels: (N,) int, 0 normal, 1 abnormal.
        thresholds: Name to value, e.g. ``{"ZFN": 512.0, "ACC": 603.5}``, raw units, set on these
            images.
        score_name: Label of the axis, e.g. ``sse``.

    Raises:
        ValueError: If there are no scores, the lengths differ, or a value is not finite.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.4), dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    draw_scores(axes, scores, labels, thresholds)
    axes.set_xlabel(
        f"{printable(score_name)} (higher: more abnormal)", parse_math=False, fontsize=11
    )
    tested = bool((to_numpy(labels) == 1).any())
    axes.set_ylabel("test images" if tested else "normal images", fontsize=11)
    # Below the axis title, where neither bars nor thresholds are and long names have room.
    axes.legend(fontsize=10, frameon=False, ncols=2, loc="upper right", bbox_to_anchor=(1.0, -0.15))
    axes.xaxis.label.set(horizontalalignment="left", x=0.0)
    if thresholds:
        note = OPTIMISTIC if tested else NORMAL_ONLY
        figure.supxlabel(note, fontsize=8.5, color="0.4", x=0.99, horizontalalignment="right")
    return figure


def draw_scores(
    axes: "Axes",
    scores: Any,
    labels: Any,
    thresholds: Mapping[str, float],
    *,
    font_size: float = 10.0,
    line_spacing: float = 0.06,
) -> None:
    """Draw both classes' scores into axes, with named thresholds.

    The axis is logarithmic for heavy-tailed scores (linear around 0 if some are not positive).

    Args:
        axes: Empty axes.
        scores: (N,) float, raw units.
        labels: (N,) int, 0 normal, 1 abnormal.
        thresholds: Name to value, raw units.
        font_size: Size of names and numbers in points.
        line_spacing: Distance of two names, a fraction of the height of the axes.

    Raises:
        ValueError: If there are no scores, the lengths differ, or a value is not finite.
    """
    from matplotlib.ticker import MaxNLocator

    values = to_numpy(scores).astype(np.float64)
    classes = to_numpy(labels)
    if values.ndim != 1 or not values.size or values.shape != classes.shape:
        raise ValueError(
            f"scores and labels must both be (N,), not {values.shape} and {classes.shape}"
        )
    shown = np.concatenate([values, np.array(list(thresholds.values()), dtype=np.float64)])
    if not np.isfinite(shown).all():
        raise ValueError("scores and thresholds must be finite")
    edges, scale = _bins(shown)
    for label, (name, colour) in enumerate(zip(CLASS_NAMES, CLASS_COLOURS, strict=True)):
        of_class = values[classes == label]
        if not of_class.size:
            continue
        legend = f"{name} ({of_class.size})"
        axes.hist(of_class, bins=edges.tolist(), color=colour, alpha=0.45, label=legend)
        axes.hist(of_class, bins=edges.tolist(), histtype="step", color=colour, linewidth=1.4)
    axes.set_xscale(**scale)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    _draw_thresholds(axes, thresholds, font_size, line_spacing)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, steps=[1, 2, 5, 10]))
    axes.tick_params(labelsize=font_size)
    axes.spines[["top", "right"]].set_visible(False)


def _bins(shown: NDArray[np.float64]) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Return the edges of the bins around all values, and arguments for ``Axes.set_xscale``."""
    low, high = float(shown.min()), float(shown.max())
    typical = float(np.median(np.abs(shown)))
    count = int(np.clip(2 * np.sqrt(shown.size), 12, 60))
    if not high > _HEAVY_TAIL_RATIO * typical > 0:
        return _spread(low, high, count), {"value": "linear"}
    if low > 0:
        return np.exp(_spread(np.log(low), np.log(high), count)), {"value": "log"}
    edges = _spread(np.arcsinh(low / typical), np.arcsinh(high / typical), count)
    return np.sinh(edges) * typical, {"value": "asinh", "linear_width": typical}


def _spread(low: float, high: float, count: int) -> NDArray[np.float64]:
    """Return count + 1 equidistant edges, with a small margin at both ends."""
    margin = 0.02 * (high - low) or 0.05 * abs(low) or 1.0
    return np.linspace(low - margin, high + margin, count + 1)


def _draw_thresholds(
    axes: "Axes", thresholds: Mapping[str, float], font_size: float, line_spacing: float
) -> None:
    """Draw each threshold as a line with its name at the top; names are stacked."""
    middle = axes.transAxes.transform((0.5, 0.0))[0]
    for level, (name, value) in enumerate(reversed(list(thresholds.items()))):
        top = 1.02 + line_spacing * level
        axes.plot(
            [value, value],
            [0.0, top],
            transform=axes.get_xaxis_transform(),
            clip_on=False,
            color="black",
            linewidth=1.6,
            linestyle=("--", ":", "-.")[level % 3],
        )
        on_the_right = axes.transData.transform((value, 0.0))[0] > middle
        axes.annotate(
            f"{name} threshold {value:.6g}",
            xy=(value, top),
            xycoords=axes.get_xaxis_transform(),
            xytext=(-4 if on_the_right else 4, 0),
            textcoords="offset points",
            ha="right" if on_the_right else "left",
            va="center_baseline",
            fontsize=font_size,
        )
