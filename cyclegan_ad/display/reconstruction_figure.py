"""Pictures of a run: images, their reconstructions and anomaly maps."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.display.drawing import (
    CLASS_COLOURS,
    CLASS_NAMES,
    DPI,
    OUTLINE_COLOUR,
    caption,
    outline,
    save_figure,
    to_display,
    to_numpy,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The brightest 0.2% of the pixels share the top colour, or one bright pixel would darken all maps.
_MAP_SCALE_PERCENTILE = 99.8


def reconstruction_figure(
    images: Any,
    reconstructions: Any,
    anomaly_maps: Any,
    labels: Any,
    captions: Sequence[str],
    path: Path,
    masks: Any = None,
) -> Path:
    """Draw images, their reconstructions and anomaly maps, normal ones left of abnormal ones.

    All maps share one colour scale, so that brightness compares between images.

    Args:
        images: (N, C, H, W) float in [-1, 1], array or tensor.
        reconstructions: (N, C, H, W) float in [-1, 1], or None for a method that makes none.
        anomaly_maps: (N, H, W) float >= 0: with reconstructions, the squared difference.
        labels: (N,) int, 0 normal, 1 abnormal.
        captions: N names of files, each written under its column.
        path: the PNG file to write; its folder is made.
        masks: (N, H, W) bool or None, defects to outline in the image and in the map.

    Returns:
        ``path``.

    Raises:
        ValueError: if N is 0, the shapes do not fit together, or a value is not finite.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    images = to_numpy(images)
    reconstructions = None if reconstructions is None else to_numpy(reconstructions)
    maps, labels = to_numpy(anomaly_maps), to_numpy(labels)
    outlines = None if masks is None else to_numpy(masks).astype(bool)
    _check_shapes(images, reconstructions, maps, labels, captions, outlines)

    normal = [int(i) for i in np.flatnonzero(labels == 0)]
    abnormal = [int(i) for i in np.flatnonzero(labels == 1)]
    blocks = [(name, b) for name, b in zip(CLASS_NAMES, (normal, abnormal), strict=True) if b]
    scale = float(np.percentile(maps, _MAP_SCALE_PERCENTILE))
    scale = scale if scale > 0 else 1.0
    outlined = outlines is not None and bool(outlines.any())

    # In inches. The gap between the blocks is a column of its own, narrow.
    tile, gap, left, right, top, bottom = 1.5, 0.35, 0.45, 1.05, 0.42, 0.6 if outlined else 0.36
    columns = len(normal) + len(abnormal)
    row_names = ["Image", "Anomaly map"]
    if reconstructions is not None:
        row_names.insert(1, "Reconstruction")
    rows = len(row_names)
    width = left + columns * tile + (len(blocks) - 1) * gap + right
    height = top + rows * tile + bottom
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")

    x = left
    for block_number, (name, members) in enumerate(blocks):
        x += gap if block_number else 0.0
        _title_block(figure, name, len(members), x / width, len(members) * tile / width, height)
        for i in members:
            pictures = [to_display(images[i]), maps[i]]
            if reconstructions is not None:
                pictures.insert(1, to_display(reconstructions[i]))
            for row, picture in enumerate(pictures):
                y = bottom + (rows - 1 - row) * tile
                pad = 0.03
                axes = figure.add_axes(
                    (
                        (x + pad) / width,
                        (y + pad) / height,
                        (tile - 2 * pad) / width,
                        (tile - 2 * pad) / height,
                    )
                )
                colours: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255}
                if row == rows - 1:
                    colours = {"cmap": "inferno", "vmin": 0.0, "vmax": scale}
                drawn = axes.imshow(picture, interpolation="nearest", **colours)
                axes.set_xticks([])
                axes.set_yticks([])
                for spine in axes.spines.values():
                    spine.set_visible(False)
                if outlines is not None and row_names[row] != "Reconstruction":
                    outline(axes, outlines[i])
                if x == left:
                    axes.set_ylabel(row_names[row], fontsize=10)
                if row == rows - 1:
                    label = axes.set_xlabel(caption(captions[i]), fontsize=8, labelpad=3)
                    label.set_parse_math(False)  # a $ is a part of a name
            x += tile

    bar_axes = figure.add_axes(
        ((x + 0.12) / width, (bottom + 0.03) / height, 0.12 / width, (tile - 0.06) / height)
    )
    bar = figure.colorbar(drawn, cax=bar_axes, extend="max")
    bar.set_label("distance" if reconstructions is None else "squared difference", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=4))
    if outlined:
        figure.text(
            (left + 0.06) / width,
            0.1 / height,
            "Outline: the annotated defect",
            fontsize=9,
            color="white",
            bbox={"facecolor": "black", "edgecolor": OUTLINE_COLOUR, "pad": 2.5},
        )
    return save_figure(figure, path)


def _check_shapes(
    images: NDArray[Any],
    reconstructions: NDArray[Any] | None,
    maps: NDArray[Any],
    labels: NDArray[Any],
    captions: Sequence[str],
    masks: NDArray[Any] | None,
) -> None:
    alike = reconstructions is None or images.shape == reconstructions.shape
    if images.ndim != 4 or images.shape[0] == 0 or not alike:
        raise ValueError(
            "images and reconstructions must be (N, C, H, W) alike with N > 0, "
            f"not {images.shape} and {getattr(reconstructions, 'shape', None)}"
        )
    plane = (images.shape[0], *images.shape[2:])
    if maps.shape != plane or (masks is not None and masks.shape != plane):
        raise ValueError(f"anomaly_maps and masks must be {plane}")
    if labels.shape != plane[:1] or len(captions) != plane[0]:
        raise ValueError(f"{plane[0]} labels and captions are needed")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be 0 (normal) or 1 (abnormal)")
    arrays = [array for array in (images, reconstructions, maps) if array is not None]
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("images, reconstructions and anomaly_maps must be finite")


def _title_block(
    figure: "Figure", name: str, count: int, x: float, width: float, height_inches: float
) -> None:
    """Write the class over its block of columns, with a bar in the colour of the class."""
    from matplotlib.lines import Line2D

    y = 1.0 - 0.36 / height_inches
    inset = 0.02 * width / count
    colour = CLASS_COLOURS[CLASS_NAMES.index(name)]
    figure.add_artist(
        Line2D(
            [x + inset, x + width - inset],
            [y, y],
            color=colour,
            linewidth=2,
            transform=figure.transFigure,
        )
    )
    figure.text(
        x + width / 2, y + 0.05 / height_inches, name.capitalize(), ha="center", fontsize=11
    )
