"""Write files atomically: under a temporary name, then renamed, so readers see whole files."""

import contextlib
import csv
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cyclegan_ad.errors import UserError

# Paths keep bytes that are not valid UTF-8.
PATH_TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}

# Suffix of temporary files and folders: ".<name>.<random part>.partial".
PARTIAL = ".partial"

# Errors of the file system and their remedies.
_REMEDIES = {
    errno.ENOSPC: "free space there",
    errno.EDQUOT: "free space within your quota there",
    errno.EFBIG: "raise the file size limit (ulimit -f)",
    errno.EROFS: "make it writable or use another path",
    errno.EACCES: "grant access to it or use another path",
    errno.EPERM: "grant access to it or use another path",
    errno.EIO: "check the disk",
    errno.EISDIR: "move the folder away, a file is expected there",
    errno.ENOTDIR: "move the file away, a folder is expected there",
    errno.EEXIST: "move the file away, a folder is expected there",
}


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path next to ``path``, renamed to ``path`` if the block succeeds.

    Args:
        path: The file; its folder is created if absent.
        durable: Whether to flush the content to the disk before the rename, so that not even a
            power failure leaves an empty file. It takes milliseconds.

    Raises:
        OSError: If ``path`` cannot be written; the error names it.
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
            with contextlib.suppress(OSError):  # not every system can sync a folder
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
    """Remove temporary files of killed processes from a folder that no process writes to."""
    for leftover in folder.rglob(f".*{PARTIAL}"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


@contextmanager
def explain_file_errors() -> Iterator[None]:
    """Turn errors of the file system (such as a full disk) into a ``UserError``.

    Raises:
        UserError: Naming the file (if known), the cause and the remedy.
    """
    try:
        yield
    except OSError as error:
        if "No usable temporary directory" in str(error):
            raise UserError(
                "no folder for temporary files is writable; set the environment variable TMPDIR to "
                "one that is"
            ) from error
        if error.errno not in _REMEDIES:
            raise
        where = "a file or the output" if error.filename is None else error.filename
        raise UserError(
            f"{where}: {error.strerror}; {_REMEDIES[error.errno]}, then run the same command "
            "again; complete files are kept"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: object) -> None:
    """Write a JSON file atomically; a NaN is an error."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_rows(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    """Write a CSV file atomically; floats and text are read back exactly."""
    with replacing(path) as temporary, temporary.open("w", newline="", **PATH_TEXT) as file:
        plain = csv.writer(file, lineterminator="\n")
        # Some versions of Python do not quote a carriage return, which ends a row when read.
        quoted = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for row in [header, *rows]:
            values = [repr(v) if isinstance(v, float) else v for v in row]
            writer = quoted if any("\r" in v for v in values if isinstance(v, str)) else plain
            writer.writerow(values)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
