"""Files that others read, written under a temporary name, then renamed: nobody sees half of one."""

import contextlib
import csv
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cyclegan_ad.errors import UserError

# Paths are written as the system gives them, also where they are not valid UTF-8.
PATH_TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}

# Names of files and folders that are being written: a dot, the name, a random part and this.
PARTIAL = ".partial"

# What a disk may refuse, and what to do about it.
_REMEDIES = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room within your quota there",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EROFS: "make it writable or name another place",
    errno.EACCES: "allow access to it or name another place",
    errno.EPERM: "allow access to it or name another place",
    errno.EIO: "check the disk",
    errno.EISDIR: "a folder stands where a file belongs, move it away",
    errno.ENOTDIR: "a file stands where a folder belongs, move it away",
    errno.EEXIST: "a file stands where a folder belongs, move it away",
}


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to; renamed to it at the end, unless it fails.

    Args:
        path: The file; its folder is made if absent.
        durable: Whether the new content must be on the disk before the old one is gone, so that
            not even a loss of power leaves an empty file. It costs milliseconds.

    Raises:
        OSError: Naming ``path``, if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            if durable:
                _to_disk(temporary, os.O_RDWR)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        if durable:
            with contextlib.suppress(OSError):  # not every system can do this to a folder
                _to_disk(path.parent, os.O_RDONLY)
    except OSError as error:
        named = error.filename is not None and not str(error.filename).endswith(PARTIAL)
        if error.errno in _REMEDIES and not named:
            error.filename, error.filename2 = str(path), None
        raise


def _to_disk(path: Path, flags: int) -> None:
    opened = os.open(path, flags)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def remove_abandoned(folder: Path) -> None:
    """Remove what killed writers left anywhere in a folder in which nobody else writes now."""
    for leftover in folder.rglob(f".*{PARTIAL}"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


@contextmanager
def telling_of_files() -> Iterator[None]:
    """Turn what a disk refuses within the block (it is full, say) into one line.

    Raises:
        UserError: Naming the file, if it is known, the reason and what to do.
    """
    try:
        yield
    except OSError as error:
        if "No usable temporary directory" in str(error):
            raise UserError(
                "no folder for temporary files can be written; name one that can with the "
                "variable TMPDIR"
            ) from error
        if error.errno not in _REMEDIES:
            raise
        where = "a file or the output" if error.filename is None else error.filename
        raise UserError(
            f"{where}: {error.strerror}; {_REMEDIES[error.errno]}, then type the same command "
            "again; what was complete before is kept"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file in one go."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: object) -> None:
    """Write a JSON file in one go; a NaN is an error."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_rows(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    """Write a CSV file in one go; floats keep every digit, and any text is read back as it was."""
    with replacing(path) as temporary, temporary.open("w", newline="", **PATH_TEXT) as file:
        plain = csv.writer(file, lineterminator="\n")
        # Not every Python quotes a carriage return, and an unquoted one ends a row when it is read.
        quoted = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for row in [header, *rows]:
            values = [repr(v) if isinstance(v, float) else v for v in row]
            writer = quoted if any("\r" in v for v in values if isinstance(v, str)) else plain
            writer.writerow(values)
