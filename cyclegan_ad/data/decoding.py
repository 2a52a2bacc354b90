"""Decodes many image files on all cores."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.data.formats.image_bytes import UnreadableImage, read_bytes
from cyclegan_ad.data.images import decode_image
from cyclegan_ad.data.parallel import map_in_order

Progress = Callable[[int, int], None]


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
