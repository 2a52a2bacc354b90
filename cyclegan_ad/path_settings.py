"""Settings that name a file or folder: what no file system takes, found without looking at one."""

import os
import re

_LONGEST_NAME_BYTES = 255  # of file systems
_LONGEST_PATH_BYTES = 3500  # 4096 of Linux, with room for what a run writes below
_VARIABLES = {"data_dir": "CYCLEGAN_AD_DATA", "cache_dir": "CYCLEGAN_AD_CACHE"}


def check_path(setting: str, path: str) -> None:
    """Check a path that a setting gives.

    Args:
        setting: Last part of the setting's name.
        path: Its value.

    Raises:
        ValueError: If no file system takes it, or it names a home folder that does not exist; says
            what was expected.
    """
    if not path:
        variable = _VARIABLES.get(setting)
        raise ValueError(
            "expected a path" + (f" (is {variable} set to ''? unset it)" if variable else "")
        )
    if path.startswith("~") and os.path.expanduser(path).startswith("~"):
        raise ValueError("there is no such home folder; give the full path")
    whole: int | None
    try:
        longest = max(len(os.fsencode(part)) for part in path.split(os.sep))
        whole = len(os.fsencode(os.path.abspath(path)))
    except UnicodeEncodeError:
        whole = None
    if "\0" in path or whole is None:
        raise ValueError("no file can have this name")
    if longest > _LONGEST_NAME_BYTES:
        raise ValueError(
            f"a name of {longest} bytes is too long for a file or folder (at most "
            f"{_LONGEST_NAME_BYTES})"
        )
    if whole > _LONGEST_PATH_BYTES:
        raise ValueError(f"a path of {whole} bytes is too long (at most {_LONGEST_PATH_BYTES})")


def check_folder_name(value: str) -> None:
    """Check a setting that becomes the name of a folder.

    Args:
        value: Its value.

    Raises:
        ValueError: If a folder cannot or should not be so called; says what was expected.
    """
    if not re.fullmatch(r"[\w .@+-]*\w[\w .@+-]*", value):
        raise ValueError(
            "it becomes a folder's name; expected letters, digits, blanks and any of . _ - + @"
        )
    check_path("", value)
