"""Image files: read, hashed and decoded, on all cores."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.data.formats import opening
from cyclegan_ad.data.formats.deep_pixels import DeepPixels, ValueSpan, Window
from cyclegan_ad.data.formats.image_bytes import UnreadableImage, read_bytes
from cyclegan_ad.data.images import shrink_image
from cyclegan_ad.data.parallel import Progress, map_in_order


@dataclass(slots=True)
class Decoded:
    """A decoded file, or why it is unreadable.

    Attributes:
        sha256: SHA-256 of its contents, hexadecimal; empty if it could not be read at all.
        pixels: (S, S, C) uint8, 0 to 255; None if the file holds no usable image.
        reason: Short reason if there is none.
        span: Stored values that it uses, if it has more than 8 bits that a window applies to.
    """

    sha256: str
    pixels: NDArray[np.uint8] | None
    reason: str = ""
    span: ValueSpan | None = None


def decode_in_order(
    paths: Sequence[Path],
    size_px: int,
    channels: int,
    window: Window | None,
    progress: Progress | None = None,
) -> Iterator[Decoded]:
    """Read, hash and decode files on all cores, in order, with a few files per core in memory.

    Args:
        paths: Image files.
        size_px: See :func:`.images.decode_image`.
        channels: Likewise.
        window: Likewise.
        progress: Called in this thread after each file with (files done, total).
    """
    return map_in_order(
        lambda path: decode_file(path, size_px, channels, window),
        paths,
        name="decode",
        progress=progress,
    )


def decode_file(path: Path, size_px: int, channels: int, window: Window | None) -> Decoded:
    """Read, hash and decode one file, as :func:`decode_in_order`; errors become a reason."""
    sha256, span = "", None
    try:
        data = read_bytes(path)
        sha256 = hashlib.sha256(data).hexdigest()
        image = opening.open_image(data, as_stored=window is not None)
        if isinstance(image, DeepPixels):
            span = image.span()
        return Decoded(sha256, shrink_image(image, size_px, channels, window), span=span)
    except UnreadableImage as error:
        return Decoded(sha256, None, str(error), span)


def hash_in_order(paths: Sequence[Path], progress: Progress | None = None) -> Iterator[str]:
    """Hash files of any kind on all cores, in order.

    Args:
        paths: The files.
        progress: Called in this thread after each file with (files done, total).

    Yields:
        SHA-256 of the contents of each file, hexadecimal; empty if it cannot be read.
    """
    return map_in_order(hash_file, paths, name="hash", progress=progress)


def hash_file(path: Path) -> str:
    """Hash one file as :func:`hash_in_order` does."""
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except UnreadableImage:
        return ""
