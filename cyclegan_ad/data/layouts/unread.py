"""What a dataset folder has beside the images that its layout lists, for notes."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from cyclegan_ad.data.layouts.medical import list_oct_folders
from cyclegan_ad.data.layouts.mvtec import is_good, is_usual, normal_folders
from cyclegan_ad.data.layouts.own_folder import folders_read
from cyclegan_ad.data.layouts.sample import Labelling
from cyclegan_ad.data.listing import file_name, list_folders, list_images, suffix_of, to_nfc

# Top-level folders of images and masks.
_FOLDERS = {
    "mvtec": ("train", "test", "ground_truth"),
    "mvtec_like": ("train", "test", "ground_truth"),
    "brain_mri": ("no", "yes"),
    "breast_ultrasound": ("normal", "benign", "malignant"),
    "elpv": ("images",),
}


def count_ignored_files(layout: str, root: Path, labelling: Labelling) -> Counter[str]:
    """Count, by suffix, the files without an image suffix in the folders that are read."""
    files = {
        path
        for folder in _folders(layout, root, labelling)
        for path in list_images(root, folder, images=False)
    }
    return Counter(map(suffix_of, files))


def list_unread_folders(layout: str, root: Path, labelling: Labelling) -> list[str]:
    """List the folders that are not part of a layout, e.g. masks under another name."""
    # Archives with copies of themselves; a table names what it means.
    if layout in ("retina_oct", "brain_mri") or labelling.table is not None:
        return []
    unknown = list(_beside(root, "", _folders(layout, root, labelling)))
    if layout in ("mvtec", "mvtec_like"):
        kinds = {to_nfc(file_name(folder)) for folder in list_folders(root, "test")}
        truth = list_folders(root, "ground_truth")
        unknown += [folder for folder in truth if to_nfc(file_name(folder)) not in kinds]
        normal = normal_folders(root, is_good if layout == "mvtec" else is_usual)
        unknown += [folder for folder in list_folders(root, "train") if folder not in normal]
    return unknown


def _beside(root: Path, parent: str, read: Collection[str]) -> Iterator[str]:
    """Yield the folders below ``parent`` that are not read and have none that is read in them."""
    for folder in list_folders(root, parent):
        if folder in read:
            continue
        if any(other.startswith(f"{folder}/") for other in read):
            yield from _beside(root, folder, read)
        else:
            yield folder


def _folders(layout: str, root: Path, labelling: Labelling) -> Sequence[str]:
    """List the folders of images and masks that are read; none for a table."""
    if labelling.table is not None:
        return []
    if layout == "folder":
        return folders_read(root, labelling)
    return list(list_oct_folders(root)) if layout == "retina_oct" else _FOLDERS[layout]
