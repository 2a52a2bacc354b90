"""Folder of a job's images and the list of excluded ones, from its settings; without torch."""

import codecs
from pathlib import Path
from typing import Protocol

from cyclegan_ad.data.demo.dataset import FORMAT, draw_demo
from cyclegan_ad.data.formats.image_bytes import UnreadableImage, read_bytes
from cyclegan_ad.data.samples import find_root, has_layout
from cyclegan_ad.errors import UserError


class Located(Protocol):
    """Settings ``dataset.*`` that locate its images."""

    name: str  # ``demo`` is drawn, ``folder`` needs ``root``
    root: Path | None  # None to search ``folders`` below the folder of all datasets
    folders: tuple[str, ...]
    source: str  # how to get the dataset, for the message if it is not found

    @property
    def layout(self) -> str:
        """See :func:`cyclegan_ad.data.samples.list_samples`."""


def find_dataset_folder(
    dataset: Located, data_dir: Path, cache_dir: Path, *, draw: bool = True
) -> Path:
    """Find the folder of a dataset, or draw the demo data.

    Args:
        dataset: Settings ``dataset.*``.
        data_dir: Folder of all datasets.
        cache_dir: Folder for the demo data.
        draw: Whether to draw the demo data, instead of only returning their folder.

    Raises:
        UserError: If there is no such folder, or the demo data cannot be written.
    """
    if dataset.root is not None:
        if not has_layout(dataset.layout, dataset.root):
            raise UserError(
                f"invalid dataset.root={dataset.root}: no such dataset found; {dataset.source}"
            )
        return dataset.root
    if dataset.name == "demo":
        # A new version of the package draws into a new folder.
        place = cache_dir / f"demo-v{FORMAT}"
        return draw_demo(place) if draw else place
    if dataset.name == "folder":
        raise UserError(f"dataset.root is missing: {dataset.source}")
    return find_root(
        data_dir, dataset.folders, dataset.layout, dataset=dataset.name, source=dataset.source
    )


def read_exclude_list(path: Path | None) -> list[str]:
    """Read the list of excluded images, ``dataset.exclude``.

    Args:
        path: Text file with one relative path or file name per line; None for no exclusion.

    Raises:
        UserError: If it cannot be read.
    """
    if path is None:
        return []
    try:
        # Rejects a pipe such as <(ls): its second reading would be empty and exclude nothing.
        content = read_bytes(path)
        # Editors on Windows write UTF-16, or a byte order mark before UTF-8.
        utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = content.decode("utf-16" if utf_16 else "utf-8-sig")
        if "\0" in text:  # UTF-16 without its mark, or UTF-32
            raise ValueError
        lines = text.splitlines()
    except (UnreadableImage, ValueError) as error:
        reason = error if isinstance(error, UnreadableImage) else "not a text file in UTF-8"
        raise UserError(
            f"invalid dataset.exclude={path}: {reason}; expected one image per line"
        ) from error
    return [line.strip() for line in lines if line.strip()]
