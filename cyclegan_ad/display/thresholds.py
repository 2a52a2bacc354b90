"""Thresholds as pictures show them: which, by which sign and in which words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cyclegan_ad.display.drawing import SOFT_COLOUR, TEXT_PT, Floats, short_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OPTIMISTIC = "ZFN and ACC were set on these test images: optimistic."
NORMAL_ONLY = "Set on these normal images, kept out of training."

SEVERAL = ("crossfit", "crossval")
"""Protocols with several thresholds, each for a part of the images."""

# Characters of a line of the key.
_KEY_LENGTH = 44

# Marker and dashes of a threshold; the others have those of a protocol.
_SIGNS = {"ZFN": ("v", "--"), "ACC": ("D", ":")}
_OF_PROTOCOL = ("s", "-.")


def set_thresholds(metrics: Mapping[str, Any], column: str) -> dict[str, float]:
    """Return the thresholds that were set on the images that are shown.

    Args:
        metrics: Content of ``metrics.json``.
        column: Score column.

    Returns:
        Name -> value, raw units: ``ZFN`` and ``ACC``; for a run without abnormal images
        ``quantile``.
    """
    row = metrics["scores"][column]
    if row["zfn_threshold"] is not None:
        return {"ZFN": row["zfn_threshold"], "ACC": row["max_accuracy_threshold"]}
    decided = metrics["protocols"].get("quantile", {})
    return {"quantile": decided[column]["thresholds"][0]} if column in decided else {}


def deciding_threshold(metrics: Mapping[str, Any], column: str) -> tuple[str, float] | None:
    """Return name and value of the threshold that decides, until the detector is recalibrated.

    It is that of the protocol; of several, as of ``crossfit``, the smallest. Of a score that the
    protocol has not judged, and with ``protocol=paper``, it is ZFN. None if there is neither.

    Args:
        metrics: Content of ``metrics.json``.
        column: Score column.
    """
    decided = metrics["protocols"].get(metrics["protocol"], {})
    if column in decided:
        return metrics["protocol"], min(decided[column]["thresholds"])
    return next(iter(set_thresholds(metrics, column).items()), None)


def drawn_thresholds(metrics: Mapping[str, Any], column: str) -> dict[str, float]:
    """Return `set_thresholds`, and that of the protocol; name -> value, raw units."""
    deciding = deciding_threshold(metrics, column)
    return set_thresholds(metrics, column) | dict([deciding] if deciding else [])


@dataclass(frozen=True)
class Mark:
    """A threshold in a picture.

    Attributes:
        name: Its name, or the names of thresholds of one value.
        value: The threshold, raw units.
        missed: Abnormal images below it.
        alarms: Normal images at or above it.
        marker: Sign of the threshold in all pictures.
        dashes: Style of its line.
    """

    name: str
    value: float
    missed: int
    alarms: int
    marker: str
    dashes: Any

    def words(self, tested: bool) -> str:
        """Return name, value and wrong decisions; without abnormal images only the alarms."""
        missed = f"{self.missed} missed, " if tested else ""
        alarms = f"{self.alarms} false alarm{'s' * (self.alarms != 1)}"
        return f"{self.name} {short_number(self.value)}: {missed}{alarms}"


def marks_of(thresholds: Mapping[str, float], scores: Floats, labels: Any) -> list[Mark]:
    """Return a mark for each value, in ascending order.

    Args:
        thresholds: Name -> value, raw units.
        scores: (N,) finite.
        labels: (N,) 0 normal, 1 abnormal.
    """
    names: dict[float, list[str]] = {}
    for name, value in sorted(thresholds.items(), key=lambda item: item[1]):
        names.setdefault(value, []).append(name)
    return [
        Mark(
            name=" = ".join(together),
            value=value,
            missed=int(np.count_nonzero(scores[labels == 1] < value)),
            alarms=int(np.count_nonzero(scores[labels == 0] >= value)),
            marker=_SIGNS.get(together[0], _OF_PROTOCOL)[0],
            dashes=_SIGNS.get(together[0], _OF_PROTOCOL)[1],
        )
        for value, together in names.items()
    ]


def draw_key(
    place: Axes | Figure,
    marks: Sequence[Mark],
    *,
    tested: bool,
    font_size: float,
    curves: Sequence[Any] = (),
) -> int:
    """List curves and thresholds above a plot, so that no names overlap; return the lines.

    Args:
        place: A figure, or axes of several.
        marks: The thresholds.
        tested: Whether there are abnormal images.
        font_size: In points.
        curves: Labelled artists listed first.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color="black", linestyle=mark.dashes, marker=mark.marker, markersize=5)
        for mark in marks
    ]
    words = [mark.words(tested) for mark in marks]
    labels = [text if len(text) <= _KEY_LENGTH else text.replace(": ", ":\n") for text in words]
    if not handles and not curves:
        return 0
    whole = isinstance(place, Figure)
    where: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.12)}  # above the signs
    place.legend(
        [*curves, *handles],
        [*(curve.get_label() for curve in curves), *labels],
        **({"loc": "outside upper left"} if whole else where),
        borderaxespad=0.3 if whole else 0.0,
        borderpad=0.0,
        labelspacing=0.35,
        handlelength=2.6,
        handletextpad=0.6,
        frameon=False,
        fontsize=font_size,
    )
    return len(curves) + sum(1 + label.count("\n") for label in labels)


def note_origin(figure: Figure, thresholds: Mapping[str, float], *, tested: bool) -> int:
    """Write below a figure what its thresholds were set on; return the lines."""
    lines = [OPTIMISTIC if tested else NORMAL_ONLY] if thresholds else []
    for name in thresholds:
        if name in SEVERAL:
            lines += [f"{name}: the lowest of its thresholds;", "the detector decides by it."]
    if lines:
        figure.supxlabel("\n".join(lines), fontsize=TEXT_PT, color=SOFT_COLOUR)
    return len(lines)
