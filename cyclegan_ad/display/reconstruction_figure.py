"""Figure of images, their reconstructions and anomaly maps, with scores and decisions."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.display.drawing import (
    CLASS_COLOURS,
    CLASS_NAMES,
    SHARP_DPI,
    SOFT_COLOUR,
    TEXT_PT,
    WIDTH_IN,
    caption,
    outline,
    save_figure,
    short_number,
    to_numpy,
)
from cyclegan_ad.display.overlay import overlay
from cyclegan_ad.display.tile_page import HEAD, LEFT, RIGHT, TilePage
from cyclegan_ad.text import printable

# (label, decision) -> sign and word.
DECISIONS = {
    (0, 0): "\u2713 passed",
    (0, 1): "\u2717 alarm",
    (1, 0): "\u2717 missed",
    (1, 1): "\u2713 found",
}

# In inches: gap between tiles, largest tile, line of text.
_GAP, _LARGEST, _LINE = 0.03, 1.1, 0.16
_CHARACTER = 0.0725  # mean width of a character, in inches
_MADE = "Recon-\nstruction"
_NOTE_LENGTH = 50  # characters of a line below the tiles


@dataclass(frozen=True)
class Judged:
    """Scores of the images and the threshold that decides.

    Attributes:
        column: Score column.
        scores: N scores, raw units.
        name: Name of the threshold.
        threshold: An image with a score at or above it is abnormal.
    """

    column: str
    scores: Sequence[float]
    name: str
    threshold: float

    def decision(self, i: int, label: int) -> str:
        """Return sign and word of the decision about an image, one of `DECISIONS`."""
        return DECISIONS[label, int(self.scores[i] >= self.threshold)]


def reconstruction_figure(
    images: Any,
    reconstructions: Any,
    anomaly_maps: Any,
    labels: Any,
    captions: Sequence[str],
    path: Path,
    *,
    scale: tuple[float, float],
    map_shows: str,
    masks: Any = None,
    judged: Judged | None = None,
) -> Path:
    """Draw images, reconstructions and maps over the images, normal ones above abnormal ones.

    Args:
        images: (N, H, W, C) uint8, C = 1 or 3.
        reconstructions: Likewise, or None for a method without them.
        anomaly_maps: (N, H, W) float, of any sign.
        labels: (N,) int, 0 normal, 1 abnormal.
        captions: N names of files; the end of each is written above its column.
        path: PNG file to write; its folder is created.
        scale: Map values that are hardly visible, and that have the full colour, in all images;
            see :func:`cyclegan_ad.display.overlay.overlay_scale`.
        map_shows: Meaning of the map, for the colour bar.
        masks: (N, H, W) bool or None, defects to outline in the image and in the map.
        judged: Scores and decisions, written below each column; None before there are any.

    Returns:
        ``path``.

    Raises:
        ValueError: If N is 0, the shapes are inconsistent, or a value is not finite.
    """
    from matplotlib.figure import Figure

    images, maps, labels = to_numpy(images), to_numpy(anomaly_maps), to_numpy(labels)
    made = None if reconstructions is None else to_numpy(reconstructions)
    outlines = None if masks is None else to_numpy(masks).astype(bool)
    _check_shapes(images, made, maps, labels, captions, outlines)
    over = np.stack([overlay(image, one, scale) for image, one in zip(images, maps, strict=True)])
    kinds = {"Image": images, _MADE: made, "Map over\nimage": over}
    rows = {name: pictures for name, pictures in kinds.items() if pictures is not None}
    classes = {label: np.flatnonzero(labels == label).tolist() for label in (0, 1)}
    columns = max(map(len, classes.values()))
    room = WIDTH_IN - LEFT - RIGHT + _GAP
    tile = min(_LARGEST, room / columns - _GAP)
    titles = _titles(captions, classes, max(4, int((tile + _GAP) / _CHARACTER)))
    outlined = outlines is not None and bool(outlines.any())
    notes = _notes(judged, outlined)

    below = 2 * _LINE * (judged is not None)
    heights = {
        label: HEAD + _LINE * len(titles[members[0]]) + len(rows) * (tile + _GAP) + below + 0.12
        for label, members in classes.items()
        if members
    }
    height = sum(heights.values()) + 0.62 + _LINE * len(notes)
    figure = Figure((WIDTH_IN, height), dpi=SHARP_DPI, facecolor="white")
    page = TilePage(figure, height)
    for label, used in heights.items():
        page.head(CLASS_NAMES[label].capitalize(), CLASS_COLOURS[label])
        for column, i in enumerate(classes[label]):
            left, y = LEFT + column * (tile + _GAP), page.y - HEAD
            for line in titles[i]:
                page.text(left + tile / 2, y, line)
                y -= _LINE
            for name, pictures in rows.items():
                y -= tile + _GAP
                axes = page.tile(left, y, tile, pictures[i])
                if outlines is not None and name != _MADE:
                    outline(axes, outlines[i], 0.6)
                if column == 0:
                    axes.set_ylabel(name, fontsize=TEXT_PT, labelpad=3)
            if judged is not None:
                decision = judged.decision(i, label)
                wrong = decision.startswith("\u2717")
                page.text(left + tile / 2, y - 0.03, short_number(judged.scores[i]))
                page.text(left + tile / 2, y - 0.03 - _LINE, decision, bold=wrong)
        page.y -= used
    page.bar(scale, map_shows)
    for note in notes:
        page.text(0.05, page.y, note, left=True, colour=SOFT_COLOUR)
        page.y -= _LINE
    return save_figure(figure, path)


def _titles(
    captions: Sequence[str], classes: Mapping[int, list[int]], length: int
) -> dict[int, list[str]]:
    """Return the lines above each image, as many in a class.

    They are its folder, if the class has several, and its name; a name alone may take two lines.
    """
    paths = [PurePosixPath(name) for name in captions]
    titles: dict[int, list[str]] = {}
    for members in classes.values():
        folders = {paths[i].parent.name for i in members}
        found = {}
        for i in members:
            name = paths[i].stem or captions[i]
            whole = caption(name, len(name) * 12)  # with escapes
            if len(folders) > 1:
                found[i] = [caption(paths[i].parent.name, length), caption(name, length)]
            elif len(whole) > length and whole == name:
                # After the last separator of the first line.
                cut = max(name.rfind(sign, 0, length) for sign in "_- .") + 1 or length
                found[i] = [name[:cut], caption(name[cut:], length)]
            else:
                found[i] = [caption(name, length)]
        most = max(map(len, found.values()), default=0)
        titles |= {i: [""] * (most - len(lines)) + lines for i, lines in found.items()}
    return titles


def _notes(judged: Judged | None, outlined: bool) -> list[str]:
    words = "Grey: no more than in most normal images."
    if outlined:
        words += " Outline: annotated defect."
    if judged is not None:
        set_on = ", set on the test images" if judged.name == "ZFN" else ""
        number = short_number(judged.threshold)
        words += (
            f" Numbers: {printable(judged.column)}, abnormal from {number} on "
            f"({judged.name}{set_on}). \u2717:\u00a0wrong."
        )
    return textwrap.wrap(words, _NOTE_LENGTH)


def _check_shapes(
    images: NDArray[Any],
    reconstructions: NDArray[Any] | None,
    maps: NDArray[Any],
    labels: NDArray[Any],
    captions: Sequence[str],
    masks: NDArray[Any] | None,
) -> None:
    same = reconstructions is None or images.shape == reconstructions.shape
    if images.ndim != 4 or images.shape[0] == 0 or images.shape[3] not in (1, 3) or not same:
        raise ValueError(
            "images and reconstructions must have one shape (N, H, W, 1 or 3) with N > 0, "
            f"not {images.shape} and {getattr(reconstructions, 'shape', None)}"
        )
    plane = images.shape[:3]
    if maps.shape != plane or (masks is not None and masks.shape != plane):
        raise ValueError(f"anomaly_maps and masks must be {plane}")
    if labels.shape != plane[:1] or len(captions) != plane[0]:
        raise ValueError(f"{plane[0]} labels and captions are needed")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be 0 (normal) or 1 (abnormal)")
    if not np.isfinite(maps).all():
        raise ValueError("anomaly_maps must be finite")
