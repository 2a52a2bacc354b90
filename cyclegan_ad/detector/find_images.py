"""Files of the images to judge: a file, a folder, a glob pattern or a list."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cyclegan_ad.data.listing import SUFFIXES, list_images, suffix_of
from cyclegan_ad.errors import UserError
from cyclegan_ad.text import counted


def find_images(
    where: str | Path | Sequence[str | Path], *, allow_none: bool = False
) -> list[Path]:
    """List the files of images, sorted.

    Args:
        where: A file, whatever its suffix; a folder, of which all images are listed, in folders
            below it too; a glob pattern (``**`` for any depth), for which a name that exists is not
            taken; or several of these.
        allow_none: Whether a folder may hold no images.

    Raises:
        UserError: If there is no such file or folder, or it holds no images.
    """
    if not isinstance(where, str | Path):
        return [path for one in where for path in find_images(one)]
    path = Path(where).expanduser()
    if path.is_dir():
        found = [path / name.removeprefix("./") for name in list_images(path, ".")]
        if not found and not allow_none:
            raise UserError(f"'{path}' holds no images{_passed_over(path)}")
        return sorted(found)
    if os.path.lexists(path):
        return [path]
    found = [Path(name) for name in glob.glob(str(path), recursive=True)]
    found = [one for one in found if one.is_file() and suffix_of(one.name) in SUFFIXES]
    if not found:
        raise UserError(
            f"no image found: '{where}' is neither a file nor a folder, and no file with "
            "an image suffix matches it as a pattern"
        )
    return sorted(found)


def _passed_over(folder: Path) -> str:
    """Name what a folder holds instead of images."""
    others = Counter(map(suffix_of, list_images(folder, ".", images=False)))
    if not others:
        return "; it is empty"
    kinds = ", ".join(f"{suffix or 'no suffix'} {n}" for suffix, n in others.most_common())
    return f", but {counted(others.total(), 'other file')} ({kinds})"
