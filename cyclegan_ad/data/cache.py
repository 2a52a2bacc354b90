"""Decoding of every image once, into memory or, for large datasets, a memory-mapped file.

On disk there are a file of pixels, and an index with hashes that reveal any damage.
"""

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from cyclegan_ad.data.images import Decoded, decode_in_order, hash_in_order
from cyclegan_ad.data.parallel import Progress, map_in_order
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import replacing, write_json

_FORMAT_VERSION = 3
_MIB = 2**20
_WORTH_KEEPING_BYTES = 16 * _MIB  # of image files; fewer are decoded again in about a second
_ABANDONED_S = 3600.0  # a writer touches its temporary file far more often than that


@dataclass(slots=True)
class ImageCache:
    """The decoded images of a dataset, in the order of its paths.

    Attributes:
        images: (N, S, S, C) uint8, 0 to 255: an array, or a read-only memory map. Indexing it
            with a list of indices gives an ordinary array.
        sha256: SHA-256 of each file's contents, hexadecimal; empty if it could not be read at all.
        unreadable: Index of each file without a usable image -> short reason. Its pixels are 0.
        pixels: SHA-256 of the pixels of each image, where they are on disk.
    """

    images: NDArray[np.uint8]
    sha256: list[str]
    unreadable: dict[int, str]
    pixels: list[str] = field(default_factory=list)

    def part(self, index: int) -> Decoded:
        """Return the decoded image of one file, or why it is unreadable."""
        reason = self.unreadable.get(index, "")
        return Decoded(self.sha256[index], None if reason else self.images[index], reason)


def load_images(
    paths: Sequence[Path],
    *,
    size_px: int,
    channels: int,
    storage: str,
    memory_limit_mib: float,
    cache_dir: Path,
    progress: Progress | None = None,
) -> ImageCache:
    """Decode images on all cores, reading each file once; unreadable ones raise no exception.

    With ``disk``, the images are written to a file in ``cache_dir``, which is memory-mapped. A
    later call for the same paths, size and channels maps that file again: it hashes all image
    files and all decoded images, and decodes only those that changed or were unreadable. Writing
    holds only a few images in memory at a time.

    ``auto`` uses such a file only if the images exceed the memory limit. Smaller datasets are kept
    in memory; if their files have at least 16 MiB together, the decoded images are also written, so
    that later calls need not decode them. If they cannot be written, a note is printed.

    Args:
        paths: Image files.
        size_px: Side of the decoded images.
        channels: 1 for grey, 3 for RGB.
        storage: ``memory``, ``disk`` or ``auto``.
        memory_limit_mib: Largest size of the images that ``auto`` keeps in memory, in MiB.
        cache_dir: Folder of the memory-mapped files; created if needed, not used with ``memory``.
        progress: Called in this thread with (files done, total) after each decoded or hashed file.

    Raises:
        UserError: ``cache_dir`` cannot be written, or has too little space.
    """
    shape = (len(paths), size_px, size_px, channels)
    n_bytes = len(paths) * size_px * size_px * channels
    fits = storage == "auto" and n_bytes <= memory_limit_mib * _MIB
    if n_bytes > 0 and not fits and storage != "memory":  # an empty file cannot be mapped
        return _load_from_disk(paths, shape, cache_dir, progress)
    if n_bytes == 0 or storage == "memory" or not _worth_keeping(paths):
        return _load_to_memory(paths, shape, progress)
    try:
        kept = _load_from_disk(paths, shape, cache_dir, progress)
    except UserError as error:
        print(f"note: decoded images were not stored, so the next run decodes them again: {error}")
        return _load_to_memory(paths, shape, progress)
    return ImageCache(np.array(kept.images), kept.sha256, kept.unreadable)


def _load_to_memory(
    paths: Sequence[Path], shape: tuple[int, int, int, int], progress: Progress | None
) -> ImageCache:
    images = np.zeros(shape, dtype=np.uint8)
    sha256: list[str] = []
    unreadable: dict[int, str] = {}
    for index, decoded in enumerate(decode_in_order(paths, shape[1], shape[3], progress)):
        sha256.append(decoded.sha256)
        if decoded.pixels is None:
            unreadable[index] = decoded.reason
        else:
            images[index] = decoded.pixels
    return ImageCache(images, sha256, unreadable)


def _worth_keeping(paths: Sequence[Path]) -> bool:
    total = 0
    for path in paths:
        with contextlib.suppress(OSError):  # unreadable files are reported elsewhere
            total += os.stat(path).st_size
        if total >= _WORTH_KEEPING_BYTES:
            return True
    return False


def _load_from_disk(
    paths: Sequence[Path],
    shape: tuple[int, int, int, int],
    cache_dir: Path,
    progress: Progress | None,
) -> ImageCache:
    _, size_px, _, channels = shape
    stem = f"images-{size_px}px-{channels}ch-{_key(paths, size_px, channels)[:20]}"
    pixel_file, index_file = cache_dir / f"{stem}.npy", cache_dir / f"{stem}.json"
    kept = _read(pixel_file, index_file, shape)
    known = [False] * len(paths)
    if kept is not None:
        known = _find_unchanged(kept, paths, size_px, channels, progress)
        if all(known):
            return kept
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(cache_dir)
        n_bytes = int(np.prod(shape, dtype=np.int64))
        free = shutil.disk_usage(cache_dir).free
        if free < n_bytes:
            raise UserError(
                f"invalid cache_dir={cache_dir}: {free / _MIB:.1f} MiB free, but the decoded "
                f"images need {n_bytes / _MIB:.1f} MiB; free space or use another cache_dir=PATH"
            )
        new = [path for path, is_known in zip(paths, known, strict=True) if not is_known]
        decoding = decode_in_order(new, size_px, channels, progress)
        parts = (
            kept.part(i) if kept is not None and is_known else next(decoding)
            for i, is_known in enumerate(known)
        )
        return _write(pixel_file, index_file, shape, parts)
    except OSError as error:
        raise UserError(
            f"invalid cache_dir={cache_dir}: cannot be written ({error.strerror or error}); use a "
            "writable folder with cache_dir=PATH, or dataset.storage=memory"
        ) from error


def _key(paths: Sequence[Path], size_px: int, channels: int) -> str:
    """Hash all that determines the decoded images except the contents of the files."""
    versions = f"{_FORMAT_VERSION}|{PIL.__version__}|{version('tifffile')}"
    key = hashlib.sha256(f"{versions}|{size_px}|{channels}\n".encode())
    for path in paths:
        key.update(f"{os.path.abspath(path)}\0".encode(errors="surrogateescape"))
    return key.hexdigest()


def _find_unchanged(
    kept: ImageCache, paths: Sequence[Path], size_px: int, channels: int, progress: Progress | None
) -> list[bool]:
    """Return for each file whether its contents and its cached pixels are unchanged.

    Unreadable files are tried again: permissions may have changed, or a package been installed.
    """
    hashes = hash_in_order(paths, progress)
    pixels = map_in_order(lambda i: _hash_pixels(kept.images[i]), range(len(paths)), name="pixels")
    same = [now == before for now, before in zip(hashes, kept.sha256, strict=True)]
    whole = [now == before for now, before in zip(pixels, kept.pixels, strict=True)]
    known = [a and b for a, b in zip(same, whole, strict=True)]
    again = decode_in_order([paths[index] for index in kept.unreadable], size_px, channels)
    for (index, reason), decoded in zip(kept.unreadable.items(), again, strict=True):
        known[index] &= decoded.pixels is None and decoded.reason == reason
    return known


def _remove_abandoned(cache_dir: Path) -> None:
    """Remove temporary files of writers that were killed."""
    for leftover in cache_dir.glob(".images-*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > _ABANDONED_S:
                leftover.unlink()


def _read(pixel_file: Path, index_file: Path, shape: tuple[int, ...]) -> ImageCache | None:
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
    return ImageCache(images, index["sha256"], unreadable, index["pixels"])


def _write(
    pixel_file: Path, index_file: Path, shape: tuple[int, ...], parts: Iterable[Decoded]
) -> ImageCache:
    """Write images one at a time; another process may replace the files at any time."""
    blank = np.zeros(shape[1:], np.uint8)
    sha256: list[str] = []
    unreadable: dict[int, str] = {}
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
            pixels = blank if one.pixels is None else one.pixels
            digests.append(_hash_pixels(pixels))
            file.write(pixels.tobytes())
    # Written last: without the index, the cache is incomplete.
    reasons = {str(number): reason for number, reason in unreadable.items()}
    content = {"sha256": sha256, "unreadable": reasons, "pixels": digests}
    write_json(index_file, content | {"checksum": _checksum(content)})
    return ImageCache(np.load(pixel_file, mmap_mode="r"), sha256, unreadable, digests)


def _hash_pixels(pixels: NDArray[np.uint8]) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def _checksum(index: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()
