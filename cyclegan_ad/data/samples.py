"""Listing of the images of a dataset folder, with their labels, groups and ground-truth masks."""

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path

from cyclegan_ad.data.groups import find_groups
from cyclegan_ad.data.layouts.elpv import has_elpv, list_elpv
from cyclegan_ad.data.layouts.medical import (
    list_brain_mri,
    list_breast_ultrasound,
    list_oct_folders,
    list_retina_oct,
)
from cyclegan_ad.data.layouts.mvtec import (
    is_good,
    is_usual,
    list_mvtec,
    normal_folders,
    require_normal_folder,
)
from cyclegan_ad.data.layouts.names import OWN_LAYOUTS
from cyclegan_ad.data.layouts.own_folder import list_own_folder
from cyclegan_ad.data.layouts.sample import BY_THE_USUAL_NAMES, Labelling
from cyclegan_ad.data.layouts.sample import Sample as Sample  # of which others speak most
from cyclegan_ad.data.layouts.table import list_table
from cyclegan_ad.data.listing import file_name, find_excluded, scan
from cyclegan_ad.errors import UserError

_REQUIRED = {
    "mvtec": "train/good/ and test/",
    "mvtec_like": "train/good/ (or ok, normal)",
    "brain_mri": "no/ and yes/",
    "breast_ultrasound": "normal/ and benign/ and malignant/",
    "retina_oct": "NORMAL/ beside CNV/, DME/ or DRUSEN/ at any depth",
    "elpv": "labels.csv and images/",
    "folder": "",
}


def find_root(
    data_dir: Path, folders: Sequence[str], layout: str, *, dataset: str, source: str
) -> Path:
    """Find the folder of a dataset.

    Args:
        data_dir: Folder that holds the datasets.
        folders: Folders to try below ``data_dir``, in this order.
        layout: One of :func:`list_samples`.
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

    Any folder has the layout ``folder``, of which the classes are found when it is listed.

    Raises:
        UserError: The folder exists but cannot be listed.
    """
    if layout == "retina_oct":
        return any(file_name(folder) == "NORMAL" for folder in list_oct_folders(root))
    scan(root, "")  # raises if the folder cannot be read
    if layout == "elpv":
        return has_elpv(root)
    if layout == "mvtec_like":
        return bool(normal_folders(root, is_usual))
    return all(os.path.isdir(root / folder) for folder in _REQUIRED[layout].split(" and "))


def list_samples(
    layout: str,
    root: Path,
    *,
    exclude: Collection[str] = (),
    labelling: Labelling = BY_THE_USUAL_NAMES,
) -> list[Sample]:
    """List the images of a dataset folder, each one once.

    Args:
        layout: Where the folder has normal and abnormal images:
            ``mvtec``: ``train/good``, ``test/good`` and ``test/*``, masks in ``ground_truth/*``.
            ``mvtec_like``: the same with any usual name in place of ``good``.
            ``brain_mri``: ``no`` and ``yes``.
            ``breast_ultrasound``: ``normal``, ``benign`` and ``malignant``, masks among them.
            ``retina_oct``: ``NORMAL`` and ``CNV``, ``DME``, ``DRUSEN``, at any depth.
            ``elpv``: ``labels.csv`` and ``images``, see :mod:`.layouts.elpv`.
            ``folder``: folders with usual names of two classes, see :mod:`.layouts.own_folder`, or
            as ``labelling`` says.
        root: The folder that has the layout.
        exclude: Images to leave out: paths relative to ``root``, or file names; a file name
            excludes every image of that name.
        labelling: Names of the classes or the table of the layout ``folder``, and the groups.

    Returns:
        Samples sorted by path (code points), the same list on every operating system.

    Raises:
        UserError: The folder lacks the layout or cannot be listed, a mask matches no image
            (``mvtec``, ``folder``), ``exclude`` names an image that does not exist, or an image has
            no group.
    """
    require_layout(layout, root)
    listers: dict[str, Callable[[Path], Iterable[Sample]]] = {
        "mvtec": partial(list_mvtec, is_normal=is_good),
        "mvtec_like": partial(list_mvtec, is_normal=is_usual),
        "brain_mri": list_brain_mri,
        "breast_ultrasound": list_breast_ultrasound,
        "retina_oct": list_retina_oct,
        "elpv": partial(list_elpv, defect_probability=labelling.defect_probability),
        "folder": partial(list_own_folder, labelling=labelling),
    }
    if labelling.table is not None:
        listers[layout] = partial(list_table, labelling.table)
    samples = sorted(listers[layout](root), key=lambda sample: sample.path)
    left_out = find_excluded(exclude, [sample.path for sample in samples], root)
    samples = [sample for sample in samples if sample.path not in left_out]
    return samples if labelling.group is None else find_groups(samples, labelling.group)


def require_layout(layout: str, root: Path) -> None:
    """Check that a folder has a layout.

    Raises:
        UserError: If it has not, or cannot be listed.
    """
    if has_layout(layout, root):
        return
    if layout in OWN_LAYOUTS and not os.path.isdir(root):
        raise UserError(f"'{root}' is not a folder; use that of the images, dataset.root=PATH")
    if layout == "mvtec_like":
        require_normal_folder(root)
    raise UserError(
        f"folder '{root}' has no {_REQUIRED[layout]}; use a folder with this layout, "
        "dataset.root=PATH"
    )
