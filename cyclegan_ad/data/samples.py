"""Listing of the images of a dataset folder, with their labels and ground-truth masks."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cyclegan_ad.data.formats.image_bytes import have_same_contents
from cyclegan_ad.data.listing import (
    file_name,
    find_excluded,
    list_folders,
    list_images,
    parent_of,
    scan,
    to_nfc,
    without_suffix,
)
from cyclegan_ad.data.masks import match_masks
from cyclegan_ad.errors import UserError

NORMAL, ABNORMAL = 0, 1

_REQUIRED = {
    "mvtec": "train/good/ and test/",
    "brain_mri": "no/ and yes/",
    "breast_ultrasound": "normal/ and benign/ and malignant/",
    "retina_oct": "NORMAL/ beside CNV/, DME/ or DRUSEN/ at any depth",
    "folder": "normal/",  # without abnormal/, see protocol=quantile
}
_OCT_ABNORMAL = frozenset({"CNV", "DME", "DRUSEN"})


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a dataset.

    Attributes:
        path: POSIX path relative to the dataset's root.
        label: 0 normal, 1 abnormal.
        kind: Name of the folder of its kind, such as ``good`` or ``scratch_neck``.
        mask: POSIX paths of its ground-truth masks relative to the root; their union is the
            defect. Empty if there is no ground truth.
    """

    path: str
    label: int
    kind: str
    mask: tuple[str, ...] = ()


def find_root(
    data_dir: Path, folders: Sequence[str], layout: str, *, dataset: str, source: str
) -> Path:
    """Find the folder of a dataset.

    Args:
        data_dir: Folder that holds the datasets.
        folders: Folders to try below ``data_dir``, in this order.
        layout: ``mvtec``, ``brain_mri``, ``breast_ultrasound``, ``retina_oct`` or ``folder``.
        dataset: Name of the dataset, for messages.
        source: How to get the dataset, the end of the error message.

    Returns:
        The first of these folders that has the layout.

    Raises:
        UserError: None of them has the layout. The message lists all folders searched.
    """
    searched = [data_dir / folder for folder in folders]
    for candidate in searched:
        if has_layout(layout, candidate):
            return candidate
    state = "" if os.path.isdir(data_dir) else f" (the folder '{data_dir}' does not exist)"
    places = ", ".join(f"'{place}'" for place in searched)
    raise UserError(
        f"dataset {dataset} not found: no folder with {_REQUIRED[layout]}; "
        f"searched {places}{state}; {source}"
    )


def has_layout(layout: str, root: Path) -> bool:
    """Return whether a folder has the subfolders of a layout, with or without images.

    Raises:
        UserError: The folder exists but cannot be listed.
    """
    if layout == "retina_oct":
        return any(file_name(folder) == "NORMAL" for folder in list_oct_folders(root))
    folders = _REQUIRED[layout].split(" and ")
    scan(root, "")  # raises if the folder cannot be read
    return all(os.path.isdir(root / folder) for folder in folders)


def list_samples(layout: str, root: Path, *, exclude: Collection[str] = ()) -> list[Sample]:
    """List the images of a dataset folder, each one once.

    Args:
        layout: Where the folder has normal and abnormal images:
            ``mvtec``: ``train/good``, ``test/good`` and ``test/*``, masks in ``ground_truth/*``.
            ``brain_mri``: ``no`` and ``yes``.
            ``breast_ultrasound``: ``normal``, ``benign`` and ``malignant``, masks among them.
            ``retina_oct``: ``NORMAL`` and ``CNV``, ``DME``, ``DRUSEN``, at any depth.
            ``folder``: ``normal`` and, if there are any, ``abnormal``; ``masks/x.*`` belongs to
            ``abnormal/x.*``.
        root: The folder that has the layout.
        exclude: Images to leave out: paths relative to ``root``, or file names; a file name
            excludes every image of that name.

    Returns:
        Samples sorted by path (code points), the same list on every operating system.

    Raises:
        UserError: The folder lacks the layout or cannot be listed, a mask matches no image
            (``mvtec``, ``folder``), or ``exclude`` names an image that does not exist.
    """
    if not has_layout(layout, root):
        raise UserError(
            f"folder '{root}' has no {_REQUIRED[layout]}; use a folder with this layout, "
            "dataset.root=PATH"
        )
    listers: dict[str, Callable[[Path], Iterable[Sample]]] = {
        "mvtec": _list_mvtec,
        "brain_mri": _list_brain_mri,
        "breast_ultrasound": _list_breast_ultrasound,
        "retina_oct": _list_retina_oct,
        "folder": _list_folder,
    }
    samples = sorted(listers[layout](root), key=lambda sample: sample.path)
    left_out = find_excluded(exclude, [sample.path for sample in samples], root)
    return [sample for sample in samples if sample.path not in left_out]


def _list_mvtec(root: Path) -> Iterator[Sample]:
    folders = ["train/good", *list_folders(root, "test")]
    truths = {file_name(folder): folder for folder in list_folders(root, "ground_truth")}
    alike = {to_nfc(kind): truths[kind] for kind in truths.keys() - map(file_name, folders)}
    for folder in folders:
        kind = file_name(folder)
        paths = list(list_images(root, folder))
        masks: dict[str, list[str]] = {}
        truth = truths.get(kind) or alike.get(to_nfc(kind))
        if kind != "good" and truth is not None:
            image_of = {
                mask: folder + without_suffix(mask).removeprefix(truth).removesuffix("_mask")
                for mask in list_images(root, truth)
            }
            masks = match_masks(image_of, map(without_suffix, paths), root)
        for path in paths:
            mask_of = tuple(masks.get(without_suffix(path), ()))
            yield Sample(path, int(kind != "good"), kind, mask_of)


def _list_brain_mri(root: Path) -> Iterator[Sample]:
    # The archive repeats both folders in brain_tumor_dataset/; only those directly in root count.
    for label, kind in ((NORMAL, "no"), (ABNORMAL, "yes")):
        for path in list_images(root, kind):
            yield Sample(path, label, kind)


def _list_breast_ultrasound(root: Path) -> Iterator[Sample]:
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


def _list_retina_oct(root: Path) -> Iterator[Sample]:
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


def _list_folder(root: Path) -> Iterator[Sample]:
    for path in list_images(root, "normal"):
        yield Sample(path, NORMAL, file_name(parent_of(path)))
    abnormal = list(list_images(root, "abnormal"))
    image_of = {
        mask: "abnormal" + without_suffix(mask).removeprefix("masks")
        for mask in list_images(root, "masks")
    }
    masks = match_masks(image_of, map(without_suffix, abnormal), root)
    for path in abnormal:
        mask_of = tuple(masks.get(without_suffix(path), ()))
        yield Sample(path, ABNORMAL, file_name(parent_of(path)), mask_of)
