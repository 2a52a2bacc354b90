"""Names of images and folders, as POSIX paths relative to a root, in a fixed order.

Each folder is scanned once and no file is looked up by itself, so that listing tens of thousands
of files takes a fraction of a second. Hidden entries and files without an image suffix are passed
over.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from cyclegan_ad.errors import UserError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})


def list_images(root: Path, folder: str) -> Iterator[str]:
    """Yields the images in ``root/folder`` and below, each folder once, whatever links lead to it.

    A link whose target is gone is yielded too: it shows up as unreadable instead of vanishing.

    Raises:
        UserError: A folder exists but cannot be listed.
    """
    stack, visited = [folder], set[str]()
    while stack:
        parent = stack.pop()
        real = os.path.realpath(root / parent)
        if real in visited:
            continue
        visited.add(real)
        folders = []
        for entry in scan(root, parent):
            if entry.is_dir():
                folders.append(f"{parent}/{entry.name}")
            elif os.path.splitext(entry.name)[1].lower() in SUFFIXES:
                yield f"{parent}/{entry.name}"
        stack += sorted(folders, reverse=True)


def list_folders(root: Path, parent: str) -> list[str]:
    """Returns the folders right below ``root/parent``, sorted; none if it does not exist.

    Raises:
        UserError: ``root/parent`` exists but cannot be listed.
    """
    prefix = f"{parent}/" if parent else ""
    return sorted(prefix + entry.name for entry in scan(root, parent) if entry.is_dir())


def scan(root: Path, folder: str) -> list[os.DirEntry[str]]:
    """Returns the entries of ``root/folder`` that are not hidden; none if it does not exist.

    Raises:
        UserError: ``root/folder`` exists but cannot be listed.
    """
    try:
        with os.scandir(root / folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(
            f"folder '{root / folder}' cannot be listed ({error.strerror}): make it readable"
        ) from error


def file_name(path: str) -> str:
    """Returns the last part of a POSIX path.

    >>> file_name("test/scratch_neck/000.png")
    '000.png'
    """
    return path.rpartition("/")[2]


def parent_of(path: str) -> str:
    """Returns a POSIX path without its last part.

    >>> parent_of("test/scratch_neck/000.png")
    'test/scratch_neck'
    """
    return path.rpartition("/")[0]


def without_suffix(path: str) -> str:
    """Returns the path of a file without its suffix.

    >>> without_suffix("yes/Y1.tumour.JPG")
    'yes/Y1.tumour'
    """
    return path.rpartition(".")[0]
