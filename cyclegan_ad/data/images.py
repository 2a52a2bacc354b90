"""Decoding of images and masks at the size of the network's input."""

import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cyclegan_ad.data.formats import opening
from cyclegan_ad.data.formats.deep_pixels import (
    EIGHT_BITS,
    DeepPixels,
    Window,
    row_blocks,
)
from cyclegan_ad.data.formats.image_bytes import UnreadableImage, read_bytes
from cyclegan_ad.data.shrinking import shrink_mask

_GREY = frozenset({"1", "L", "LA"})


def decode_image(
    data: bytes, size_px: int, channels: int, window: Window | None = None
) -> NDArray[np.uint8]:
    """Decode an image and resize it to a square by bicubic interpolation.

    - The EXIF orientation is applied; of several frames the first one is used.
    - Transparent pixels (alpha, or a transparent colour) are composited on black.
    - Values are scaled by the bit depth of the file, not by the range of the image: the largest
      possible value becomes 255. 16-bit grey becomes ``round(value / 257)``; 16-bit colour is
      reduced to the high byte.
    - With a window, stored values of LOW and below become black, those of HIGH and above white,
      linear between. Stored values of DICOM and NIfTI are those after their slope and intercept.
      Where 0 is white, the result is inverted. It does not apply to images of at most 8 bits.
    - Without a window, DICOM has the one of its file. Other values of which none is known to be
      white are rejected: grey of DICOM without a window, NIfTI except for unsigned bytes, signed
      and 32-bit TIFF beyond 0 to 65535, which is read as 16-bit grey if all values fit.
    - 1-bit, palette, CMYK and YCbCr images become grey or RGB; grey is ITU-R 601-2 luma.
    - Floating-point images are rejected, as their black and white levels are undefined, and so are
      TIFF layouts that are not known to be read correctly.
    - JPEG files are decoded at full size: scaled decoding would change pixels.

    Args:
        data: Contents of a PNG, JPEG, BMP, TIFF, WebP, HEIC, AVIF, DICOM or NIfTI file of at most
            536 megapixels (2**29).
        size_px: Side of the result.
        channels: 1 for grey, 3 for RGB.
        window: (LOW, HIGH) with LOW < HIGH, in stored units; None for none.

    Returns:
        (size_px, size_px, channels) uint8, 0 to 255.

    Raises:
        UnreadableImage: The data is empty, truncated, or not a usable image.
        ValueError: ``channels`` is neither 1 nor 3.
    """
    image = opening.open_image(data, as_stored=window is not None)
    return shrink_image(image, size_px, channels, window)


def shrink_image(
    image: Image.Image | DeepPixels, size_px: int, channels: int, window: Window | None
) -> NDArray[np.uint8]:
    """Reduce a decoded image to 8 bits and resize it to a square, as :func:`decode_image` does.

    Args:
        image: Any Pillow image except those of floating-point values, or deep pixels.
        size_px: See :func:`decode_image`, likewise the others.
        channels: 1 or 3.
        window: (LOW, HIGH), or None.

    Raises:
        UnreadableImage: If there is a window and the image has at most 8 bits.
        ValueError: If ``channels`` is neither 1 nor 3.
    """
    if channels not in (1, 3):
        raise ValueError(f"invalid channels={channels}: expected 1 (grey) or 3 (RGB)")
    mode = "L" if channels == 1 else "RGB"
    flat = _in_8_bits(image, mode, window)
    if flat.mode not in ("L", mode):  # grey: one channel to resize
        flat = flat.convert(mode)
    resized = flat.resize((size_px, size_px), Image.Resampling.BICUBIC).convert(mode)
    return np.asarray(resized, dtype=np.uint8).reshape(size_px, size_px, channels)


def full_size(
    image: str | os.PathLike[str] | Image.Image | DeepPixels, channels: int, window: Window | None
) -> Image.Image:
    """Decode an image as :func:`decode_image` does, but keep its size.

    Args:
        image: A file, or a decoded image.
        channels: 1 for grey, 3 for RGB.
        window: (LOW, HIGH), or None.

    Returns:
        Image in mode L or RGB.

    Raises:
        UnreadableImage: The file cannot be read or is not a usable image.
    """
    if not isinstance(image, Image.Image | DeepPixels):
        image = opening.open_image(read_bytes(image), as_stored=window is not None)
    mode = "L" if channels == 1 else "RGB"
    return _in_8_bits(image, mode, window).convert(mode)


def _in_8_bits(image: Image.Image | DeepPixels, mode: str, window: Window | None) -> Image.Image:
    if isinstance(image, DeepPixels):
        return (image if window is None else image.windowed(window)).to_8_bit()
    if window is not None:
        raise UnreadableImage(EIGHT_BITS)
    return _flatten(image, mode)


def read_mask(
    path: str | os.PathLike[str], size_px: int, image_size: tuple[int, int] | None = None
) -> NDArray[np.bool_]:
    """Read a ground-truth mask.

    A pixel belongs to the defect if any of its values is not zero (after compositing on black).
    `shrink_mask` resizes it without intermediate values and without losing a region.

    Args:
        path: The mask file.
        size_px: Side of the result.
        image_size: Width and height of the image it belongs to, from `upright_size`.

    Returns:
        (size_px, size_px) bool, True on the defect.

    Raises:
        UnreadableImage: The file cannot be read, does not hold a usable image, uses lossy
            compression, or differs in size from its image.
    """
    data = read_bytes(path)
    opening.require_lossless(data)
    image = opening.open_image(data, as_stored=True)
    marked = image.marked() if isinstance(image, DeepPixels) else _marked(image)
    size = marked.shape[::-1]
    if image_size is not None and size != image_size:
        turned = " after applying its EXIF orientation" if size[::-1] == image_size else ""
        raise UnreadableImage(
            f"mask is {size[0]} x {size[1]} px, its image {image_size[0]} x {image_size[1]} px"
            f"{turned}: draw the mask on the upright image"
        )
    return shrink_mask(marked, size_px)


def upright_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Return width and height of an image after EXIF orientation, without decoding pixels.

    Raises:
        UnreadableImage: The file cannot be read or is not an image of a known format.
    """
    return opening.upright_size(read_bytes(path))


def _flatten(image: Image.Image, mode: str) -> Image.Image:
    """Composite an image on black, in ``mode`` or, if it is grey, in mode L."""
    target = "L" if image.mode in _GREY else mode
    if image.mode == target and not image.has_transparency_data:
        return image
    flat = Image.new(target, image.size)
    for top, block in _blocks(image):
        flat.paste(_to_8_bit(block).convert(target), (0, top))
    return flat


def _marked(image: Image.Image) -> NDArray[np.bool_]:
    """Return where an image is neither zero nor fully transparent, (H, W) bool."""
    marked = np.empty((image.height, image.width), dtype=np.bool_)
    for top, block in _blocks(image):
        if image.has_transparency_data:
            *colours, alpha = np.moveaxis(np.asarray(block.convert("RGBA")), 2, 0)
            some = np.logical_or.reduce(colours) & (alpha != 0)
        else:
            some = np.asarray(_to_8_bit(block)) != 0
        marked[top : top + block.height] = some.any(axis=2) if some.ndim == 3 else some
    return marked


def _blocks(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield an image in blocks of rows, so that temporary copies stay small."""
    for top, rows in row_blocks(image.height, image.width):
        yield top, image.crop((0, rows.start, image.width, rows.stop))


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Composite an image on black, in mode L or RGB."""
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, image.convert("RGBA")).convert("RGB")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")
