"""Figure of images, their reconstructions and anomaly maps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.display.drawing import (
    CLASS_COLOURS,
    CLASS_NAMES,
    DPI,
    OUTLINE_COLOUR,
    caption,
    map_scale,
    outline,
    save_figure,
    to_display,
    to_numpy,
)


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

    All maps share one colour scale, so that their brightness is comparable.

    Args:
        images: (N, C, H, W) float in [-1, 1], array or tensor.
        reconstructions: (N, C, H, W) float in [-1, 1], or None for a method without them.
        anomaly_maps: (N, H, W) float; with reconstructions, the squared difference. Values below 0
            are as dark as 0.
        labels: (N,) int, 0 normal, 1 abnormal.
        captions: N names of files, each written below its column.
        path: PNG file to write; its folder is created.
        masks: (N, H, W) bool or None, defects to outline in the image and in the map.

    Returns:
        ``path``.

    Raises:
        ValueError: If N is 0, the shapes are inconsistent, or a value is not finite.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    images = to_numpy(images)
    reconstructions = None if reconstructions is None else to_numpy(reconstructions)
    maps, labels = to_numpy(anomaly_maps), to_numpy(labels)
    outlines = None if masks is None else to_numpy(masks).astype(bool)
    _check_shapes(images, reconstructions, maps, labels, captions, outlines)

    normal, abnormal = (np.flatnonzero(labels == label).tolist() for label in (0, 1))
    # A narrow column separates the classes.
    columns: list[int | None] = [*normal, *([None] if normal and abnormal else []), *abnormal]
    ratios = [0.23 if i is None else 1.0 for i in columns]
    scale = map_scale(maps)
    outlined = outlines is not None and bool(outlines.any())
    kinds = {"Image": images, "Reconstruction": reconstructions, "Anomaly map": maps}
    rows = {name: pictures for name, pictures in kinds.items() if pictures is not None}

    # In inches.
    tile, left, right, top, bottom = 1.5, 0.45, 1.05, 0.42, 0.6 if outlined else 0.36
    width, height = left + tile * sum(ratios) + right, top + tile * len(rows) + bottom
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    grid = figure.add_gridspec(
        len(rows),
        len(columns),
        width_ratios=ratios,
        left=left / width,
        right=1 - right / width,
        bottom=bottom / height,
        top=1 - top / height,
        wspace=0.04,
        hspace=0.04,
    )
    places = {}  # image -> left and right end of its column
    for column, i in enumerate(columns):
        if i is None:
            continue
        for row, (name, pictures) in enumerate(rows.items()):
            axes = figure.add_subplot(grid[row, column], xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if pictures is maps:
                drawn = axes.imshow(maps[i], cmap="inferno", vmin=0.0, vmax=scale)
                axes.set_xlabel(caption(captions[i]), fontsize=8, labelpad=3, parse_math=False)
            else:
                axes.imshow(to_display(pictures[i]), cmap="gray", vmin=0, vmax=255)
            if outlines is not None and name != "Reconstruction":
                outline(axes, outlines[i])
            if column == 0:
                axes.set_ylabel(name, fontsize=10)
        places[i] = axes.get_position().intervalx
    for name, colour, members in zip(CLASS_NAMES, CLASS_COLOURS, (normal, abnormal), strict=True):
        if members:
            start, end = places[members[0]][0], places[members[-1]][1]
            y = 1.0 - 0.36 / height
            figure.add_artist(Line2D([start, end], [y, y], color=colour, linewidth=2))
            middle, above = (start + end) / 2, y + 0.05 / height
            figure.text(middle, above, name.capitalize(), ha="center", fontsize=11)

    last = axes.get_position()
    bar_axes = figure.add_axes((last.x1 + 0.15 / width, last.y0, 0.12 / width, last.height))
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
    same = reconstructions is None or images.shape == reconstructions.shape
    if images.ndim != 4 or images.shape[0] == 0 or not same:
        raise ValueError(
            "images and reconstructions must have one shape (N, C, H, W) with N > 0, "
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
