"""Layouts of the paper's medical datasets, as their archives have them."""

import os
from collections.abc import Iterator
from pathlib import Path

from cyclegan_ad.data.formats.image_bytes import have_same_contents
from cyclegan_ad.data.layouts.sample import ABNORMAL, NORMAL, Sample
from cyclegan_ad.data.listing import (
    file_name,
    list_folders,
    list_images,
    parent_of,
    to_nfc,
    without_suffix,
)
from cyclegan_ad.data.masks import match_masks

_OCT_ABNORMAL = frozenset({"CNV", "DME", "DRUSEN"})


def list_brain_mri(root: Path) -> Iterator[Sample]:
    """List ``no`` and ``yes``."""
    # The archive repeats both folders in brain_tumor_dataset/; only those directly in root count.
    for label, kind in ((NORMAL, "no"), (ABNORMAL, "yes")):
        for path in list_images(root, kind):
            yield Sample(path, label, kind)


def list_breast_ultrasound(root: Path) -> Iterator[Sample]:
    """List ``normal``, ``benign`` and ``malignant``, with the masks among them."""
    for label, kind in ((NORMAL, "normal"), (ABNORMAL, "benign"), (ABNORMAL, "malignant")):
        images, masks_of = [], dict[str, str]()
        for path in list_images(root, kind):
            at = file_name(path).lower().find("_mask")
            if at < 0:
                images.append(path)
            elif label == ABNORMAL:  # masks of normal images are all black: no ground truth
                masks_of[path] = f"{parent_of(path)}/{file_name(path)[:at]}"
        known = {to_nfc(without_suffix(path)) for path in images}
        image_of = {mask: image for mask, image in masks_of.items() if to_nfc(image) in known}
        masks = match_masks(image_of, map(without_suffix, images), root)
        for path in images:
            yield Sample(path, label, kind, tuple(masks.get(without_suffix(path), ())))


def list_retina_oct(root: Path) -> Iterator[Sample]:
    """List ``NORMAL`` and ``CNV``, ``DME``, ``DRUSEN`` at any depth, identical files once."""
    # Some copies of the archive contain a second copy of themselves: images of the same name,
    # contents, class and subset are listed once. Files are read only if names collide.
    seen: dict[tuple[str, str, str], list[str]] = {}
    for folder in sorted(list_oct_folders(root), key=lambda path: (path.count("/"), path)):
        kind, subset = file_name(folder), file_name(parent_of(folder))
        subset = subset if subset in {"train", "test", "val"} else ""
        for path in sorted(list_images(root, folder)):
            twins = seen.setdefault((subset, kind, file_name(path)), [])
            if any(have_same_contents(root / path, root / twin) for twin in twins):
                continue
            twins.append(path)
            yield Sample(path, int(kind != "NORMAL"), kind)


def list_oct_folders(root: Path) -> Iterator[str]:
    """Yield the image folders of the layout ``retina_oct``."""
    # NORMAL needs another class beside it: the same authors' chest X-rays have a NORMAL folder too.
    stack, visited = [""], set[str]()
    while stack:
        parent = stack.pop()
        real = os.path.realpath(root / parent)
        if real in visited:
            continue
        visited.add(real)
        folders = list_folders(root, parent)
        beside_abnormal = not _OCT_ABNORMAL.isdisjoint(map(file_name, folders))
        for folder in folders:
            if file_name(folder) in _OCT_ABNORMAL:
                yield folder
            elif file_name(folder) != "NORMAL":
                stack.append(folder)
            elif beside_abnormal:
                yield folder
