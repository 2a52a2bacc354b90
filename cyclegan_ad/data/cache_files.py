"""Decoded images on disk: a file of pixels, and an index with hashes that reveal any damage."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.data.decoded_files import Decoded
from cyclegan_ad.data.formats.deep_pixels import ValueSpan
from cyclegan_ad.files import replacing, write_json


@dataclass(slots=True)
class ImageCache:
    """The decoded images of a dataset, in the order of its paths.

    Attributes:
        images: (N, S, S, C) uint8, 0 to 255: an array, or a read-only memory map. Indexing it
            with a list of indices gives an ordinary array.
        sha256: SHA-256 of each file's contents, hexadecimal; empty if it could not be read at all.
        unreadable: Index of each file without a usable image -> short reason. Its pixels are 0.
        spans: Index of each image of more than 8 bits -> the stored values that it uses.
        pixels: SHA-256 of the pixels of each image, where they are on disk.
    """

    images: NDArray[np.uint8]
    sha256: list[str]
    unreadable: dict[int, str]
    spans: dict[int, ValueSpan]
    pixels: list[str] = field(default_factory=list)

    def part(self, index: int) -> Decoded:
        """Return the decoded image of one file, or why it is unreadable."""
        reason = self.unreadable.get(index, "")
        pixels = None if reason else self.images[index]
        return Decoded(self.sha256[index], pixels, reason, self.spans.get(index))


def read_cache(pixel_file: Path, index_file: Path, shape: tuple[int, ...]) -> ImageCache | None:
    """Map the images without reading their pixels; None if a file is missing or damaged."""
    try:
        index = json.loads(index_file.read_bytes())
        if index.pop("checksum") != _checksum(index):
            return None
        images = np.load(pixel_file, mmap_mode="r")
    except Exception:  # NumPy raises many types on a damaged header
        return None
    if images.shape != shape or images.dtype != np.uint8 or not images.flags.c_contiguous:
        return None
    unreadable = {int(number): reason for number, reason in index["unreadable"].items()}
    spans = {int(number): ValueSpan(*span) for number, span in index["spans"].items()}
    return ImageCache(images, index["sha256"], unreadable, spans, index["pixels"])


def write_cache(
    pixel_file: Path, index_file: Path, shape: tuple[int, ...], parts: Iterable[Decoded]
) -> ImageCache:
    """Write images one at a time; another process may replace the files at any time."""
    blank = np.zeros(shape[1:], np.uint8)
    sha256: list[str] = []
    unreadable: dict[int, str] = {}
    spans: dict[int, ValueSpan] = {}
    digests: list[str] = []
    # Plain writes instead of a writable map: a full disk then raises OSError instead of killing the
    # process, and unwritten pages do not count as its memory.
    with replacing(pixel_file) as temporary, temporary.open("wb") as file:
        described = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, described)
        for index, one in enumerate(parts):
            sha256.append(one.sha256)
            if one.pixels is None:
                unreadable[index] = one.reason
            if one.span is not None:
                spans[index] = one.span
            pixels = blank if one.pixels is None else one.pixels
            digests.append(hash_pixels(pixels))
            file.write(pixels.tobytes())
    # Written last: without the index, the cache is incomplete.
    content = {
        "sha256": sha256,
        "unreadable": {str(number): reason for number, reason in unreadable.items()},
        "spans": {str(number): list(span) for number, span in spans.items()},
        "pixels": digests,
    }
    write_json(index_file, content | {"checksum": _checksum(content)})
    return ImageCache(np.load(pixel_file, mmap_mode="r"), sha256, unreadable, spans, digests)


def hash_pixels(pixels: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of the pixels of an image, hexadecimal."""
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def _checksum(index: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()
