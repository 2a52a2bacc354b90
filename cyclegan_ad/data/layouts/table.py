"""The user's own images as a table: path and label of each, with optional mask, group and type."""

import csv
import difflib
import io
import os
import posixpath
from collections.abc import Callable, Iterator
from pathlib import Path

from cyclegan_ad.data.layouts.sample import ABNORMAL, CLASSES, Sample, class_of
from cyclegan_ad.data.listing import file_name, list_images, parent_of, to_nfc
from cyclegan_ad.data.text_file import read_text
from cyclegan_ad.errors import UserError
from cyclegan_ad.text import shown_name

_NEEDED = ("path", "label")
_OPTIONAL = ("mask", "group", "type")
_PATHS = ("path", "mask")
_LABELS = {"0": 0, "1": 1}
EXPECTED = f"a CSV file with the columns path, label and optionally {', '.join(_OPTIONAL)}"


def list_table(table: Path, root: Path) -> Iterator[Sample]:
    """List the images of a table.

    The columns may be separated by commas, semicolons or tabs; other columns are not read. ``path``
    and ``mask`` are relative to ``root``; ``label`` is 0, 1 or a usual name of a class; ``type`` is
    the kind of the defect.

    Args:
        table: CSV file in UTF-8, or in UTF-16 with a byte order mark.
        root: Folder of the dataset.

    Raises:
        UserError: Naming the table, the line and the value: a column or a file is missing, a label
            is unknown, a group is empty, or a path is listed twice.
    """
    rows, columns = read_rows(table, "dataset.table", EXPECTED)
    find = _finder(root)
    lines: dict[str, int] = {}
    for line, fields in rows:

        def refuse(column: str, why: str, line: int = line, fields: dict = fields) -> UserError:
            value = shown_name(fields[column])
            return UserError(f"{table}, line {line}: invalid {column}={value}: {why}")

        path = find(fields["path"])
        if path is None:
            raise refuse("path", f"no such file in '{root}'; correct it or remove the line")
        if lines.setdefault(path, line) != line:
            raise refuse("path", f"it is in line {lines[path]} too; remove one of them")
        label = label_of(fields["label"])
        if label is None:
            raise refuse("label", "expected 0 or normal, good, OK ..., 1 or abnormal, bad, NOK ...")
        mask = None
        if fields.get("mask") and label == ABNORMAL:
            mask = find(fields["mask"])
            if mask is None:
                raise refuse("mask", f"no such file in '{root}'; correct it or leave it empty")
        kind = fields.get("type") or file_name(parent_of(path)) or CLASSES[label]
        group = to_nfc(fields["group"]) if "group" in columns else None
        yield Sample(path, label, kind, () if mask is None else (mask,), group)


def label_of(text: str) -> int | None:
    """Return the label that a field means: 0, 1 or a usual name of a class; None for others."""
    return _LABELS.get(text, class_of(text))


def read_rows(
    table: Path, setting: str, expected: str, *, errors: str = "strict"
) -> tuple[list[tuple[int, dict[str, str]]], list[str]]:
    """Read a table with the columns ``path`` and ``label``.

    Args:
        table: CSV file in UTF-8, or in UTF-16 with a byte order mark.
        setting: Name of its setting, for messages.
        expected: What it should hold, likewise.
        errors: What to do about bytes that are not UTF-8, as for :func:`.text_file.read_text`.

    Returns:
        The number and the fields of each line, and the names of the columns. Fields are without the
        spaces around them, but for paths, to which these may belong (:func:`spellings`).

    Raises:
        UserError: Naming the table and the line.
    """
    text = read_text(table, setting, expected, errors=errors)
    first = text.partition("\n")[0]
    headers = {mark: _columns(first, mark) for mark in ",;\t"}
    mark = max(headers, key=lambda mark: len(headers[mark]))
    columns = headers[mark]
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise UserError(
            f"{table} has no column {' and '.join(missing)}: expected {expected}, found "
            f"{', '.join(map(shown_name, columns)) or 'none'}"
        )
    for name in columns:
        meant = difflib.get_close_matches(name, _OPTIONAL, 1, 0.8)
        if meant and name not in _OPTIONAL:
            raise UserError(
                f"{table} has a column {shown_name(name)}; rename it to {meant[0]} or to something "
                "else if it is not to be read"
            )
    if len(set(columns)) != len(columns):
        raise UserError(f"{table} has two columns of one name ({', '.join(columns)}); rename one")
    rows = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    try:
        next(reader)
        for row in reader:
            if not any(field.strip() for field in row):
                continue
            if len(row) != len(columns):
                raise UserError(
                    f"{table}, line {reader.line_num} has {len(row)} fields, expected "
                    f"{len(columns)}; put a value with {mark!r} into double quotes"
                )
            fields = {
                name: field if name in _PATHS and field.strip() else field.strip()
                for name, field in zip(columns, row, strict=True)
            }
            if "group" in columns and not fields["group"]:
                raise UserError(
                    f"{table}, line {reader.line_num}: invalid group='': it is empty; give each "
                    "image a group, or remove the column"
                )
            rows.append((reader.line_num, fields))
    except csv.Error as error:
        raise UserError(
            f"{table}, line {reader.line_num} cannot be read ({error}); expected {expected}"
        ) from error
    return rows, columns


def spellings(path: str) -> tuple[str, ...]:
    """Return what a path in a table may mean: as it stands, and without spaces around it."""
    return (path, path.strip()) if path != path.strip() else (path,)


def _columns(header: str, mark: str) -> list[str]:
    names = next(csv.reader([header.rstrip("\r")], delimiter=mark), [])
    return [name.strip().casefold() for name in names]


def _finder(root: Path) -> Callable[[str], str | None]:
    """Return a function from a path as typed to that of the file, or None if there is none."""
    in_nfc: dict[str, str] = {}

    def find(typed: str) -> str | None:
        for spelled in (*spellings(typed), typed.strip().replace("\\", "/")):
            path = posixpath.normpath(spelled)
            if posixpath.isabs(path) or path.split("/")[0] == "..":
                continue
            if os.path.isfile(root / path):
                return path
            if not path.isascii():  # the same letters in the other Unicode form
                if not in_nfc:
                    in_nfc.update({to_nfc(image): image for image in list_images(root, "")})
                if to_nfc(path) in in_nfc:
                    return in_nfc[to_nfc(path)]
        return None

    return find
