"""Decodes one image or mask file at the size the networks see."""

import io
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

# Only these are tried, whatever the suffix says: some decoders of Pillow start other programs.
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
_MODES_16_BIT = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})


class UnreadableImage(Exception):
    """A file that does not hold a usable image; the message is a short reason without its name."""


def read_image(path: str | os.PathLike[str], size_px: int, channels: int) -> NDArray[np.uint8]:
    """Reads an image file; see `decode_image` for the rules.

    Returns:
        (size_px, size_px, channels) uint8.

    Raises:
        UnreadableImage: The file cannot be read or does not hold a usable image.
        ValueError: ``channels`` is neither 1 nor 3.
    """
    return decode_image(_read_bytes(path), size_px, channels)


def decode_image(data: bytes, size_px: int, channels: int) -> NDArray[np.uint8]:
    """Decodes an image and resizes it to a square by bicubic interpolation.

    - The orientation noted in EXIF is applied; of several frames the first one counts.
    - Transparent pixels (RGBA, LA, or a transparent colour) are composed on black.
    - 16-bit grey becomes 8-bit as ``round(value / 257)``, so that 0 stays 0 and 65535 becomes 255;
      the range of the image at hand plays no part. 16-bit colour is reduced by Pillow (high byte).
    - 1-bit, palette, CMYK and YCbCr images become grey or RGB; grey is ITU-R 601-2 luma.
    - Floating-point images are refused: nothing says what their black and white are.
    - JPEG files are decoded in full: decoding them at a smaller scale would change pixels.

    Args:
        data: Contents of a PNG, JPEG, BMP, TIFF or WebP file.
        size_px: Side of the result.
        channels: 1 for grey, 3 for RGB.

    Returns:
        (size_px, size_px, channels) uint8, 0 to 255.

    Raises:
        UnreadableImage: The data is empty, truncated, or not a usable image.
        ValueError: ``channels`` is neither 1 nor 3.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels={channels}: choose 1 (grey) or 3 (RGB)")
    mode = "L" if channels == 1 else "RGB"
    image = _to_8_bit(_open(data))
    image = image if image.mode == "L" else image.convert(mode)  # grey: one channel to resize
    resized = image.resize((size_px, size_px), Image.Resampling.BICUBIC).convert(mode)
    return np.asarray(resized, dtype=np.uint8).reshape(size_px, size_px, channels)


def read_mask(path: str | os.PathLike[str], size_px: int) -> NDArray[np.bool_]:
    """Reads a ground-truth mask.

    A pixel belongs to the defect if any of its values is not zero (after transparency is composed
    on black). The mask is resized by nearest neighbour, so that no pixel lies in between.

    Args:
        path: The mask file.
        size_px: Side of the result.

    Returns:
        (size_px, size_px) bool, True on the defect.

    Raises:
        UnreadableImage: The file cannot be read or does not hold a usable image.
    """
    image = _open(_read_bytes(path))
    if image.mode not in _MODES_16_BIT:
        image = _to_8_bit(image)
    marked = np.asarray(image) != 0
    marked = marked.any(axis=2) if marked.ndim == 3 else marked
    mask = Image.fromarray(marked.astype(np.uint8))
    return np.asarray(mask.resize((size_px, size_px), Image.Resampling.NEAREST)) != 0


def _read_bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UnreadableImage(f"cannot be read ({error.strerror})") from error


def _open(data: bytes) -> Image.Image:
    """The first frame, decoded and turned upright, in the mode of the file."""
    if not data:
        raise UnreadableImage("empty file")
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
    except UnidentifiedImageError:
        raise UnreadableImage("not a PNG, JPEG, BMP, TIFF or WebP image") from None
    except Exception as error:  # decoders raise nearly every type on damaged data
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableImage(f"damaged image ({reason})") from error
    if upright.mode not in _MODES | _MODES_16_BIT:
        hint = ": save it with 8 or 16 bits a pixel" if upright.mode == "F" else ""
        raise UnreadableImage(f"pixel mode {upright.mode} is not supported{hint}")
    return upright


def _to_8_bit(image: Image.Image) -> Image.Image:
    if image.mode in _MODES_16_BIT:
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise UnreadableImage(
                f"grey values from {values.min()} to {values.max()} do not fit into 16 bits"
            )
        grey = ((values + 128) // 257).astype(np.uint8)
        if (transparent := image.info.get("transparency")) is not None:
            grey[values == transparent] = 0
        return Image.fromarray(grey)
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, image.convert("RGBA")).convert("RGB")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")
