"""The picture of Figure 3: a strip of tiles for each dataset."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.display.drawing import CLASS_COLOURS, CLASS_NAMES, DPI, outline, save_figure
from cyclegan_ad.reporting.show.data_uris import map_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = ("Image", "Reconstruction", "Squared difference")

# In inches.
_TILE, _PAD, _BLOCK_GAP, _DATASET_GAP = 1.3, 0.025, 0.22, 0.16
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.42, 0.85, 0.78, 0.3

Tiles = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]


@dataclass(frozen=True)
class Strip:
    """What the figure shows of one dataset.

    Attributes:
        title: Its name.
        pictures: For the normal and for the abnormal class, rows of image, reconstruction
            ((H, W) or (H, W, 3) uint8) and squared difference ((H, W) float32).
        masks: (H, W) bool for each row of the abnormal class, True where known to be abnormal.
    """

    title: str
    pictures: tuple[list[Tiles], list[Tiles]]
    masks: list[NDArray[np.bool_]]

    @property
    def rows(self) -> int:
        """How many rows of tiles it takes."""
        return max(map(len, self.pictures))


def draw_strips(strips: list[Strip], source: str, path: Path) -> Path:
    """Draw one strip a dataset, normal images left, abnormal ones right.

    The colours of the differences are those of one dataset; each has a scale of its own.

    Args:
        strips: At least one.
        source: What the runs are called, for the line below the figure.
        path: The PNG file to write.

    Returns:
        ``path``.
    """
    from matplotlib.figure import Figure

    block = len(COLUMNS) * _TILE
    rows = sum(strip.rows for strip in strips)
    width = _LEFT + 2 * block + _BLOCK_GAP + _RIGHT
    height = _TOP + rows * _TILE + (len(strips) - 1) * _DATASET_GAP + _BOTTOM
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    lefts = (_LEFT, _LEFT + block + _BLOCK_GAP)
    for label, left in enumerate(lefts):
        _head(figure, CLASS_NAMES[label], CLASS_COLOURS[label], left, height - _TOP)
    top = height - _TOP
    for strip in strips:
        drawn = _draw_strip(figure, strip, lefts, top)
        strip_height = strip.rows * _TILE
        figure.text(
            (_LEFT - 0.12) / width,
            (top - strip_height / 2) / height,
            strip.title,
            rotation=90,
            ha="right",
            va="center",
            fontsize=11,
        )
        axes = _axes(
            figure, width - _RIGHT + 0.12, top - strip_height + _PAD, 0.1, _TILE - 2 * _PAD
        )
        bar = figure.colorbar(drawn, cax=axes, extend="max")
        bar.ax.tick_params(labelsize=8)
        bar.ax.locator_params(nbins=4)
        top -= strip_height + _DATASET_GAP
    note = f"{source}. Each dataset has a colour scale of its own."
    if any(mask.any() for strip in strips for mask in strip.masks):
        note += " Outline: the annotated defect."
    figure.text(_LEFT / width, 0.1 / height, note, fontsize=9)
    return save_figure(figure, path)


def _draw_strip(figure: "Figure", strip: Strip, lefts: tuple[float, float], top: float) -> Any:
    """Draw the tiles of a dataset below ``top`` (inches); gives the last map, for its colours."""
    maps = np.stack([row[-1] for rows in strip.pictures for row in rows])
    scale = map_scale(maps)
    drawn: Any = None
    for label, left in enumerate(lefts):
        for number, pictures in enumerate(strip.pictures[label]):
            for column in range(len(COLUMNS)):
                axes = _axes(
                    figure,
                    left + column * _TILE + _PAD,
                    top - (number + 1) * _TILE + _PAD,
                    _TILE - 2 * _PAD,
                    _TILE - 2 * _PAD,
                )
                colours: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255}
                if column == len(COLUMNS) - 1:
                    colours = {"cmap": "inferno", "vmin": 0.0, "vmax": scale}
                drawn = axes.imshow(pictures[column], interpolation="nearest", **colours)
                axes.set_axis_off()
                if label and COLUMNS[column] != "Reconstruction":
                    outline(axes, strip.masks[number], 0.9)
    return drawn


def _axes(figure: "Figure", left: float, bottom: float, width: float, height: float) -> "Axes":
    """Axes at a place given in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def _head(figure: "Figure", name: str, colour: str, left: float, bottom: float) -> None:
    """Write class and columns over a block, with a bar in the colour of the class."""
    from matplotlib.lines import Line2D

    across, up = figure.get_size_inches()
    block = len(COLUMNS) * _TILE
    line = (bottom + 0.3) / up
    ends = [(left + _PAD) / across, (left + block - _PAD) / across]
    figure.add_artist(
        Line2D(ends, [line, line], color=colour, linewidth=2, transform=figure.transFigure)
    )
    middle = (left + block / 2) / across
    figure.text(middle, (bottom + 0.38) / up, name.capitalize(), ha="center", fontsize=13)
    for column, title in enumerate(COLUMNS):
        x = (left + (column + 0.5) * _TILE) / across
        figure.text(x, (bottom + 0.08) / up, title, ha="center", fontsize=9)
