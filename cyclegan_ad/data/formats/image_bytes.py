"""Reading of the bytes of an image file, and the error for files without a usable image."""

import os
import stat
from importlib.util import find_spec
from pathlib import Path

MAX_FILE_BYTES = 2**32  # more than the largest image that is decoded needs uncompressed


class UnreadableImage(Exception):
    """A file that does not hold a usable image; the message is a short reason without its name."""


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Read a regular file; pipes and devices are rejected.

    Args:
        path: The file, or a link to it.

    Returns:
        Its contents.

    Raises:
        UnreadableImage: It cannot be read, is not a regular file, or is larger than 4 GiB.
    """
    try:
        status = os.stat(path)
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise UnreadableImage("cannot be read (not a regular file)")
        if status.st_size > MAX_FILE_BYTES:
            raise UnreadableImage(
                f"file of {status.st_size / 2**30:.1f} GiB: expected at most "
                f"{MAX_FILE_BYTES / 2**30:.0f} GiB"
            )
        return Path(path).read_bytes()  # raises IsADirectoryError for a folder
    except OSError as error:
        raise UnreadableImage(f"cannot be read ({error.strerror or error})") from error


def read_start(path: str | os.PathLike[str], length: int) -> bytes:
    """Read the first bytes of a regular file; none if it cannot be read."""
    try:
        if stat.S_ISREG(os.stat(path).st_mode):
            with open(path, "rb") as file:
                return file.read(length)
    except OSError:
        pass  # reported when the file is decoded
    return b""


def have_same_contents(path: Path, other: Path) -> bool:
    """Return whether two files hold the same bytes; False if one of them cannot be read."""
    try:
        same_size = path.stat().st_size == other.stat().st_size
        return same_size and read_bytes(path) == read_bytes(other)
    except (OSError, UnreadableImage):
        return False


def require_package(package: str, kind: str, extra: str) -> None:
    """Check that the package for a format is installed.

    Args:
        package: Name it is imported by.
        kind: Name of the format.
        extra: Extra of this project that brings it.

    Raises:
        UnreadableImage: It is not.
    """
    if find_spec(package) is None:
        raise UnreadableImage(
            f"{kind} needs the package {package.replace('_', '-')}: "
            f"pip install 'cyclegan-ad[{extra}]'"
        )
