"""Where the images of a job lie and which of them are left out, from its settings; no torch."""

import codecs
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from cyclegan_ad.data.demo.dataset import FORMAT, draw_demo
from cyclegan_ad.data.formats.image_bytes import UnreadableImage, read_bytes
from cyclegan_ad.data.samples import find_root, has_layout
from cyclegan_ad.errors import UserError


class Located(Protocol):
    """What of ``dataset.*`` says where its images lie."""

    @property
    def name(self) -> str:
        """``demo`` is drawn, ``folder`` needs ``root``."""

    @property
    def layout(self) -> str:
        """Which files are images, and of which class."""

    @property
    def root(self) -> Path | None:
        """Its folder; None to look for it."""

    @property
    def folders(self) -> Sequence[str]:
        """Where to look, below the folder of all datasets."""

    @property
    def source(self) -> str:
        """How to get it, for the message if it is not found."""


def dataset_folder(dataset: Located, data_dir: Path, cache_dir: Path, *, draw: bool = True) -> Path:
    """Find the folder of a dataset, or draw the demo data.

    Args:
        dataset: ``dataset.*``.
        data_dir: Folder of all datasets.
        cache_dir: Where the demo data are drawn.
        draw: False: of the demo data only give the place.

    Raises:
        UserError: If there is no such folder, or the demo data cannot be written.
    """
    if dataset.root is not None:
        if not has_layout(dataset.layout, dataset.root):
            raise UserError(f"dataset.root={dataset.root}: no such dataset there; {dataset.source}")
        return dataset.root
    if dataset.name == "demo":
        # An upgrade draws beside older data.
        place = cache_dir / f"demo-v{FORMAT}"
        return draw_demo(place) if draw else place
    if dataset.name == "folder":
        raise UserError(f"dataset.root is missing: {dataset.source}")
    return find_root(
        data_dir, dataset.folders, dataset.layout, dataset=dataset.name, source=dataset.source
    )


def images_left_out(path: Path | None) -> list[str]:
    """Read the list of images to leave out, ``dataset.exclude``.

    Args:
        path: A text file of one relative path or file name a line; None: none is left out.

    Raises:
        UserError: If it cannot be read.
    """
    if path is None:
        return []
    try:
        # Of a pipe, such as <(ls), the second reading would find nothing and leave out no image.
        content = read_bytes(path)
        # Editors on Windows write UTF-16, or a byte order mark before UTF-8.
        utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = content.decode("utf-16" if utf_16 else "utf-8-sig")
        if "\0" in text:  # UTF-16 without its mark, or UTF-32
            raise ValueError
        lines = text.splitlines()
    except (UnreadableImage, ValueError) as error:
        readable = not isinstance(error, UnreadableImage)
        reason = "cannot be read (not a text file in UTF-8)" if readable else error
        raise UserError(
            f"dataset.exclude={path} {reason}; name a text file with one image a line"
        ) from error
    return [line.strip() for line in lines if line.strip()]
