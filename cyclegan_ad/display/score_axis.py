"""The axis of a score: linear or logarithmic, and bins whose edges lie on the thresholds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cyclegan_ad.display.drawing import Floats, short_number, to_numpy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The axis is logarithmic if the middle half of the images takes up as many times more of it.
LEAST_GAIN = 1.5
_MIDDLE = (25, 75)

# Around zero the axis is linear for so many percent of the images. Of fewer, it would be
# logarithmic for any bell-shaped distribution.
_LINEAR = 90

_FEWEST_BINS, _MOST_BINS = 12, 40
_TICK_ROOM = 0.14  # of the length of the axis, between two ticks of a logarithmic one
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

    def apply(self, axes: Axes) -> None:
        """Set the scale of the horizontal axis, and ticks that stay apart."""
        from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

        axes.set_xscale(**self.scale)
        if self.scale["value"] == "asinh":  # whose own ticks overlap around zero
            axes.xaxis.set_major_locator(FixedLocator(self._powers_of_ten()))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda score, _: short_number(score)))
            axes.xaxis.set_minor_locator(NullLocator())

    def _powers_of_ten(self) -> list[float]:
        """Return zero and powers of ten of both signs, with room between them."""
        ends = self.to_length(np.array([self.low, self.high]))
        room, kept, last = _TICK_ROOM * float(ends[1] - ends[0]), [0.0], 0.0
        for power in range(-300, 300):
            place = float(self.to_length(np.array(10.0**power)))
            if place > max(abs(ends)):
                break
            if place - last >= room:
                kept, last = [*kept, 10.0**power, -(10.0**power)], place
        return kept


def choose_axis(scores: Floats, thresholds: Iterable[float]) -> ScoreAxis:
    """Choose the scale on which the images are spread out.

    The axis is linear, unless outliers empty it: it is logarithmic if the middle half of the images
    takes up more than 1.5 times as large a share of it then. With scores of both signs or of zero
    it is logarithmic in both directions, and linear around zero.

    Args:
        scores: (N,) finite, N >= 1.
        thresholds: Finite values that are shown as well.
    """
    shown = np.concatenate([scores, np.array(list(thresholds), dtype=np.float64)])
    low, high = float(shown.min()), float(shown.max())
    linear: Any = ({"value": "linear"}, "", np.positive, np.positive)
    other: Any = ({"value": "log"}, "logarithmic", np.log, np.exp)
    if low <= 0:
        width = float(np.percentile(np.abs(shown), _LINEAR)) or 1.0
        other = (
            {"value": "asinh", "linear_width": width},
            "logarithmic, linear around 0",
            lambda score: np.arcsinh(score / width),
            lambda length: np.sinh(length) * width,
        )

    def share(to_length: Callable[[Any], Any]) -> float:
        whole = to_length(high) - to_length(low)
        start, end = to_length(np.percentile(scores, _MIDDLE))
        return float((end - start) / whole) if whole > 0 else 0.0

    emptied = share(other[2]) > LEAST_GAIN * share(np.positive)
    scale, words, to_length, to_score = other if emptied else linear
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
        return axis.to_score(np.linspace(ends[0], ends[1], count + 1))
    places = axis.to_length(fixed)
    below = places[0] - width * np.arange(np.ceil((places[0] - ends[0]) / width), 0, -1)
    parts = [axis.to_score(below), fixed[:1]]
    for left, right, value in zip(places[:-1], places[1:], fixed[1:], strict=True):
        inner = np.linspace(left, right, max(1, round(float(right - left) / width)) + 1)[1:-1]
        parts += [axis.to_score(inner), np.array([value])]
    above = places[-1] + width * np.arange(1, np.ceil((ends[1] - places[-1]) / width) + 1)
    return np.concatenate([*parts, axis.to_score(above)])
