"""Decoded images on disk: a file of pixels, and an index with digests that tell any damage."""

import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.data.decoding import Decoded
from cyclegan_ad.files import replacing, write_json


@dataclass(frozen=True, slots=True)
class Kept:
    """What the two files hold, in the order of the images.

    Attributes:
        images: (N, S, S, C) uint8, a read-only memory map.
        sha256: SHA-256 of the contents of each image file; empty if it could not be read at all.
        unreadable: Index of each file without a usable image -> short reason. Its pixels are 0.
        pixels: SHA-256 of the pixels of each image.
    """

    images: NDArray[np.uint8]
    sha256: list[str]
    unreadable: dict[int, str]
    pixels: list[str]

    def part(self, index: int) -> Decoded:
        """What became of one file."""
        reason = self.unreadable.get(index, "")
        return Decoded(self.sha256[index], None if reason else self.images[index], reason)


def read_kept(pixel_file: Path, index_file: Path, shape: tuple[int, ...]) -> Kept | None:
    """Maps the images, without a look at their pixels: see ``Kept.pixels``.

    Args:
        pixel_file: The images.
        index_file: All else.
        shape: (N, S, S, C).

    Returns:
        None if they are missing, unfinished or damaged, whatever the files hold instead.
    """
    try:
        index = json.loads(index_file.read_bytes())
        if index.pop("checksum") != _checksum(index):
            return None
        images = _map_pixels(pixel_file, shape)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    unreadable = {int(number): reason for number, reason in index["unreadable"].items()}
    return Kept(images, index["sha256"], unreadable, index["pixels"])


def write_kept(
    pixel_file: Path, index_file: Path, shape: tuple[int, ...], parts: Iterable[Decoded]
) -> Kept:
    """Writes images as they come, one at a time.

    Args:
        pixel_file: Where the images go, as an ``.npy`` file.
        index_file: Where all else goes.
        shape: (N, S, S, C).
        parts: N decoded files.

    Returns:
        What was written; not what is on disk by now, as another process may write the same cache.

    Raises:
        OSError: If the disk does not take it.
    """
    blank = np.zeros(shape[1:], np.uint8)
    sha256: list[str] = []
    unreadable: dict[int, str] = {}
    digests: list[str] = []
    # Plain writes, not a writable map: a full disk is then an error instead of a killed process,
    # and pages that wait to be written do not count as this process's memory.
    with replacing(pixel_file) as temporary, temporary.open("wb") as file:
        file.write(_header(shape))
        for index, one in enumerate(parts):
            sha256.append(one.sha256)
            if one.pixels is None:
                unreadable[index] = one.reason
            pixels = blank if one.pixels is None else one.pixels
            digests.append(digest(pixels))
            file.write(pixels.tobytes())
    # Written last: images without this file are an unfinished cache.
    reasons = {str(number): reason for number, reason in unreadable.items()}
    content = {"sha256": sha256, "unreadable": reasons, "pixels": digests}
    write_json(index_file, content | {"checksum": _checksum(content)})
    return Kept(_map_pixels(pixel_file, shape), sha256, unreadable, digests)


def digest(pixels: NDArray[np.uint8]) -> str:
    """SHA-256 of the pixels of an image, hexadecimal."""
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def _map_pixels(pixel_file: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Maps images of this shape; raises ValueError if the file does not hold them."""
    header = _header(shape)
    with pixel_file.open("rb") as file:
        if file.read(len(header)) != header:  # NumPy's reader of headers raises anything
            raise ValueError(f"{pixel_file} does not hold images of shape {shape}")
        return np.memmap(file, np.uint8, "r", len(header), shape)


def _header(shape: tuple[int, ...]) -> bytes:
    """What an ``.npy`` file of images of this shape begins with."""
    header = io.BytesIO()
    described = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, described)
    return header.getvalue()


def _checksum(index: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()
