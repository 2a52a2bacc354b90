"""Histograms of the scores of both classes, with the thresholds."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cyclegan_ad.display.drawing import (
    CLASS_COLOURS,
    CLASS_NAMES,
    SHARP_DPI,
    TEXT_PT,
    WIDTH_IN,
    Floats,
    to_numpy,
)
from cyclegan_ad.display.score_axis import ScoreAxis, bin_edges, choose_axis
from cyclegan_ad.display.thresholds import Mark, draw_key, marks_of, note_origin
from cyclegan_ad.text import counted, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINE = 48  # characters below the axes
_SIGN_WIDTH, _SIGN_HEIGHT = 0.035, 0.045  # fractions of the axes
_RUG = 0.05  # height of a stroke, a fraction of the axes


def score_figure(
    scores: Any, labels: Any, thresholds: Mapping[str, float], score_name: str
) -> Figure:
    """Draw the histograms of both classes' scores, with the thresholds.

    Args:
        scores: (N,) float, raw units.
        labels: (N,) int, 0 normal, 1 abnormal.
        thresholds: Name to value, e.g. ``{"ZFN": 512.0, "ACC": 603.5}``, raw units.
        score_name: Label of the axis, e.g. ``sse``.

    Raises:
        ValueError: If there are no scores, the lengths differ, or a value is not finite.
    """
    from matplotlib.figure import Figure

    figure = Figure(dpi=SHARP_DPI, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    axis, marks = draw_scores(axes, scores, labels, thresholds)
    label_score(axes, printable(score_name), axis, ": higher is more abnormal")
    tested = bool((to_numpy(labels) == 1).any())
    lines = draw_key(figure, marks, tested=tested, font_size=TEXT_PT)
    lines += note_origin(figure, thresholds, tested=tested)
    set_size(figure, lines)
    return figure


def draw_scores(
    axes: Axes,
    scores: Any,
    labels: Any,
    thresholds: Mapping[str, float],
    *,
    font_size: float = TEXT_PT,
) -> tuple[ScoreAxis, list[Mark]]:
    """Draw both classes' scores into axes: normal images upwards, abnormal ones downwards.

    Each image is also a stroke at the upper or lower edge. The edges of the bins lie on the
    thresholds. See :func:`cyclegan_ad.display.score_axis.choose_axis` for the scale.

    Args:
        axes: Empty axes.
        scores: (N,) float, raw units.
        labels: (N,) int, 0 normal, 1 abnormal.
        thresholds: Name to value, raw units.
        font_size: Size of names and numbers in points.

    Returns:
        The axis of the scores, and the thresholds in ascending order, for `draw_key`.

    Raises:
        ValueError: If there are no scores, the lengths differ, or a value is not finite.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    values, classes = check_scores(scores, labels, thresholds)
    axis = choose_axis(values, thresholds.values())
    edges = bin_edges(values, thresholds.values(), axis)
    tallest = [0, 0]
    strokes = axes.get_xaxis_transform()
    for label, (name, colour) in enumerate(zip(CLASS_NAMES, CLASS_COLOURS, strict=True)):
        of_class = values[classes == label]
        if not of_class.size:
            continue
        heights = np.histogram(of_class, edges)[0]
        tallest[label] = int(heights.max())
        upwards = heights if label == 0 else -heights
        axes.stairs(upwards, edges, fill=True, color=colour, alpha=0.45)
        axes.stairs(upwards, edges, color=colour, linewidth=1.2, label=name)
        low, high = (1 - _RUG, 1) if label == 0 else (0, _RUG)
        look: dict[str, Any] = {"colors": colour, "linewidth": 0.8, "alpha": 0.8}
        axes.vlines(of_class, low, high, transform=strokes, **look)
    axes.axhline(0, color="black", linewidth=0.8)
    axis.apply(axes)
    axes.set_xlim(edges[0], edges[-1])
    above, below = (1.25 * count for count in tallest)  # room for the strokes
    if tallest[1]:
        below = max(below, 0.4 * above)  # and for the name of the class
    axes.set_ylim(-below, above or 1.0)
    marks = marks_of(thresholds, values, classes)
    draw_marks(axes, marks)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{abs(count):g}"))
    finish_axes(axes, font_size)
    _label_classes(axes, classes, above, below, font_size)
    return axis, marks


def check_scores(scores: Any, labels: Any, thresholds: Mapping[str, float]) -> tuple[Floats, Any]:
    """Return scores as float64 and labels as arrays.

    Raises:
        ValueError: If there are no scores, the lengths differ, or a value is not finite.
    """
    values, classes = to_numpy(scores).astype(np.float64), to_numpy(labels)
    if values.ndim != 1 or not values.size or values.shape != classes.shape:
        raise ValueError(
            f"scores and labels must both be (N,), not {values.shape} and {classes.shape}"
        )
    if not np.isfinite([*values, *thresholds.values()]).all():
        raise ValueError("scores and thresholds must be finite")
    return values, classes


def draw_marks(axes: Axes, marks: list[Mark]) -> None:
    """Draw a line for each threshold, with its sign above the upper end; signs stay apart.

    Args:
        axes: Axes with their final limits and scale.
        marks: Thresholds in ascending order.
    """
    last, level = -math.inf, 0
    for mark in marks:
        place = axes.transAxes.inverted().transform(axes.transData.transform((mark.value, 0)))[0]
        level = level + 1 if place - last < _SIGN_WIDTH else 0
        last = place
        top = 1.03 + _SIGN_HEIGHT * level
        shared: dict[str, Any] = {"color": "black", "transform": axes.get_xaxis_transform()}
        axes.plot([mark.value] * 2, [0, top], lw=1.2, ls=mark.dashes, clip_on=False, **shared)
        axes.plot([mark.value], [top], marker=mark.marker, ms=5, clip_on=False, **shared)


def label_score(axes: Axes, name: str, axis: ScoreAxis, more: str = "") -> None:
    """Label the axis of a score with its name, its scale and more."""
    scale = f" ({axis.words})" if axis.words else ""
    text = textwrap.fill(name + scale + more, _LINE, break_long_words=False)
    axes.set_xlabel(text, parse_math=False, fontsize=TEXT_PT)


def set_size(figure: Figure, lines: int) -> None:
    """Make a figure as high as it needs for a plot and lines of text above and below it."""
    figure.set_size_inches(WIDTH_IN, 2.55 + 0.175 * lines)


def finish_axes(axes: Axes, font_size: float) -> None:
    """Set what the axes of all figures of scores share."""
    axes.tick_params(labelsize=font_size)
    axes.spines[["top", "right"]].set_visible(False)


def _label_classes(axes: Axes, classes: Any, above: float, below: float, font_size: float) -> None:
    """Name both classes beside their halves of the axis."""
    middles = [(below + above / 2) / (above + below), below / 2 / (above + below)]
    for label, (name, colour) in enumerate(zip(CLASS_NAMES, CLASS_COLOURS, strict=True)):
        if count := int(np.count_nonzero(classes == label)):
            axes.annotate(
                counted(count, name, name),
                xy=(0.0, middles[label]),
                xycoords="axes fraction",
                xytext=(-2.6 * font_size, 0),
                textcoords="offset points",
                rotation=90,
                ha="right",
                va="center",
                fontsize=font_size,
                color=colour,
            )
