"""ROC curve, and the rates of misses and false alarms over the threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cyclegan_ad.display.drawing import CLASS_COLOURS, SHARP_DPI, TEXT_PT, Floats
from cyclegan_ad.display.histogram import (
    check_scores,
    draw_marks,
    finish_axes,
    label_score,
    set_size,
)
from cyclegan_ad.display.score_axis import bin_edges, choose_axis
from cyclegan_ad.display.thresholds import draw_key, marks_of, note_origin
from cyclegan_ad.metrics.thresholds import auroc
from cyclegan_ad.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def rates(scores: Floats, labels: Any) -> tuple[Floats, Floats, Floats]:
    """Return the shares of wrong decisions at each threshold that makes a difference.

    Args:
        scores: (N,) finite.
        labels: (N,) 0 normal, 1 abnormal; both must occur.

    Returns:
        The different scores, in ascending order; at each as threshold the share of missed abnormal
        images and that of false alarms among the normal ones, in percent.

    Example:
        >>> [part.tolist() for part in rates(np.array([1.0, 2.0, 3.0]), np.array([0, 1, 0]))]
        [[1.0, 2.0, 3.0], [0.0, 0.0, 100.0], [100.0, 50.0, 50.0]]
    """
    normal, abnormal = (np.sort(scores[labels == label]) for label in (0, 1))
    thresholds = np.unique(scores)
    missed = np.searchsorted(abnormal, thresholds) / abnormal.size
    passed = np.searchsorted(normal, thresholds) / normal.size
    return thresholds, 100 * missed, 100 * (1 - passed)


def roc_figure(
    scores: Any, labels: Any, thresholds: Mapping[str, float], score_name: str
) -> Figure:
    """Draw the ROC curve of a score, with the thresholds on it.

    Args:
        scores: (N,) float, raw units.
        labels: (N,) int, 0 normal, 1 abnormal; both must occur.
        thresholds: Name to value, raw units.
        score_name: Name of the score, e.g. ``sse``.

    Raises:
        ValueError: If a class is empty, the lengths differ, or a value is not finite.
    """
    values, classes = check_scores(scores, labels, thresholds)
    area = auroc(values, classes)
    figure, axes = _figure()
    _, missed, alarms = rates(values, classes)
    # From a threshold above all scores.
    axes.plot([*alarms, 0.0], [*(100 - missed), 0.0], color="black", linewidth=1.4, zorder=2)
    axes.plot([0, 100], [0, 100], color="0.7", linewidth=0.8, zorder=1)
    marks = marks_of(thresholds, values, classes)
    for mark in marks:
        share = 100 * mark.alarms / np.count_nonzero(classes == 0)
        found = 100 - 100 * mark.missed / np.count_nonzero(classes == 1)
        axes.plot(
            [share],
            [found],
            marker=mark.marker,
            markersize=7,
            color="black",
            markeredgecolor="white",
            clip_on=False,
            zorder=3,
        )
    axes.set(xlim=(-2, 102), ylim=(-2, 102))
    axes.set_xlabel("false alarms, % of normal images", fontsize=TEXT_PT)
    axes.set_ylabel("found, % of abnormal images", fontsize=TEXT_PT)
    axes.text(
        0.97,
        0.06,
        f"{printable(score_name)}\nAUROC {area:.3f}",
        transform=axes.transAxes,
        ha="right",
        fontsize=TEXT_PT,
        parse_math=False,
    )
    lines = draw_key(figure, marks, tested=True, font_size=TEXT_PT)
    finish_axes(axes, TEXT_PT)
    set_size(figure, lines + note_origin(figure, thresholds, tested=True))
    return figure


def rates_figure(
    scores: Any, labels: Any, thresholds: Mapping[str, float], score_name: str
) -> Figure:
    """Draw the rates of misses and false alarms over the threshold.

    The axis of the threshold is that of :func:`cyclegan_ad.display.histogram.score_figure`.

    Args:
        scores: (N,) float, raw units.
        labels: (N,) int, 0 normal, 1 abnormal; both must occur.
        thresholds: Name to value, raw units.
        score_name: Name of the score, e.g. ``sse``.

    Raises:
        ValueError: If a class is empty, the lengths differ, or a value is not finite.
    """
    values, classes = check_scores(scores, labels, thresholds)
    auroc(values, classes)  # refuses a single class
    axis = choose_axis(values, thresholds.values())
    edges = bin_edges(values, thresholds.values(), axis)
    figure, axes = _figure()
    places, missed, alarms = rates(values, classes)
    # A rate holds for all thresholds above the next lower score, up to and including this one.
    over = np.concatenate([edges[:1], places, edges[-1:]])
    shown = [
        ("missed, % of abnormal", [0.0, *missed, 100.0], CLASS_COLOURS[1], "-"),
        ("false alarms, % of normal", [100.0, *alarms, 0.0], CLASS_COLOURS[0], (0, (4, 1.5))),
    ]
    curves = [
        axes.step(
            over, rate, where="pre", color=colour, linestyle=dashes, linewidth=1.6, label=name
        )
        for name, rate, colour, dashes in shown
    ]
    axis.apply(axes)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(-2, 102)
    marks = marks_of(thresholds, values, classes)
    draw_marks(axes, marks)
    label_score(axes, f"threshold of {printable(score_name)}", axis)
    axes.set_ylabel("images, %", fontsize=TEXT_PT)
    shown_curves = [curve for (curve,) in curves]
    lines = draw_key(figure, marks, tested=True, font_size=TEXT_PT, curves=shown_curves)
    finish_axes(axes, TEXT_PT)
    set_size(figure, lines + note_origin(figure, thresholds, tested=True))
    return figure


def _figure() -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(dpi=SHARP_DPI, facecolor="white", layout="constrained")
    return figure, figure.add_subplot()
