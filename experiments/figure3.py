"""Figure 3: normal and abnormal images, their reconstructions and the squared differences.

  python -m cyclegan_ad.train +experiment=figure3            trains what the figure shows
  python -m experiments.figure3
  python -m experiments.figure3 run_name=cyclegan-64 dataset=screw,brain_mri seed=1

Writes figure3_<run_name>.png. Datasets without a run are left out, with the command that trains it.

Settings (change with name=value):
  runs=runs               folder of the runs
  run_name=cyclegan-256   which runs
  seed=0                  which split
  dataset=A,B,...         which datasets; default: the paper's seven
  examples=2              images of each class, chosen evenly over the test set
  out=figures             folder that the figure is written to
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.display.drawing import (
    CLASS_COLOURS,
    CLASS_NAMES,
    DPI,
    map_scale,
    outline,
    save_figure,
)
from cyclegan_ad.errors import UserError
from cyclegan_ad.reporting.labels import dataset_title
from cyclegan_ad.runs.examples import read_examples
from cyclegan_ad.runs.results import read_metrics
from experiments.driver import FIGURE_DEFAULTS, Settings, draw_runs, run_driver, whole_number

DEFAULTS = FIGURE_DEFAULTS | {"examples": "2"}
COLUMNS = ("Image", "Reconstruction", "Squared difference")
_TILE_INCHES = 1.35

# Image and reconstruction ((H, W) or (H, W, 3) uint8), squared difference ((H, W) float32), mask of
# the annotated defect ((H, W) bool).
Tiles = list[NDArray[Any]]


@dataclass(frozen=True)
class Strip:
    """Part of the figure for one dataset.

    Attributes:
        title: Name of the dataset.
        tiles: Rows of the normal and of the abnormal class.
    """

    title: str
    tiles: tuple[list[Tiles], list[Tiles]]


def read_strip(run_dir: Path, dataset: str, examples: int) -> Strip:
    """Read the examples that a run has saved.

    Raises:
        UserError: If there are none, or the method has no reconstructions.
    """
    saved = read_examples(run_dir, read_metrics(run_dir))
    if saved.reconstructions is None:
        raise UserError(
            f"{run_dir} has no reconstructions (its method computes none); set run_name=NAME of a "
            "CycleGAN or GANomaly"
        )
    tiles: tuple[list[Tiles], list[Tiles]] = ([], [])
    for label in (0, 1):
        candidates = np.flatnonzero((saved.labels == label) & ~saved.critical)
        count = min(examples, len(candidates))
        for k in range(count):
            i = int(candidates[(2 * k + 1) * len(candidates) // (2 * count)])
            pictures = [
                p[..., 0] if p.shape[-1] == 1 else p
                for p in (saved.images[i], saved.reconstructions[i])
            ]
            tiles[label].append([*pictures, saved.maps[i], saved.masks[i]])
    return Strip(dataset_title(dataset), tiles)


def draw_strips(strips: list[Strip], source: str, path: Path) -> Path:
    """Draw one strip a dataset, normal images left, abnormal ones right, into a PNG file."""
    from matplotlib.figure import Figure

    counts = [max(map(len, strip.tiles)) for strip in strips]
    size = (2 * len(COLUMNS) * _TILE_INCHES + 1.2, sum(counts) * _TILE_INCHES + 1.0)
    figure = Figure(figsize=size, dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.subplots(sum(counts), 2 * len(COLUMNS), squeeze=False)
    for empty in axes.flat:
        empty.set(xticks=[], yticks=[])
        empty.spines[:].set_visible(False)
    for column, tile in enumerate(axes[0]):
        label, kind = divmod(column, len(COLUMNS))
        title = f"{CLASS_NAMES[label].capitalize()}\n{COLUMNS[kind]}"
        tile.set_title(title, fontsize=9, color=CLASS_COLOURS[label])
    top = 0
    for strip, count in zip(strips, counts, strict=True):
        place, top = axes[top : top + count], top + count
        bar = figure.colorbar(_draw(place, strip), ax=place, extend="max", fraction=0.02, pad=0.01)
        bar.ax.tick_params(labelsize=8)
    note = f"{source}. Each dataset has its own colour scale."
    if any(row[3].any() for strip in strips for row in strip.tiles[1]):
        note += " Outline: the annotated defect."
    figure.supxlabel(note, fontsize=9)
    return save_figure(figure, path)


def _draw(axes: Any, strip: Strip) -> Any:
    """Draw the tiles of a dataset; return the last map, for the colour bar."""
    axes[0, 0].set_ylabel(strip.title, fontsize=11)
    scale = map_scale(np.stack([row[2] for tiles in strip.tiles for row in tiles]))
    drawn: Any = None
    for label, tiles in enumerate(strip.tiles):
        for row, places in zip(tiles, axes[:, label * len(COLUMNS) :], strict=False):
            for name, picture, tile in zip(COLUMNS, row, places, strict=False):
                colours: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255}
                if name == "Squared difference":
                    colours = {"cmap": "inferno", "vmin": 0.0, "vmax": scale}
                drawn = tile.imshow(picture, interpolation="nearest", **colours)
                if label and name != "Reconstruction":
                    outline(tile, row[3], 0.9)
    return drawn


def figure3(settings: Settings) -> list[UserError]:
    """Draw the figure from the runs that exist; return an error for each missing run."""
    examples = whole_number(settings, "examples", 1)
    return draw_runs(settings, "figure3", partial(read_strip, examples=examples), draw_strips)


if __name__ == "__main__":
    run_driver(figure3, DEFAULTS, __doc__)
