"""Pictures of the page as data URIs: examples, anomaly maps, score distributions."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.display.drawing import OUTLINE_COLOUR

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

_COLOURS = "inferno"
_FIGURE_COLOURS = 128
TILE_PX = 160


def image_uri(
    pixels: NDArray[np.uint8],
    largest_px: int = TILE_PX,
    mask: NDArray[np.bool_] | None = None,
) -> str:
    """Encode an image as a data URI, reduced in size if necessary.

    Args:
        pixels: (H, W, C) uint8, C = 1 or 3.
        largest_px: Longest side of the result in pixels.
        mask: (H, W) bool, True where the image is abnormal: outlined, in an image of the full size.

    Raises:
        ValueError: If the shape or type is another.
    """
    from PIL import Image

    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or pixels.dtype != np.uint8:
        raise ValueError(f"invalid image of shape {pixels.shape}: expected (H, W, 1 or 3) uint8")
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    picture.thumbnail((largest_px, largest_px))
    if mask is not None and mask.any():
        picture = _outlined(picture, mask, largest_px)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90, subsampling=0)
    return _uri("jpeg", buffer.getvalue())


def _outlined(picture: Image.Image, mask: NDArray[np.bool_], largest_px: int) -> Image.Image:
    """Draw the outline of a defect, as thick in a small image as in a large one."""
    from PIL import Image, ImageFilter

    factor = largest_px / max(picture.size)
    width, height = (max(1, round(side * factor)) for side in picture.size)
    size = (width, height)
    # A pixel with any part of the defect is of it, so that a thin scratch is not lost.
    share = Image.fromarray(mask.astype(np.float32)).resize(size, Image.Resampling.BOX)
    defect = Image.fromarray((np.asarray(share) > 0).astype(np.uint8))
    ring = np.asarray(defect.filter(ImageFilter.MaxFilter(5))) > np.asarray(defect)
    drawn = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    drawn.paste(OUTLINE_COLOUR, mask=Image.fromarray(ring.astype(np.uint8) * 255))
    return drawn


def map_uri(
    anomaly_map: NDArray[np.float32],
    scale: tuple[float, float],
    largest_px: int = TILE_PX,
    mask: NDArray[np.bool_] | None = None,
) -> str:
    """Encode an anomaly map as a coloured data URI.

    Args:
        anomaly_map: (H, W) float32.
        scale: Values of the darkest and the brightest colour; beyond, the colours stay the same.
        largest_px: Longest side of the result in pixels.
        mask: (H, W) bool, see `image_uri`.
    """
    low, high = scale
    shares = np.clip((anomaly_map - low) / (high - low), 0, 1)
    return image_uri(_colours(shares), largest_px, mask)


def scale_uri() -> str:
    """Encode the colours of `map_uri` as a bar, the darkest on the left."""
    return image_uri(_colours(np.linspace(0, 1, TILE_PX)[None, :].repeat(8, 0)))


def _colours(shares: NDArray[Any]) -> NDArray[np.uint8]:
    from matplotlib import colormaps

    return np.ascontiguousarray(colormaps[_COLOURS](shares, bytes=True)[:, :, :3])


def figure_uri(figure: Figure) -> str:
    """Encode a matplotlib figure as a data URI, with few colours: a third of the size."""
    from PIL import Image

    drawn, written = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    picture = Image.open(drawn).convert("RGB").quantize(_FIGURE_COLOURS, dither=Image.Dither.NONE)
    picture.save(written, "PNG", optimize=True)
    return _uri("png", written.getvalue())


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
