"""Files that others read, written under a temporary name, then renamed: nobody sees half of one."""

import csv
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Paths are written as the system gives them, also where they are not valid UTF-8.
PATH_TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to; renamed to it at the end, unless it fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
