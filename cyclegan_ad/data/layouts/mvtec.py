"""The layout of MVTec AD, of the paper's four categories and of others' datasets alike."""

from collections.abc import Callable, Iterator
from pathlib import Path

from cyclegan_ad.data.layouts.found import refuse_folder
from cyclegan_ad.data.layouts.sample import NORMAL, Sample, class_of
from cyclegan_ad.data.listing import file_name, list_folders, list_images, to_nfc, without_suffix
from cyclegan_ad.data.masks import match_masks

IsNormal = Callable[[str], bool]


def is_good(kind: str) -> bool:
    """Whether a folder of MVTec AD itself holds normal images."""
    return kind == "good"


def is_usual(kind: str) -> bool:
    """Whether a folder of another dataset in this layout holds normal images (good, ok ...)."""
    return class_of(kind) == NORMAL


def normal_folders(root: Path, is_normal: IsNormal) -> list[str]:
    """List the folders of normal images in ``train``."""
    return [folder for folder in list_folders(root, "train") if is_normal(file_name(folder))]


def require_normal_folder(root: Path) -> None:
    """Check that there is a folder of normal images in ``train``.

    Raises:
        UserError: If there is none; the message lists what was found.
    """
    if not normal_folders(root, is_usual):
        raise refuse_folder(
            "no train/good/ (or ok, normal), as in the layout of MVTec AD,",
            root,
            "expected train/good/, test/good/ and test/<defect>/; for folders of two classes use "
            "dataset=folder",
        )


def list_mvtec(root: Path, is_normal: IsNormal) -> Iterator[Sample]:
    """List ``train/<normal>`` and ``test/*``, with masks in ``ground_truth/*``.

    Args:
        root: Folder of the dataset.
        is_normal: Whether a folder of this name holds normal images.

    Raises:
        UserError: If a mask matches no image.
    """
    folders = [*normal_folders(root, is_normal), *list_folders(root, "test")]
    truths = {file_name(folder): folder for folder in list_folders(root, "ground_truth")}
    alike = {to_nfc(kind): truths[kind] for kind in truths.keys() - map(file_name, folders)}
    for folder in folders:
        kind = file_name(folder)
        paths = list(list_images(root, folder))
        masks: dict[str, list[str]] = {}
        truth = truths.get(kind) or alike.get(to_nfc(kind))
        if not is_normal(kind) and truth is not None:
            image_of = {
                mask: folder + without_suffix(mask).removeprefix(truth).removesuffix("_mask")
                for mask in list_images(root, truth)
            }
            masks = match_masks(image_of, map(without_suffix, paths), root)
        for path in paths:
            mask_of = tuple(masks.get(without_suffix(path), ()))
            yield Sample(path, int(not is_normal(kind)), kind, mask_of)
