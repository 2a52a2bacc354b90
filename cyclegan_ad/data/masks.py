"""Ground-truth masks: which file belongs to which image, and where an image is abnormal."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.data.images import UnreadableImage, read_mask
from cyclegan_ad.data.parallel import map_in_order
from cyclegan_ad.errors import UserError

LOSSLESS_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".webp")
_NAMED = 3  # files named in a message


def match_masks(
    masks: Mapping[str, str], images: Iterable[str], root: Path
) -> dict[str, list[str]]:
    """Finds the masks of images by name.

    Args:
        masks: Path of each mask -> path of its image without suffix.
        images: The same of every image that may have a mask.
        root: Folder the paths are relative to, for the message.

    Returns:
        Image (path without suffix) -> its masks, sorted; images without a mask are absent.

    Raises:
        UserError: A mask belongs to no image, or its format changes pixels (JPEG).

    Example:
        >>> match_masks({"masks/a.png": "abnormal/a"}, ["abnormal/a", "abnormal/b"], Path())
        {'abnormal/a': ['masks/a.png']}
    """
    lossy = sorted(mask for mask in masks if not mask.lower().endswith(LOSSLESS_SUFFIXES))
    if lossy:
        raise UserError(
            f"{_name(lossy)} in {root}: JPEG blurs the edge of a mask; save ground-truth masks as "
            "PNG, or remove them to go on without them"
        )
    known = set(images)
    stray = sorted(mask for mask, image in masks.items() if image not in known)
    if stray:
        raise UserError(
            f"no abnormal image matches {_name(stray)} in {root} ({stray[0]} needs "
            f"{masks[stray[0]]}.*): name masks like their images, or remove them"
        )
    matched: dict[str, list[str]] = {}
    for mask in sorted(masks):
        matched.setdefault(masks[mask], []).append(mask)
    return matched


def read_masks(
    root: Path, masks: Mapping[int, Sequence[str]], size_px: int
) -> tuple[dict[int, NDArray[np.bool_]], dict[str, str]]:
    """Reads the ground truth of images, on all cores: of each, the union of its masks.

    Args:
        root: Folder the paths of the masks are relative to.
        masks: Image (any number) -> paths of its masks; images without one are passed over.
        size_px: Side of the results.

    Returns:
        Image -> (size_px, size_px) bool, True on the defect, of the images whose masks could all be
        read (part of a defect is not the ground truth); and mask -> short reason for every file
        that could not.
    """
    truth: dict[int, NDArray[np.bool_]] = {}
    unreadable: dict[str, str] = {}
    files = [path for paths in masks.values() for path in paths]
    found = map_in_order(lambda path: _try_to_read(root / path, size_px), files, name="mask")
    read = dict(zip(files, found, strict=True))
    for image, paths in masks.items():
        parts = []
        for path in paths:
            mask = read[path]
            if isinstance(mask, str):
                unreadable[path] = mask
            else:
                parts.append(mask)
        if parts and len(parts) == len(paths):
            truth[image] = np.logical_or.reduce(parts)
    return truth, unreadable


def _try_to_read(path: Path, size_px: int) -> NDArray[np.bool_] | str:
    """The mask, or why it cannot be read."""
    try:
        return read_mask(path, size_px)
    except UnreadableImage as error:
        return str(error)


def _name(masks: Sequence[str]) -> str:
    """The first few masks, and how many there are if that is not all."""
    named = ", ".join(masks[:_NAMED])
    more = f", ... ({len(masks)} in all)" if len(masks) > _NAMED else ""
    return f"ground-truth mask{'s' * (len(masks) > 1)} {named}{more}"
