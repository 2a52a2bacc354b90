"""Common parts of all pictures: colours, conversion to pixels, and writing the file.

matplotlib is used without ``pyplot``, so that no state is left behind and no display is needed. It
is imported where used, because the import takes a second.
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

Floats = NDArray[np.float64]

# Blue and vermillion of the Okabe-Ito palette, distinguishable with any colour vision.
OUTLINE_COLOUR = "#00E5FF"
CLASS_COLOURS = ("#0072B2", "#D55E00")
SOFT_COLOUR = "0.35"

DPI = 120

# Pictures of a run are as wide as the text of a phone (350 of 390 px, at 96 px an inch), so that
# letters have this size there, and larger ones elsewhere. They are sharp at 2.5 times this width.
WIDTH_IN = 3.64
TEXT_PT = 9.0
SHARP_DPI = 240

# The brightest 0.2 % of the pixels share the top colour, so that one bright pixel does not darken
# all maps.
_MAP_SCALE_PERCENTILE = 99.8


def to_numpy(values: Any) -> NDArray[Any]:
    """Convert a tensor on any device, or anything that numpy takes, to an array."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values
    return np.asarray(values)


def to_display(image: Any) -> NDArray[np.uint8]:
    """Convert a network's image to pixels.

    Args:
        image: (C, H, W) float array or tensor in [-1, 1], C = 1 or 3; values outside are clipped.

    Returns:
        (H, W) uint8 for C = 1, (H, W, 3) uint8 for C = 3.

    Raises:
        ValueError: If the shape is another.

    >>> to_display(np.full((1, 2, 2), -1.0)).tolist()
    [[0, 0], [0, 0]]
    """
    values = to_numpy(image)
    if values.ndim != 3 or values.shape[0] not in (1, 3):
        raise ValueError(f"invalid image of shape {values.shape}: expected (C, H, W), C = 1 or 3")
    pixels = np.rint((np.clip(values, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)
    return pixels[0] if pixels.shape[0] == 1 else np.moveaxis(pixels, 0, -1)


def to_pixels(images: Any) -> NDArray[np.uint8]:
    """Convert a network's images, (N, C, H, W) in [-1, 1], to (N, H, W, C) uint8."""
    pictures = [to_display(image) for image in images]
    return np.stack([p[..., None] if p.ndim == 2 else p for p in pictures])


def short_number(value: float) -> str:
    """Format a number with four significant digits and a true minus sign.

    >>> short_number(671.7611), short_number(67183.2), short_number(-2.40081)
    ('671.8', '67180', '\u22122.401')
    """
    return f"{float(f'{value:.4g}'):g}".replace("-", "\u2212")


def map_scale(maps: NDArray[Any]) -> float:
    """Return the value of the brightest colour for anomaly maps that are compared.

    Args:
        maps: (N, H, W) float; the darkest colour is 0, and of all that is below.
    """
    scale = float(np.percentile(maps, _MAP_SCALE_PERCENTILE)) if maps.size else 0.0
    return scale if scale > 0 else 1.0


def save_figure(figure: "Figure", path: Path) -> Path:
    """Write a PNG file completely or not at all; return its path."""
    path = Path(path)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return path


def caption(name: str, length: int = 24) -> str:
    """Return the end of a file name for drawing with ``parse_math=False``.

    Characters that the font lacks or that cannot be printed become escapes.

    Args:
        name: File name.
        length: Largest number of characters.
    """
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))

    def can_show(character: str) -> bool:
        return character.isprintable() and font.get_char_index(ord(character)) != 0

    return printable_end(name, length, can_show)


def outline(axes: "Axes", mask: NDArray[np.bool_], line_width: float = 1.1) -> None:
    """Draw the outline of a defect over an image.

    Args:
        axes: Axes with the image, in units of pixels.
        mask: (H, W) bool; nothing is drawn if no element is True.
        line_width: Width in points.
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
