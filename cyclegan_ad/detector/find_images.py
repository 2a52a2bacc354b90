"""Files of the images to judge: a file, a folder, a glob pattern or a list."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cyclegan_ad.data.layouts.found import describe_ignored
from cyclegan_ad.data.listing import SUFFIXES, list_files, list_images, scan, suffix_of
from cyclegan_ad.detector.decision_files import LINES, MADE_BY, TABLE
from cyclegan_ad.detector.drift_monitor import FILE as DRIFT
from cyclegan_ad.errors import UserError

OVERLAYS = "overlays"
"""Folder of the overlays that `predict` draws, in that of its decisions."""
OWN_FILES = frozenset({TABLE, LINES, MADE_BY, DRIFT})
"""What else `predict` writes there."""


def find_images(
    where: str | Path | Sequence[str | Path],
    *,
    besides: Path | None = None,
    allow_none: bool = False,
) -> list[Path]:
    """List the files of images, sorted.

    Args:
        where: A file, whatever its suffix; a folder, of which all images are listed, in folders
            below it too; a glob pattern (``**`` for any depth), for which a name that exists is not
            taken; or several of these.
        besides: Folder that is left out, such as that of overlays drawn before.
        allow_none: Whether a folder may hold no images.

    Raises:
        UserError: If there is no such file or folder, or it holds no images.
    """
    if not isinstance(where, str | Path):
        return [path for one in where for path in find_images(one, besides=besides)]
    path = Path(where).expanduser()
    if path.is_dir():
        found = [path / name for name in list_images(path, "")]
        found = _without(found, besides)
        if not found and not allow_none:
            others = Counter(map(suffix_of, list_images(path, "", images=False)))
            said = f", but {describe_ignored(others)}" if others else "; it is empty"
            raise UserError(f"'{path}' holds no images{said}")
        return sorted(found)
    if os.path.lexists(path):
        return [path]
    _check_folders(str(path))
    found = [Path(name) for name in glob.glob(str(path), recursive=True)]
    # A broken link is listed, so that it is reported as unreadable.
    found = [one for one in found if suffix_of(one.name) in SUFFIXES and not one.is_dir()]
    found = _without(found, besides)
    if not found:
        raise UserError(
            f"no image found: '{where}' is neither a file nor a folder, and no file with "
            "an image suffix matches it as a pattern"
        )
    return sorted(found)


def describe_others(where: Path, images: Sequence[Path], out: Path) -> str:
    """Describe the files beside the images to judge, which lack the suffix of an image.

    Args:
        where: A folder or a glob pattern; beside a file there are none.
        images: Result of `find_images`.
        out: Folder of the decisions, whose own files are not counted.

    Returns:
        E.g. ``3 files without an image suffix (.gif 2, .txt 1)``; empty if there are none.
    """
    path = Path(where).expanduser()
    if path.is_dir():
        files = [path / name for name in list_files(path)]
    elif os.path.lexists(path):
        return ""
    else:
        files = [Path(name) for name in glob.glob(str(path), recursive=True)]
        files = [file for file in files if not file.is_dir()]
    own, known = out.resolve(), set(images)
    others = [
        file
        for file in _without(files, out / OVERLAYS)
        if file not in known
        and suffix_of(file.name) not in SUFFIXES
        and not (file.name in OWN_FILES and file.parent.resolve() == own)
    ]
    return describe_ignored(Counter(suffix_of(file.name) for file in others)) if others else ""


def _check_folders(pattern: str) -> None:
    """Refuse a pattern that reaches a folder which cannot be listed; `glob` would skip it."""
    head, name = os.path.split(pattern)
    checked = set()
    while name:
        below = os.path.join(head, name) if name == "**" else head
        if glob.has_magic(name) and below not in checked:
            checked.add(below)
            for folder in glob.glob(os.path.join(below, ""), recursive=True) if below else ["."]:
                scan(Path(folder), "")
        head, name = os.path.split(head)


def _without(paths: list[Path], folder: Path | None) -> list[Path]:
    """Leave out the files in a folder."""
    if folder is None or not folder.is_dir():
        return paths
    inside = folder.resolve()
    parents = {path.parent for path in paths}
    left_out = {parent for parent in parents if parent.resolve().is_relative_to(inside)}
    return [path for path in paths if path.parent not in left_out]
