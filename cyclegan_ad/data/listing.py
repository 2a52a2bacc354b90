"""Names of images and folders, as POSIX paths relative to a root, in a fixed order.

Each folder is scanned once and no file is queried on its own, so that listing tens of thousands of
files takes a fraction of a second. Only of files without a suffix, or with a number for it, the
first bytes are read: they may be DICOM. Hidden entries, files created by operating systems, and
other files without an image suffix are ignored.
"""

import os
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path

from cyclegan_ad.data.formats import dicom
from cyclegan_ad.data.formats.image_bytes import read_start
from cyclegan_ad.errors import UserError

_NIFTI_PACKED = ".nii.gz"
SUFFIXES = frozenset(
    {
        *(".png", ".apng", ".bmp", ".dib", ".tif", ".tiff", ".webp"),
        *(".jpg", ".jpeg", ".jpe", ".jif", ".jfif", ".pjp", ".pjpeg"),
        *(".heic", ".heif", ".hif", ".avif", ".dcm", ".dicom", ".nii", _NIFTI_PACKED),
    }
)

# Thumbnails, recycle bins and metadata of storage servers, Windows, macOS and Linux; lower case.
_OF_SYSTEMS = frozenset(
    {
        *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp"),
        *("$recycle.bin", "system volume information", "found.000"),
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "~snapshot"),
        *("__macosx", "icon\r", "network trash folder", "temporary items"),
        *("thevolumesettingsfolder", "lost+found", "lost.dir", "@__thumb"),
    }
)


def list_images(root: Path, folder: str, *, images: bool = True) -> Iterator[str]:
    """Yield the images in ``root/folder`` and below; a folder reached by several links counts once.

    A broken link is yielded too, so that it is reported as unreadable.

    Args:
        root: Folder that paths are relative to.
        folder: Folder below ``root``; empty for ``root`` itself.
        images: False yields the files without an image suffix instead.

    Raises:
        UserError: A folder exists but cannot be listed.
    """
    return (path for path, entry in _walk(root, folder) if _is_image(entry) == images)


def list_files(root: Path) -> Iterator[str]:
    """Yield all files in ``root`` and below, in the order of `list_images`; none is opened.

    Raises:
        UserError: A folder exists but cannot be listed.
    """
    return (path for path, _ in _walk(root, ""))


def _walk(root: Path, folder: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    stack, visited = [folder], set[str]()
    while stack:
        parent = stack.pop()
        real = os.path.realpath(root / parent)
        if real in visited:
            continue
        visited.add(real)
        folders = []
        prefix = f"{parent}/" if parent else ""
        for entry in scan(root, parent):
            if _is_folder(entry):
                folders.append(f"{prefix}{entry.name}")
            else:
                yield f"{prefix}{entry.name}", entry
        stack += sorted(folders, reverse=True)


def list_folders(root: Path, parent: str) -> list[str]:
    """Return the direct subfolders of ``root/parent``, sorted; none if it does not exist.

    Raises:
        UserError: ``root/parent`` exists but cannot be listed.
    """
    prefix = f"{parent}/" if parent else ""
    return sorted(prefix + entry.name for entry in scan(root, parent) if _is_folder(entry))


def scan(root: Path, folder: str) -> list[os.DirEntry[str]]:
    """Return the entries of ``root/folder``; none if it does not exist.

    Hidden entries and those created by operating systems (thumbnails, recycle bins) are left out.

    Raises:
        UserError: ``root/folder`` exists but cannot be listed.
    """
    try:
        with os.scandir(root / folder) as entries:
            return [
                entry
                for entry in entries
                if not entry.name.startswith(".") and entry.name.lower() not in _OF_SYSTEMS
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(
            f"folder '{root / folder}' cannot be listed ({error.strerror}); make it readable"
        ) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:  # e.g. a link to itself: reported as an unreadable file
        if isinstance(error, PermissionError) and suffix_of(entry.name) not in SUFFIXES:
            raise UserError(
                f"target of link '{entry.path}' cannot be read ({error.strerror}); make it "
                "readable or remove the link"
            ) from error
        return False


def _is_image(entry: os.DirEntry[str]) -> bool:
    """Whether a file has the suffix of an image, or none and the first bytes of DICOM."""
    suffix = suffix_of(entry.name)
    # Scanners name files IM000001 or by a number with dots, 1.2.840.10008.
    if suffix in SUFFIXES or not (suffix == "" or suffix[1:].isdigit()):
        return suffix in SUFFIXES
    return dicom.is_dicom(read_start(entry.path, dicom.HEADER_BYTES))


def to_nfc(path: str) -> str:
    r"""Return a path in Unicode normal form C, in which an accent is part of its letter.

    >>> to_nfc("e\u0301.png") == "\u00e9.png"
    True
    """
    return unicodedata.normalize("NFC", path)


def suffix_of(path: str) -> str:
    """Return the suffix of a file, in lower case.

    >>> suffix_of("yes/Y1.tumour.JPG"), suffix_of("yes/Y1.nii.gz")
    ('.jpg', '.nii.gz')
    """
    if path.lower().endswith(_NIFTI_PACKED):
        return _NIFTI_PACKED
    return os.path.splitext(path)[1].lower()


def file_name(path: str) -> str:
    """Return the last part of a POSIX path.

    >>> file_name("test/scratch_neck/000.png")
    '000.png'
    """
    return path.rpartition("/")[2]


def parent_of(path: str) -> str:
    """Return a POSIX path without its last part.

    >>> parent_of("test/scratch_neck/000.png")
    'test/scratch_neck'
    """
    return path.rpartition("/")[0]


def without_suffix(path: str) -> str:
    """Return the path of a file without its suffix.

    >>> without_suffix("yes/Y1.tumour.JPG"), without_suffix("yes/IM01"), without_suffix("1.2.840")
    ('yes/Y1.tumour', 'yes/IM01', '1.2.840')
    """
    suffix = suffix_of(path)
    return path if suffix[1:].isdigit() else path[: len(path) - len(suffix)]


def find_excluded(names: Collection[str], paths: Collection[str], root: Path) -> set[str]:
    """Find the images named in a list of excluded ones.

    A name that matches no image is tried with backslashes as path separators (Windows), then in
    Unicode normal form.

    Args:
        names: Paths relative to the dataset's root, or file names; a file name matches every image
            of that name.
        paths: Paths of all images.
        root: Folder of the dataset, for the message.

    Raises:
        UserError: If a name matches no image.

    Example:
        >>> sorted(find_excluded(["a.png", "no/b.png"], ["no/a.png", "no/b.png", "b.png"], Path()))
        ['no/a.png', 'no/b.png']
    """
    exact: dict[str, set[str]] = {}
    shown: dict[str, set[str]] = {}
    for path in paths:
        for name in (path, file_name(path)):
            exact.setdefault(name, set()).add(path)
            shown.setdefault(to_nfc(name), set()).add(path)
    found: set[str] = set()
    unknown = set()
    for name in names:
        posix = name.replace("\\", "/")
        named = exact.get(name) or exact.get(posix) or shown.get(to_nfc(posix))
        if named is None:
            unknown.add(name)
        else:
            found |= named
    if unknown:
        raise UserError(
            f"invalid dataset.exclude: {sorted(unknown)} not among the images in '{root}'; correct "
            "or remove these lines"
        )
    return found
