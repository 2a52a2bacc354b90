"""What all pictures of a run share: colours, pixels to show, and writing the file.

matplotlib is used through its objects, so that nothing is left behind in ``pyplot`` and no display
is needed; it is imported where used, as it takes a second.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.files import replacing
from cyclegan_ad.text import printable_end

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLASS_NAMES = ("normal", "abnormal")

# Blue and vermillion of the Okabe-Ito palette: told apart with any colour vision, and in grey.
OUTLINE_COLOUR = "#00E5FF"
CLASS_COLOURS = ("#0072B2", "#D55E00")

DPI = 120


def to_numpy(values: Any) -> NDArray[Any]:
    """Take a tensor off its device and graph; leave anything else to numpy."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values
    return np.asarray(values)


def to_display(image: Any) -> NDArray[np.uint8]:
    """Convert a network's image to pixels to be shown.

    Args:
        image: (C, H, W) float array or tensor in [-1, 1], C = 1 or 3; values outside are clipped.

    Returns:
        (H, W) uint8 for C = 1, (H, W, 3) uint8 for C = 3.

    Raises:
        ValueError: if the shape is another.

    >>> to_display(np.full((1, 2, 2), -1.0)).tolist()
    [[0, 0], [0, 0]]
    """
    values = to_numpy(image)
    if values.ndim != 3 or values.shape[0] not in (1, 3):
        raise ValueError(f"image must be (C, H, W) with C = 1 or 3, not {values.shape}")
    pixels = np.rint((np.clip(values, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)
    return pixels[0] if pixels.shape[0] == 1 else np.moveaxis(pixels, 0, -1)


def save_figure(figure: "Figure", path: Path) -> Path:
    """Write the figure whole or not at all."""
    path = Path(path)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return path


def caption(name: str, length: int = 24) -> str:
    """The end of a file's name, fit to be drawn; give it to matplotlib with ``parse_math=False``.

    Characters that the font has no sign for become escapes, as those that cannot be printed do.

    Args:
        name: As it is.
        length: Characters at most.
    """
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))

    def can_show(character: str) -> bool:
        return character.isprintable() and font.get_char_index(ord(character)) != 0

    return printable_end(name, length, can_show)


def outline(axes: "Axes", mask: NDArray[np.bool_], line_width: float = 1.1) -> None:
    """Draw the outline of a defect over an image.

    Args:
        axes: With the image, a pixel a unit.
        mask: (H, W) bool; nothing is drawn where none is True.
        line_width: In points.
    """
    if not mask.any():
        return
    # A border of zeros closes the outline of a defect that touches the edge of the image.
    padded = np.pad(mask, 1).astype(np.float32)
    rows, columns = np.arange(-1, mask.shape[0] + 1), np.arange(-1, mask.shape[1] + 1)
    limits = axes.get_xlim(), axes.get_ylim()
    axes.contour(columns, rows, padded, levels=[0.5], colors=OUTLINE_COLOUR, linewidths=line_width)
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])
