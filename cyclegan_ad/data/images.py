"""Decodes image and mask files at the size the networks see, many of them on all cores."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cyclegan_ad.data.formats import opening
from cyclegan_ad.data.formats.deep_pixels import DeepPixels, row_blocks
from cyclegan_ad.data.formats.image_bytes import UnreadableImage, read_bytes
from cyclegan_ad.data.parallel import map_in_order
from cyclegan_ad.data.shrinking import shrink_mask

Progress = Callable[[int, int], None]

_GREY = frozenset({"1", "L", "LA"})


def decode_image(data: bytes, size_px: int, channels: int) -> NDArray[np.uint8]:
    """Decodes an image and resizes it to a square by bicubic interpolation.

    - The orientation noted in EXIF is applied; of several frames the first one counts.
    - Transparent pixels (alpha, or a transparent colour) are composed on black.
    - Values are scaled by the depth that the file states: 0 stays 0 and its largest value becomes
      255; the range of the image at hand plays no part. 16-bit grey becomes
      ``round(value / 257)``; 16-bit colour is reduced to the high byte.
    - 32-bit and signed grey is read as 16-bit grey if all values fit, from 0 to 65535.
    - 1-bit, palette, CMYK and YCbCr images become grey or RGB; grey is ITU-R 601-2 luma.
    - Floating-point images are refused: nothing says what their black and white are. So is every
      layout of a TIFF that is not known to be read right.
    - JPEG files are decoded in full: decoding them at a smaller scale would change pixels.

    Args:
        data: Contents of a PNG, JPEG, BMP, TIFF or WebP file of at most 536 megapixels (2**29).
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
    image = opening.open_image(data)
    flat = image.to_8_bit() if isinstance(image, DeepPixels) else _flatten(image, mode)
    if flat.mode not in ("L", mode):  # grey: one channel to resize
        flat = flat.convert(mode)
    resized = flat.resize((size_px, size_px), Image.Resampling.BICUBIC).convert(mode)
    return np.asarray(resized, dtype=np.uint8).reshape(size_px, size_px, channels)


def read_mask(
    path: str | os.PathLike[str], size_px: int, image_size: tuple[int, int] | None = None
) -> NDArray[np.bool_]:
    """Reads a ground-truth mask.

    A pixel belongs to the defect if any of its values is not zero (after transparency is composed
    on black). See `shrink_mask` for the resizing: no pixel lies in between, no part vanishes.

    Args:
        path: The mask file.
        size_px: Side of the result.
        image_size: Width and height of the upright image it belongs to, see `upright_size`.

    Returns:
        (size_px, size_px) bool, True on the defect.

    Raises:
        UnreadableImage: The file cannot be read, does not hold a usable image, is compressed in a
            way that changes pixels, or is not of the size of its image.
    """
    data = read_bytes(path)
    opening.require_lossless(data)
    image = opening.open_image(data, all_bits=True)
    marked = image.marked() if isinstance(image, DeepPixels) else _marked(image)
    size = marked.shape[::-1]
    if image_size is not None and size != image_size:
        turned = " once turned upright by its EXIF orientation" if size[::-1] == image_size else ""
        raise UnreadableImage(
            f"mask is {size[0]} x {size[1]} px, its image {image_size[0]} x {image_size[1]} px"
            f"{turned}: draw the mask on the image as it is shown"
        )
    return shrink_mask(marked, size_px)


def upright_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height of an image with the orientation noted in EXIF applied; decodes no pixels.

    Raises:
        UnreadableImage: The file cannot be read or is not an image of a known format.
    """
    return opening.upright_size(read_bytes(path))


@dataclass(slots=True)
class Decoded:
    """What became of one file.

    Attributes:
        sha256: SHA-256 of its contents, hexadecimal; empty if it could not be read at all.
        pixels: (S, S, C) uint8, 0 to 255; None without a usable image.
        reason: Why there is none, in a few words.
    """

    sha256: str
    pixels: NDArray[np.uint8] | None
    reason: str = ""


def decode_in_order(
    paths: Sequence[Path], size_px: int, channels: int, progress: Progress | None = None
) -> Iterator[Decoded]:
    """Decodes on all cores; holds a few files a core, whatever their number.

    Args:
        paths: Image files.
        size_px: Side of the decoded images.
        channels: 1 for grey, 3 for RGB.
        progress: Called in this thread after each file with (files done, files in all).

    Yields:
        What became of each file, in order.
    """
    decoded = map_in_order(lambda path: decode_file(path, size_px, channels), paths, name="decode")
    for done, one in enumerate(decoded, start=1):
        if progress is not None:
            progress(done, len(paths))
        yield one


def decode_file(path: Path, size_px: int, channels: int) -> Decoded:
    """Reads, hashes and decodes one file; none raises (see :func:`decode_image` for the rules)."""
    sha256 = ""
    try:
        data = read_bytes(path)
        sha256 = hashlib.sha256(data).hexdigest()
        return Decoded(sha256, decode_image(data, size_px, channels))
    except UnreadableImage as error:
        return Decoded(sha256, None, str(error))


def hash_in_order(paths: Sequence[Path], progress: Progress | None = None) -> Iterator[str]:
    """Hashes files on all cores, without decoding them.

    Args:
        paths: Files of any kind.
        progress: Called in this thread after each file with (files done, files in all).

    Yields:
        SHA-256 of the contents of each file, hexadecimal; empty if it cannot be read.
    """
    for done, sha256 in enumerate(map_in_order(hash_file, paths, name="hash"), start=1):
        if progress is not None:
            progress(done, len(paths))
        yield sha256


def hash_file(path: Path) -> str:
    """SHA-256 of the contents of a file, hexadecimal; empty if it cannot be read."""
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except UnreadableImage:
        return ""


def _flatten(image: Image.Image, mode: str) -> Image.Image:
    """The image on black, in ``mode`` or, if it is grey, in mode L."""
    grey = image.mode in _GREY | opening.MODES_16_BIT
    target = "L" if grey else mode
    if image.mode == target and not image.has_transparency_data:
        return image
    flat = Image.new(target, image.size)
    for top, block in _blocks(image):
        flat.paste(_to_8_bit(block).convert(target), (0, top))
    return flat


def _marked(image: Image.Image) -> NDArray[np.bool_]:
    """(H, W) bool: where an image is neither zero nor wholly transparent."""
    marked = np.empty((image.height, image.width), dtype=np.bool_)
    for top, block in _blocks(image):
        if image.mode in opening.MODES_16_BIT:
            values = np.asarray(block)
            some = (values != 0) & (values != image.info.get("transparency", 0))
        elif image.has_transparency_data:
            *colours, alpha = np.moveaxis(np.asarray(block.convert("RGBA")), 2, 0)
            some = np.logical_or.reduce(colours) & (alpha != 0)
        else:
            some = np.asarray(_to_8_bit(block)) != 0
        marked[top : top + block.height] = some.any(axis=2) if some.ndim == 3 else some
    return marked


def _blocks(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Its rows in blocks, so that what is made of one is small beside the image."""
    for top, rows in row_blocks(image.height, image.width):
        yield top, image.crop((0, rows.start, image.width, rows.stop))


def _to_8_bit(image: Image.Image) -> Image.Image:
    """On black, in mode L or RGB."""
    if image.mode in opening.MODES_16_BIT:
        values = np.asarray(image).astype(np.uint32)
        grey = ((values + 128) // 257).astype(np.uint8)
        if (transparent := image.info.get("transparency")) is not None:
            grey[values == transparent] = 0
        return Image.fromarray(grey)
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, image.convert("RGBA")).convert("RGB")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")
