"""Folder, labels and excluded images of a job, from its settings; without torch."""

import os
from pathlib import Path
from typing import Protocol

from cyclegan_ad.data.demo.dataset import FORMAT, draw_demo
from cyclegan_ad.data.layouts.class_folders import find_class_folders
from cyclegan_ad.data.layouts.elpv import find_elpv
from cyclegan_ad.data.layouts.mvtec import require_normal_folder
from cyclegan_ad.data.layouts.names import OWN_LAYOUTS
from cyclegan_ad.data.layouts.sample import Labelling
from cyclegan_ad.data.layouts.table import EXPECTED
from cyclegan_ad.data.samples import find_root, has_layout
from cyclegan_ad.data.text_file import read_text
from cyclegan_ad.errors import UserError


class Located(Protocol):
    """Settings ``dataset.*`` that locate its images."""

    name: str  # ``demo`` is drawn
    root: Path | None  # None to search ``folders`` below the folder of all datasets
    folders: tuple[str, ...]
    category: str | None  # folder below one of ``folders``
    source: str  # how to get the dataset, for the message if it is not found
    normal: tuple[str, ...] | None
    abnormal: tuple[str, ...] | None
    table: Path | None
    group: str | None
    defect_probability: float | None  # of the layout ``elpv``

    @property
    def layout(self) -> str:
        """See :func:`cyclegan_ad.data.samples.list_samples`."""


def labelling_of(dataset: Located) -> Labelling:
    """Return how the images of a dataset get labels and groups."""
    return Labelling(
        dataset.normal or (),
        dataset.abnormal or (),
        dataset.table,
        dataset.group,
        dataset.defect_probability,
    )


def find_dataset_folder(
    dataset: Located, data_dir: Path, cache_dir: Path, *, draw: bool = True
) -> Path:
    """Find the folder of a dataset, also inside a package, or draw the demo data.

    Args:
        dataset: Settings ``dataset.*``.
        data_dir: Folder of all datasets.
        cache_dir: Folder for the demo data.
        draw: Whether to draw the demo data, instead of only returning their folder.

    Raises:
        UserError: If there is no such folder or package, it is not known which images in it are
            normal, or the demo data cannot be written.
    """
    root = dataset.root
    if dataset.table is not None:
        read_text(dataset.table, "dataset.table", EXPECTED)  # an error here is told before the wait
        root = dataset.table.parent if root is None else root
    if root is not None:
        return _check_root(dataset, root)
    if dataset.name == "demo":
        # A new version of the package draws into a new folder.
        place = cache_dir / f"demo-v{FORMAT}"
        return draw_demo(place) if draw else place
    if dataset.layout == "elpv":
        return find_elpv()
    folders = dataset.folders
    if dataset.category is not None:
        folders = tuple(os.path.join(folder, dataset.category) for folder in folders)
    if dataset.layout in OWN_LAYOUTS and (dataset.category is None or not folders):
        raise UserError(f"dataset.root is missing: {dataset.source}")
    return find_root(data_dir, folders, dataset.layout, dataset=dataset.name, source=dataset.source)


def _check_root(dataset: Located, root: Path) -> Path:
    """Return the folder with the layout: the given one or, in it, that of the category."""
    inside = None if dataset.category is None else root / dataset.category
    if inside is not None and has_layout(dataset.layout, inside):
        return inside
    if dataset.layout in OWN_LAYOUTS:
        if not os.path.isdir(root):
            raise UserError(f"invalid dataset.root={root}: no such folder; {dataset.source}")
        if dataset.layout == "mvtec_like":
            require_normal_folder(root)
        elif dataset.table is None:
            find_class_folders(root, labelling_of(dataset))
    elif not has_layout(dataset.layout, root):
        raise UserError(f"invalid dataset.root={root}: no such dataset found; {dataset.source}")
    return root


def read_exclude_list(path: Path | None) -> list[str]:
    """Read the list of excluded images, ``dataset.exclude``.

    Args:
        path: Text file with one relative path or file name per line; None for no exclusion.

    Raises:
        UserError: If it cannot be read.
    """
    if path is None:
        return []
    text = read_text(path, "dataset.exclude", "one image per line")
    return [line.strip() for line in text.splitlines() if line.strip()]
