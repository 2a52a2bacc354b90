"""The axis of a score: linear or logarithmic, and bins whose edges lie on the thresholds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cyclegan_ad.display.drawing import Floats, to_numpy

# A linear axis is kept if the middle 80 % of the images take up at least this share of it.
LEAST_SHARE = 1 / 3
_MIDDLE = (10, 90)

_FEWEST_BINS, _MOST_BINS = 12, 40
_MARGIN = 0.03  # of the length of the axis, at both ends


@dataclass(frozen=True)
class ScoreAxis:
    """Scale and limits of an axis.

    Attributes:
        scale: Arguments of ``Axes.set_xscale``.
        words: Description of the scale, empty if it is linear.
        to_length: Converts scores to lengths along the axis.
        to_score: Converts them back.
        low: Smallest score shown, with a margin.
        high: Largest score shown, with a margin.
    """

    scale: dict[str, Any]
    words: str
    to_length: Callable[[Floats], Floats]
    to_score: Callable[[Floats], Floats]
    low: float
    high: float


def choose_axis(scores: Floats, thresholds: Iterable[float]) -> ScoreAxis:
    """Choose the scale on which the images are spread out.

    The axis is linear if the middle 80 % of the images take up at least a third of it. Otherwise a
    few outliers empty it, and it becomes logarithmic if they take up more of that: with scores of
    both signs or of zero, logarithmic in both directions and linear around zero.

    Args:
        scores: (N,) finite, N >= 1.
        thresholds: Finite values that are shown as well.
    """
    shown = np.concatenate([scores, np.array(list(thresholds), dtype=np.float64)])
    low, high = float(shown.min()), float(shown.max())
    linear: Any = ({"value": "linear"}, "", np.positive, np.positive)
    other: Any = ({"value": "log"}, "logarithmic", np.log, np.exp)
    if low <= 0:
        size = np.abs(shown[shown != 0])
        width = float(np.median(size)) if size.size else 1.0
        other = (
            {"value": "asinh", "linear_width": width},
            "logarithmic, linear around 0",
            lambda score: np.arcsinh(score / width),
            lambda length: np.sinh(length) * width,
        )

    def share(to_length: Callable[[Any], Any]) -> float:
        whole = to_length(high) - to_length(low)
        start, end = to_length(np.percentile(scores, _MIDDLE))
        return float((end - start) / whole) if whole > 0 else 1.0

    taken = share(np.positive)
    empties = taken < LEAST_SHARE and share(other[2]) > taken
    scale, words, to_length, to_score = other if empties else linear
    ends = to_length(np.array([low, high]))
    margin = _MARGIN * (ends[1] - ends[0]) or 0.05 * abs(ends[0]) or 1.0
    first, last = to_score(ends + np.array([-margin, margin]))
    return ScoreAxis(scale, words, to_length, to_score, float(first), float(last))


def bin_edges(scores: Any, thresholds: Iterable[float], axis: ScoreAxis) -> Floats:
    """Return edges of bins: each threshold is one exactly, and the bins cover the axis.

    An image is abnormal if its score is at or above a threshold, and a bin holds the scores from
    its left edge to below the right one, so that no bin has images of both sides of a threshold.
    Bins are equally wide along the axis, except between two thresholds: there as many as fit.

    Args:
        scores: (N,) finite, N >= 1.
        thresholds: Finite values within the axis.
        axis: The axis.

    Returns:
        Ascending scores; the first and the last are at or beyond the ends of the axis.
    """
    ends = axis.to_length(np.array([axis.low, axis.high]))
    count = int(np.clip(2 * np.sqrt(to_numpy(scores).size), _FEWEST_BINS, _MOST_BINS))
    width = float(ends[1] - ends[0]) / count
    fixed = np.unique(np.array(list(thresholds), dtype=np.float64))
    if not fixed.size:
        return axis.to_score(np.linspace(*ends, count + 1))
    places = axis.to_length(fixed)
    below = places[0] - width * np.arange(np.ceil((places[0] - ends[0]) / width), 0, -1)
    parts = [axis.to_score(below), fixed[:1]]
    for left, right, value in zip(places[:-1], places[1:], fixed[1:], strict=True):
        inner = np.linspace(left, right, max(1, round(float(right - left) / width)) + 1)[1:-1]
        parts += [axis.to_score(inner), np.array([value])]
    above = places[-1] + width * np.arange(1, np.ceil((ends[1] - places[-1]) / width) + 1)
    return np.concatenate([*parts, axis.to_score(above)])
