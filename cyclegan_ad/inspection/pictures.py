"""Pictures of the page: thumbnail, image, reconstruction and heat map, as bytes of a file."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from cyclegan_ad.data.images import full_size
from cyclegan_ad.detector.prediction import Prediction

THUMBNAIL_PX = 176
LARGEST_PX = 1024
"""Longest side of an image as the page shows it; larger ones are reduced."""


def draw_image(
    path: Path, channels: int, window: tuple[float, float] | None, longest_px: int
) -> bytes:
    """Draw an image, as the detector sees its values, at most so large.

    Args:
        path: The file.
        channels: 1 for grey, 3 for RGB.
        window: Window of the detector.
        longest_px: Longest side of the result.

    Returns:
        PNG data.

    Raises:
        UnreadableImage: If the file is not a usable image.
    """
    image = full_size(path, channels, window)
    image.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    return _png(image)


def draw_reconstruction(prediction: Prediction) -> bytes | None:
    """Draw the reconstruction, S x S px; None if the method has none."""
    made = prediction.reconstruction
    if made is None:
        return None
    return _png(Image.fromarray(made[..., 0] if made.shape[-1] == 1 else made))


def draw_heat(prediction: Prediction) -> bytes | None:
    """Draw the anomaly map, S x S px, to be laid over the image; None without a map."""
    heat = prediction.heat()
    return None if heat is None else _png(heat)


def _png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG", compress_level=1)
    return content.getvalue()
