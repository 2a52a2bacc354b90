"""Checks of path settings that do not access the file system."""

import os
import re

_LONGEST_NAME_BYTES = 255  # limit of common file systems
_LONGEST_PATH_BYTES = 3500  # limit of Linux: 4096, minus room for files of a run
_VARIABLES = {"data_dir": "CYCLEGAN_AD_DATA", "cache_dir": "CYCLEGAN_AD_CACHE"}


def check_path(setting: str, path: str) -> None:
    """Check the value of a path setting.

    Raises:
        ValueError: If the path is empty, too long or otherwise not a possible path, or its home
            folder does not exist.
    """
    if not path:
        variable = _VARIABLES.get(setting)
        raise ValueError(
            "expected a path"
            + (f"; use {setting}=PATH or unset {variable} if it is empty" if variable else "")
        )
    if path.startswith("~") and os.path.expanduser(path).startswith("~"):
        raise ValueError("unknown home folder; use the full path")
    whole: int | None
    try:
        longest = max(len(os.fsencode(part)) for part in path.split(os.sep))
        whole = len(os.fsencode(os.path.abspath(path)))
    except UnicodeEncodeError:
        whole = None
    if "\0" in path or whole is None:
        raise ValueError("expected a path without characters that file names cannot have")
    if longest > _LONGEST_NAME_BYTES:
        raise ValueError(
            f"expected names of files and folders of at most {_LONGEST_NAME_BYTES} bytes, got "
            f"{longest} bytes"
        )
    if whole > _LONGEST_PATH_BYTES:
        raise ValueError(
            f"expected a path of at most {_LONGEST_PATH_BYTES} bytes, got {whole} bytes"
        )


def check_folder_name(value: str) -> str:
    """Check the value of a setting that becomes the name of a folder, and return it.

    Raises:
        ValueError: If the value is not allowed as the name of a folder.
    """
    if not re.fullmatch(r"[\w .@+-]*\w[\w .@+-]*", value):
        raise ValueError("expected a folder name of letters, digits, spaces and any of . _ - + @")
    check_path("", value)
    return value
