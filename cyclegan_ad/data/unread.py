"""Files and folders of a dataset that are not read."""

from collections import Counter
from pathlib import Path

from cyclegan_ad.data.listing import file_name, list_folders, list_images, suffix_of, to_nfc
from cyclegan_ad.data.samples import list_oct_folders

# Top-level folders of images and masks.
_FOLDERS = {
    "mvtec": ("train", "test", "ground_truth"),
    "brain_mri": ("no", "yes"),
    "breast_ultrasound": ("normal", "benign", "malignant"),
    "folder": ("normal", "abnormal", "masks"),
}


def count_ignored_files(layout: str, root: Path) -> Counter[str]:
    """Count, by suffix, the files among the images without an image suffix.

    Args:
        layout: See :func:`cyclegan_ad.data.samples.list_samples`.
        root: The folder that has the layout.
    """
    folders = list(list_oct_folders(root)) if layout == "retina_oct" else _FOLDERS[layout]
    files = (path for folder in folders for path in list_images(root, folder, images=False))
    return Counter(map(suffix_of, files))


def list_unread_folders(layout: str, root: Path) -> list[str]:
    """List the folders that are not part of a layout, e.g. masks under another name.

    Args:
        layout: See :func:`cyclegan_ad.data.samples.list_samples`.
        root: The folder that has the layout.
    """
    if layout in ("retina_oct", "brain_mri"):  # archives with copies of themselves
        return []
    unknown = [folder for folder in list_folders(root, "") if folder not in _FOLDERS[layout]]
    if layout == "mvtec":
        kinds = {to_nfc(file_name(folder)) for folder in list_folders(root, "test")}
        truth = list_folders(root, "ground_truth")
        unknown += [folder for folder in truth if to_nfc(file_name(folder)) not in kinds]
        unknown += [folder for folder in list_folders(root, "train") if folder != "train/good"]
    return unknown
