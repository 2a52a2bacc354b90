"""Pictures of the page as data URIs: examples, anomaly maps, score distributions."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TILE_PX = 160


def image_uri(pixels: NDArray[np.uint8], largest_px: int = TILE_PX) -> str:
    """Encode an image as a data URI, reduced in size if necessary.

    Args:
        pixels: (H, W, C) uint8, C = 1 or 3.
        largest_px: Longest side of the result in pixels.

    Raises:
        ValueError: If the shape or type is another.
    """
    from PIL import Image

    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or pixels.dtype != np.uint8:
        raise ValueError(f"invalid image of shape {pixels.shape}: expected (H, W, 1 or 3) uint8")
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    picture.thumbnail((largest_px, largest_px))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90, subsampling=0)
    return _uri("jpeg", buffer.getvalue())


def map_uri(anomaly_map: NDArray[np.float32], scale: float) -> str:
    """Encode an anomaly map as a coloured data URI.

    Args:
        anomaly_map: (H, W) float32; values below 0 are as dark as 0.
        scale: Value of the brightest colour, see `map_scale`.
    """
    from matplotlib import colormaps

    colours = colormaps["inferno"](np.clip(anomaly_map / scale, 0, 1), bytes=True)
    return image_uri(np.ascontiguousarray(colours[:, :, :3]))


def figure_uri(figure: Figure) -> str:
    """Encode a matplotlib figure as a data URI."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return _uri("png", buffer.getvalue())


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
