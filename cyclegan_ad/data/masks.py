"""Ground-truth masks: matching of mask files to images, and reading of the masks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.data.formats.image_bytes import UnreadableImage
from cyclegan_ad.data.images import read_mask, upright_size
from cyclegan_ad.data.listing import to_nfc
from cyclegan_ad.data.parallel import map_in_order
from cyclegan_ad.errors import UserError

_NAMED = 3  # files listed in a message


def match_masks(
    masks: Mapping[str, str], images: Iterable[str], root: Path
) -> dict[str, list[str]]:
    """Find the masks of images by name.

    Args:
        masks: Path of each mask -> path of its image without suffix.
        images: Path without suffix of every image that may have a mask.
        root: Folder that paths are relative to, for the message.

    Returns:
        Image (path without suffix) -> its masks, sorted; images without a mask are absent.

    Raises:
        UserError: If a mask matches no image, or several.

    Example:
        >>> match_masks({"masks/a.png": "abnormal/a"}, ["abnormal/a", "abnormal/b"], Path())
        {'abnormal/a': ['masks/a.png']}
    """
    known: dict[str, list[str]] = {}
    for image in images:
        known.setdefault(to_nfc(image), []).append(image)
    stray = sorted(mask for mask, image in masks.items() if to_nfc(image) not in known)
    if stray:
        raise UserError(
            f"no abnormal image matches {_name(stray)} in {root} ({stray[0]} needs "
            f"{masks[stray[0]]}.*); name masks like their images, or remove them"
        )
    matched: dict[str, list[str]] = {}
    for mask in sorted(masks):
        alike = known[to_nfc(masks[mask])]
        same = [image for image in alike if image == masks[mask]] or alike
        if len(same) > 1:
            raise UserError(
                f"{_name([mask])} in {root} matches {len(same)} images whose names differ only in "
                f"their suffix or Unicode form ({same[0]}.*); rename them"
            )
        image = same[0]
        matched.setdefault(image, []).append(mask)
    return matched


@dataclass(frozen=True)
class Masks:
    """The ground truth of images.

    Attributes:
        truth: Image -> (S, S) bool, True on the defect; only images all of whose masks could be
            read and which mark at least one pixel.
        unreadable: Mask -> short reason why it cannot be used.
        empty: Images whose masks are empty: their defects have not been marked.
        mostly: Images whose masks cover more than half of the pixels.
    """

    truth: dict[int, NDArray[np.bool_]]
    unreadable: dict[str, str]
    empty: list[int]
    mostly: list[int]


def read_masks(root: Path, masks: Mapping[int, tuple[str, Sequence[str]]], size_px: int) -> Masks:
    """Read the ground truth of images, the union of the masks of each, on all cores.

    Args:
        root: Folder that paths are relative to.
        masks: Image (any number) -> its path, and the paths of its masks; images without masks are
            skipped.
        size_px: Side of the results.
    """
    files = [(image, mask) for image, paths in masks.values() for mask in paths]
    found = map_in_order(
        lambda pair: _try_to_read(root / pair[0], root / pair[1], size_px), files, name="mask"
    )
    read = dict(zip((mask for _, mask in files), found, strict=True))
    truth: dict[int, NDArray[np.bool_]] = {}
    empty, mostly = [], []
    for number, (_, paths) in masks.items():
        parts = [part for path in paths if not isinstance(part := read[path], str)]
        if not parts or len(parts) < len(paths):
            continue
        union = np.logical_or.reduce(parts)
        if union.any():
            truth[number] = union
            if union.mean() > 0.5:
                mostly.append(number)
        else:
            empty.append(number)
    unreadable = {path: reason for path, reason in read.items() if isinstance(reason, str)}
    return Masks(truth, unreadable, empty, mostly)


def _try_to_read(image: Path, mask: Path, size_px: int) -> NDArray[np.bool_] | str:
    """Read a mask, or return why it cannot be used."""
    try:
        size = upright_size(image)
    except UnreadableImage:
        size = None  # reported for the image itself
    try:
        return read_mask(mask, size_px, size)
    except UnreadableImage as error:
        return str(error)


def _name(masks: Sequence[str]) -> str:
    """List the first few masks, and their number if there are more."""
    named = ", ".join(masks[:_NAMED])
    more = f", ... ({len(masks)} in total)" if len(masks) > _NAMED else ""
    return f"ground-truth mask{'s' * (len(masks) > 1)} {named}{more}"
