"""Settings that name a file or folder: what no file system takes, found without looking at one."""

import os
import re
from typing import Any

from cyclegan_ad.errors import UserError

_LONGEST_NAME_BYTES = 255  # of file systems
_LONGEST_PATH_BYTES = 3500  # 4096 of Linux, with room for what a run writes below
_SHOWN = 60
_VARIABLES = {"data_dir": "CYCLEGAN_AD_DATA", "cache_dir": "CYCLEGAN_AD_CACHE"}


def check_path(name: str, path: Any) -> None:
    """Check a path that a setting gives.

    Args:
        name: The setting.
        path: Its value.

    Raises:
        UserError: If it is no text, no file system takes it, or it names a home folder that does
            not exist.
    """
    if path == "" and name in _VARIABLES:
        raise UserError(
            f"{name} is empty; give {name}=PATH, or unset {_VARIABLES[name]} if that is set to ''"
        )
    if not isinstance(path, str) or not path:
        raise UserError(f"{name}={path} is not possible; it is a path")
    shown = f"{name}={path if len(path) <= _SHOWN else path[:_SHOWN] + '...'}"
    if path.startswith("~") and os.path.expanduser(path).startswith("~"):
        raise UserError(f"{shown}: there is no such home folder; write the path in full")
    whole: int | None
    try:
        longest = max(len(os.fsencode(part)) for part in path.split(os.sep))
        whole = len(os.fsencode(os.path.abspath(path)))
    except UnicodeEncodeError:
        whole = None
    if "\0" in path or whole is None:
        raise UserError(f"{shown!a} is not possible; no file can have this name")
    if longest > _LONGEST_NAME_BYTES:
        raise UserError(
            f"{shown} is not possible; a name of {longest} bytes is too long for a file or "
            f"folder, {_LONGEST_NAME_BYTES} are possible"
        )
    if whole > _LONGEST_PATH_BYTES:
        raise UserError(
            f"{shown} is not possible; a path of {whole} bytes is too long, "
            f"{_LONGEST_PATH_BYTES} are possible"
        )


def check_folder_name(name: str, value: str) -> None:
    """Check a setting that becomes the name of a folder.

    Args:
        name: The setting.
        value: Its value.

    Raises:
        UserError: If a folder cannot or should not be so called.
    """
    if not re.fullmatch(r"[\w .@+-]*\w[\w .@+-]*", value):
        raise UserError(
            f"{name}={value} is not possible; it becomes a folder's name: letters, digits, "
            "blanks and any of . _ - + @"
        )
    check_path(name, value)
