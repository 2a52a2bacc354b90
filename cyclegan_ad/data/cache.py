"""Decodes every image once: into memory, or into a memory-mapped file for large sets."""

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import PIL

from cyclegan_ad.data.cache_files import ImageCache, digest, read_cache, write_cache
from cyclegan_ad.data.images import Progress, decode_in_order, hash_in_order
from cyclegan_ad.data.parallel import map_in_order
from cyclegan_ad.errors import UserError

_FORMAT_VERSION = 3
_MIB = 2**20
_WORTH_KEEPING_BYTES = 16 * _MIB  # of files: below, decoding them again takes about a second
_ABANDONED_S = 3600.0  # a writer touches its temporary file far more often than that


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
    """Decodes images on all cores, each file read once, and keeps them at the size networks see.

    On disk, the images are written to a file in ``cache_dir`` that is mapped, not loaded: the
    system keeps in memory what fits. A later call for the same paths, size and channels maps that
    file again. It hashes every image file, and the decoded images, and decodes only what is not
    what it was, or was unreadable. Writing holds a few images in memory, whatever the number of
    files.

    ``auto`` maps such a file only if the images exceed the memory limit. Below it they are in
    memory; if their files are large (16 MiB together), they are also written, so that later calls
    read that file instead of decoding. Where it cannot be written, a note is printed.

    Args:
        paths: Image files.
        size_px: Side of the decoded images.
        channels: 1 for grey, 3 for RGB.
        storage: ``memory``, ``disk``, or ``auto``.
        memory_limit_mib: What ``auto`` keeps in memory at most, in MiB.
        cache_dir: Folder of the memory-mapped files; made if needed, untouched for ``memory``.
        progress: Called in this thread after each file that is decoded, or else hashed, with (files
            done, files in all).

    Returns:
        Images, hashes, and the reason for every file that is unreadable: none of them raises, the
        caller decides.

    Raises:
        UserError: ``cache_dir`` cannot be written, or has too little space.
    """
    shape = (len(paths), size_px, size_px, channels)
    n_bytes = len(paths) * size_px * size_px * channels
    fits = storage == "auto" and n_bytes <= memory_limit_mib * _MIB
    if storage == "memory" or n_bytes == 0:  # nothing cannot be mapped
        return _load_to_memory(paths, shape, progress)
    if not fits:
        return _load_from_disk(paths, shape, cache_dir, progress)
    if not _worth_keeping(paths):
        return _load_to_memory(paths, shape, progress)
    try:
        kept = _load_from_disk(paths, shape, cache_dir, progress)
    except UserError as error:
        print(f"note: the next run decodes the images again: {error}")
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
        with contextlib.suppress(OSError):  # said of each unreadable file elsewhere
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
    kept = read_cache(pixel_file, index_file, shape)
    known = [False] * len(paths)
    if kept is not None:
        known = _still_true(kept, paths, size_px, channels, progress)
        if all(known):
            return kept
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(cache_dir)
        n_bytes = int(np.prod(shape, dtype=np.int64))
        free = shutil.disk_usage(cache_dir).free
        if free < n_bytes:
            raise UserError(
                f"the decoded images need {n_bytes / _MIB:.1f} MiB, but '{cache_dir}' has "
                f"{free / _MIB:.1f} MiB left: make room or set cache_dir=PATH to another folder"
            )
        new = [path for path, is_known in zip(paths, known, strict=True) if not is_known]
        decoding = decode_in_order(new, size_px, channels, progress)
        parts = (
            kept.part(i) if kept is not None and is_known else next(decoding)
            for i, is_known in enumerate(known)
        )
        return write_cache(pixel_file, index_file, shape, parts)
    except OSError as error:
        raise UserError(
            f"cache_dir '{cache_dir}' cannot be written ({error.strerror or error}): name a "
            "folder that can be, with cache_dir=PATH, or set dataset.storage=memory"
        ) from error


def _key(paths: Sequence[Path], size_px: int, channels: int) -> str:
    """Changes with anything that changes the decoded images, but for the contents of the files."""
    versions = f"{_FORMAT_VERSION}|{PIL.__version__}|{version('tifffile')}"
    key = hashlib.sha256(f"{versions}|{size_px}|{channels}\n".encode())
    for path in paths:
        key.update(f"{os.path.abspath(path)}\0".encode(errors="surrogateescape"))
    return key.hexdigest()


def _still_true(
    kept: ImageCache, paths: Sequence[Path], size_px: int, channels: int, progress: Progress | None
) -> list[bool]:
    """Of each file, whether its contents, and its pixels in the cache, are what was written.

    A file that was unreadable is tried again: access may have been granted since, or a package
    installed.
    """
    hashes = hash_in_order(paths, progress)
    pixels = map_in_order(lambda i: digest(kept.images[i]), range(len(paths)), name="pixels")
    same = [now == before for now, before in zip(hashes, kept.sha256, strict=True)]
    whole = [now == before for now, before in zip(pixels, kept.pixels, strict=True)]
    known = [a and b for a, b in zip(same, whole, strict=True)]
    again = decode_in_order([paths[index] for index in kept.unreadable], size_px, channels)
    for (index, reason), decoded in zip(kept.unreadable.items(), again, strict=True):
        known[index] &= decoded.pixels is None and decoded.reason == reason
    return known


def _remove_abandoned(cache_dir: Path) -> None:
    """Removes what killed writers left behind."""
    for leftover in cache_dir.glob(".images-*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > _ABANDONED_S:
                leftover.unlink()
