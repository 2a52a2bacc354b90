"""Decoding of every image once, into memory or, for large datasets, a memory-mapped file."""

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import PIL

from cyclegan_ad.data.cache_files import ImageCache, hash_pixels, read_cache, write_cache
from cyclegan_ad.data.decoded_files import decode_in_order, hash_in_order
from cyclegan_ad.data.formats.deep_pixels import ValueSpan, Window
from cyclegan_ad.data.parallel import Progress, map_in_order
from cyclegan_ad.errors import UserError

_FORMAT_VERSION = 4
_MIB = 2**20
_DECODERS = ("tifffile", "pydicom", "nibabel", "pillow_heif")
_WORTH_KEEPING_BYTES = 16 * _MIB  # of image files; fewer are decoded again in about a second
_ABANDONED_S = 3600.0  # a writer touches its temporary file far more often than that


def load_images(
    paths: Sequence[Path],
    *,
    size_px: int,
    channels: int,
    window: Window | None,
    storage: str,
    memory_limit_mib: float,
    cache_dir: Path,
    progress: Progress | None = None,
) -> ImageCache:
    """Decode images on all cores, reading each file once; unreadable ones raise no exception.

    With ``disk``, the images are written to a file in ``cache_dir``, which is memory-mapped. A
    later call for the same paths, size, channels and window maps that file again: it hashes all
    image files and all decoded images, and decodes only those that changed or were unreadable.
    Writing holds only a few images in memory at a time.

    ``auto`` uses such a file only if the images exceed the memory limit. Smaller datasets are kept
    in memory; if their files have at least 16 MiB together, the decoded images are also written, so
    that later calls need not decode them. If they cannot be written, a note is printed.

    Args:
        paths: Image files.
        size_px: Side of the decoded images.
        channels: 1 for grey, 3 for RGB.
        window: Stored values that become black and white; see
            :func:`cyclegan_ad.data.images.decode_image`.
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
        return _load_from_disk(paths, shape, window, cache_dir, progress)
    if n_bytes == 0 or storage == "memory" or not _worth_keeping(paths):
        return _load_to_memory(paths, shape, window, progress)
    try:
        kept = _load_from_disk(paths, shape, window, cache_dir, progress)
    except UserError as error:
        print(f"note: decoded images were not stored, so the next run decodes them again: {error}")
        return _load_to_memory(paths, shape, window, progress)
    return ImageCache(np.array(kept.images), kept.sha256, kept.unreadable, kept.spans)


def _load_to_memory(
    paths: Sequence[Path],
    shape: tuple[int, int, int, int],
    window: Window | None,
    progress: Progress | None,
) -> ImageCache:
    images = np.zeros(shape, dtype=np.uint8)
    sha256: list[str] = []
    unreadable: dict[int, str] = {}
    spans: dict[int, ValueSpan] = {}
    for index, decoded in enumerate(decode_in_order(paths, shape[1], shape[3], window, progress)):
        sha256.append(decoded.sha256)
        if decoded.span is not None:
            spans[index] = decoded.span
        if decoded.pixels is None:
            unreadable[index] = decoded.reason
        else:
            images[index] = decoded.pixels
    return ImageCache(images, sha256, unreadable, spans)


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
    window: Window | None,
    cache_dir: Path,
    progress: Progress | None,
) -> ImageCache:
    _, size_px, _, channels = shape
    stem = f"images-{size_px}px-{channels}ch-{_key(paths, size_px, channels, window)[:20]}"
    pixel_file, index_file = cache_dir / f"{stem}.npy", cache_dir / f"{stem}.json"
    kept = read_cache(pixel_file, index_file, shape)
    known = [False] * len(paths)
    if kept is not None:
        known = _find_unchanged(kept, paths, size_px, channels, window, progress)
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
        decoding = decode_in_order(new, size_px, channels, window, progress)
        parts = (
            kept.part(i) if kept is not None and is_known else next(decoding)
            for i, is_known in enumerate(known)
        )
        return write_cache(pixel_file, index_file, shape, parts)
    except OSError as error:
        raise UserError(
            f"invalid cache_dir={cache_dir}: cannot be written ({error.strerror or error}); use a "
            "writable folder with cache_dir=PATH, or dataset.storage=memory"
        ) from error


def _key(paths: Sequence[Path], size_px: int, channels: int, window: Window | None) -> str:
    """Hash all that determines the decoded images except the contents of the files."""
    versions = [_FORMAT_VERSION, PIL.__version__, *map(_version, _DECODERS)]
    key = hashlib.sha256(f"{versions}|{size_px}|{channels}|{window}\n".encode())
    for path in paths:
        key.update(f"{os.path.abspath(path)}\0".encode(errors="surrogateescape"))
    return key.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _find_unchanged(
    kept: ImageCache,
    paths: Sequence[Path],
    size_px: int,
    channels: int,
    window: Window | None,
    progress: Progress | None,
) -> list[bool]:
    """Return for each file whether its contents and its cached pixels are unchanged.

    Unreadable files are tried again: permissions may have changed, or a package been installed.
    """
    hashes = hash_in_order(paths, progress)
    pixels = map_in_order(lambda i: hash_pixels(kept.images[i]), range(len(paths)), name="pixels")
    same = [now == before for now, before in zip(hashes, kept.sha256, strict=True)]
    whole = [now == before for now, before in zip(pixels, kept.pixels, strict=True)]
    known = [a and b for a, b in zip(same, whole, strict=True)]
    again = decode_in_order([paths[index] for index in kept.unreadable], size_px, channels, window)
    for (index, reason), decoded in zip(kept.unreadable.items(), again, strict=True):
        known[index] &= decoded.pixels is None and decoded.reason == reason
    return known


def _remove_abandoned(cache_dir: Path) -> None:
    """Remove temporary files of writers that were killed."""
    for leftover in cache_dir.glob(".images-*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > _ABANDONED_S:
                leftover.unlink()
