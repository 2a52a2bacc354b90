"""The user's own images in folders of two classes, with optional masks."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from cyclegan_ad.data.layouts.class_folders import find_class_folders
from cyclegan_ad.data.layouts.sample import ABNORMAL, CLASSES, NORMAL, Labelling, Sample
from cyclegan_ad.data.listing import (
    SUFFIXES,
    file_name,
    list_images,
    parent_of,
    suffix_of,
    to_nfc,
    without_suffix,
)
from cyclegan_ad.data.masks import match_masks
from cyclegan_ad.errors import UserError
from cyclegan_ad.text import as_typed, counted

MASKS = "masks"


def list_own_folder(root: Path, labelling: Labelling) -> Iterator[Sample]:
    """List images in folders of two classes; sub-folders are kinds of defects.

    ``masks/x.*``, in the root or beside a folder of abnormal images, belongs to ``x.*`` in that
    folder.

    Args:
        root: Folder of the dataset.
        labelling: Names of the folders, where they are not the usual ones.

    Raises:
        UserError: See :func:`.class_folders.find_class_folders`; an image is in both classes; or a
            mask matches no image.
    """
    folders = find_class_folders(root, labelling)
    normal, abnormal = _images_in(root, folders.normal), _images_in(root, folders.abnormal)
    both = sorted(set(normal) & set(abnormal))
    if both:
        raise UserError(
            f"{counted(len(both), 'image')} of '{root}' (such as {both[0]}) would be both normal "
            f"and abnormal by dataset.normal={as_typed(labelling.normal)} and dataset.abnormal="
            f"{as_typed(labelling.abnormal)}; choose folders or globs that do not overlap"
        )
    masks = _match(root, folders.abnormal, abnormal)
    for label, paths in ((NORMAL, normal), (ABNORMAL, abnormal)):
        for path in paths:
            kind = file_name(parent_of(path)) or CLASSES[label]
            mask = masks.get(without_suffix(path), ()) if label == ABNORMAL else ()
            yield Sample(path, label, kind, tuple(mask))


def folders_read(root: Path, labelling: Labelling) -> list[str]:
    """Return the folders that :func:`list_own_folder` reads, those of masks included."""
    folders = find_class_folders(root, labelling)
    bases = [_base(path) for path in (*folders.normal, *folders.abnormal)]
    return sorted({*bases, *_mask_folders(folders.abnormal)})


def _images_in(root: Path, paths: Iterable[str]) -> list[str]:
    """List the images of folders and single images, each once."""
    found: dict[str, None] = {}
    for path in paths:
        images = (
            [path] if _is_image(path) and not (root / path).is_dir() else list_images(root, path)
        )
        found.update(dict.fromkeys(images))
    return list(found)


def _is_image(path: str) -> bool:
    return suffix_of(path) in SUFFIXES


def _base(path: str) -> str:
    """Return a folder itself, and of an image its folder."""
    return parent_of(path) if _is_image(path) else path


def _mask_folders(abnormal: Iterable[str]) -> dict[str, list[str]]:
    """Return each folder of masks -> the folders of abnormal images that they belong to."""
    bases = sorted({_base(path) for path in abnormal})
    found: dict[str, list[str]] = {MASKS: bases}
    for base in bases:
        beside = _join(parent_of(base), MASKS)
        if beside != MASKS:
            found.setdefault(beside, []).append(base)
    return found


def _match(root: Path, folders: Iterable[str], abnormal: list[str]) -> dict[str, list[str]]:
    """Find the masks of abnormal images: path without suffix -> masks."""
    images = [without_suffix(path) for path in abnormal]
    known = {to_nfc(image) for image in images}
    image_of: dict[str, str] = {}
    for place, bases in _mask_folders(folders).items():
        for mask in list_images(root, place):
            inside = without_suffix(mask).removeprefix(f"{place}/")
            # Of several folders, masks/<folder>/x.* may also name the one of x.* itself.
            whole = [_join(parent_of(place), inside)] if len(bases) > 1 else []
            possible = [*(_join(base, inside) for base in bases), *whole]
            fitting = [image for image in dict.fromkeys(possible) if to_nfc(image) in known]
            if len(fitting) > 1:
                raise UserError(
                    f"ground-truth mask {mask} in {root} matches {' and '.join(fitting)}; put it "
                    f"into a sub-folder of {place}/ named like the folder of its image"
                )
            image_of[mask] = (fitting or possible)[0]
    return match_masks(image_of, images, root)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
