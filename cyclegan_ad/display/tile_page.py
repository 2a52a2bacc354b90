"""A page of tiles from top to bottom: heads, images, text, a colour bar; places in inches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.display.drawing import TEXT_PT, WIDTH_IN
from cyclegan_ad.display.overlay import MAP_COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In inches: margins beside the tiles, and the head of a class.
LEFT, RIGHT, HEAD = 0.36, 0.04, 0.28


class TilePage:
    """A figure that is filled from the top; places in inches from the left and from the bottom.

    Attributes:
        y: Where the next part begins.
    """

    def __init__(self, figure: Figure, height: float) -> None:
        self.figure, self.height, self.y = figure, height, height

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        left: bool = False,
        bold: bool = False,
        colour: str = "black",
    ) -> None:
        """Write a line below a place, centred unless ``left``."""
        self.figure.text(
            x / WIDTH_IN,
            y / self.height,
            words,
            ha="left" if left else "center",
            va="top",
            fontsize=TEXT_PT,
            fontweight="bold" if bold else "normal",
            color=colour,
            parse_math=False,
        )

    def head(self, name: str, colour: str) -> None:
        """Write the name of a class, with a line in its colour."""
        from matplotlib.lines import Line2D

        self.text(LEFT, self.y - 0.04, name, left=True, bold=True)
        ends, y = [LEFT / WIDTH_IN, 1 - RIGHT / WIDTH_IN], (self.y - HEAD + 0.04) / self.height
        self.figure.add_artist(Line2D(ends, [y, y], color=colour, linewidth=2))

    def tile(self, x: float, y: float, size: float, pixels: NDArray[np.uint8]) -> Axes:
        """Draw an image with its lower left corner at a place."""
        place = (x / WIDTH_IN, y / self.height, size / WIDTH_IN, size / self.height)
        axes = self.figure.add_axes(place, xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        grey = pixels.shape[2] == 1
        axes.imshow(pixels[..., 0] if grey else pixels, cmap="gray", vmin=0, vmax=255)
        return axes

    def bar(self, scale: tuple[float, float], map_shows: str) -> None:
        """Draw the colour bar of the maps."""
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize
        from matplotlib.ticker import MaxNLocator

        width = WIDTH_IN - LEFT - 0.3
        place = (
            LEFT / WIDTH_IN,
            (self.y - 0.12) / self.height,
            width / WIDTH_IN,
            0.1 / self.height,
        )
        axes = self.figure.add_axes(place)
        colours = colormaps[MAP_COLOURS].with_extremes(under="0.6")
        shown = ScalarMappable(Normalize(*scale), colours)
        bar = self.figure.colorbar(shown, cax=axes, orientation="horizontal", extend="both")
        bar.set_label(f"Map: {map_shows}", fontsize=TEXT_PT, labelpad=2)
        bar.ax.tick_params(labelsize=TEXT_PT, pad=2)
        bar.ax.xaxis.set_major_locator(MaxNLocator(nbins=5))
        self.y -= 0.56
