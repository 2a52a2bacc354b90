"""Decisions that a person says are wrong: ``flags.csv``, which the command calibrate reads."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from cyclegan_ad.data.formats.image_bytes import UnreadableImage, read_start
from cyclegan_ad.data.formats.kinds import kind_of
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import PATH_TEXT, replacing, write_rows

TABLE = "flags.csv"
COLUMNS = (*("time", "path", "sha256", "label", "decision", "zone", "score", "threshold", "note"),)
LABELS = ("normal", "abnormal")
_COPIES = "flagged"
_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "BMP": ".bmp", "TIFF": ".tif", "WebP": ".webp"}
_SUFFIXES |= {"HEIC": ".heic", "AVIF": ".avif", "DICOM": ".dcm", "NIfTI": ".nii"}
_START_BYTES = 4096


class Flags:
    """The flags of a folder; at most one for each image, by its SHA-256.

    May be used by several threads.

    Args:
        folder: Setting ``out``.

    Raises:
        UserError: If a ``flags.csv`` in it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table = folder / TABLE
        self._lock = Lock()
        self._rows: list[dict[str, str]] = self._read()

    def rows(self) -> list[dict[str, str]]:
        """Return the flags, oldest first: column -> text, as in the file."""
        return [dict(row) for row in self._rows]

    def add(self, path: Path, values: Mapping[str, str], *, keep: bool) -> dict[str, str]:
        """Write a flag, in place of an earlier one about the same image.

        Args:
            path: File of the image.
            values: The other columns but ``time`` and ``path``.
            keep: Whether the file is a passing one, of which the folder keeps a copy.

        Raises:
            OSError: If the folder cannot be written.
        """
        with self._lock:
            if keep:
                path = self._keep(path, values["sha256"])
            row = {
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "path": str(path.absolute()),
                **values,
            }
            others = [old for old in self._rows if old["sha256"] != values["sha256"]]
            self._write([*others, row])
        return dict(row)

    def remove(self, sha256: str) -> bool:
        """Take a flag back, with the copy of its image; return whether there was one."""
        with self._lock:
            removed = [row for row in self._rows if row["sha256"] == sha256]
            if not removed:
                return False
            self._write([row for row in self._rows if row["sha256"] != sha256])
            copies = (self.folder / _COPIES).absolute()
            for row in removed:
                if Path(row["path"]).parent == copies:
                    Path(row["path"]).unlink(missing_ok=True)
        return True

    def _keep(self, path: Path, sha256: str) -> Path:
        try:
            suffix = _SUFFIXES[kind_of(read_start(path, _START_BYTES))]
        except UnreadableImage:
            suffix = ""
        kept = self.folder / _COPIES / f"{sha256}{suffix}"
        with replacing(kept) as temporary:
            shutil.copyfile(path, temporary)
        return kept

    def _read(self) -> list[dict[str, str]]:
        if not self.table.is_file():
            return []
        remedy = "mend it, or use another out=PATH"
        try:
            with self.table.open(newline="", **PATH_TEXT) as file:
                reader = csv.DictReader(file, strict=True)
                if tuple(reader.fieldnames or ()) != COLUMNS:
                    raise UserError(
                        f"{self.table} does not have the columns {','.join(COLUMNS)}; {remedy}"
                    )
                rows = list(reader)
        except (OSError, csv.Error) as error:
            raise UserError(f"{self.table} cannot be read ({error}); {remedy}") from error
        for number, row in enumerate(rows, 2):
            if row["label"] not in LABELS or None in row.values():
                raise UserError(f"{self.table}, line {number} is damaged; {remedy}")
        return rows

    def _write(self, rows: list[dict[str, str]]) -> None:
        write_rows(self.table, list(COLUMNS), [[row[name] for name in COLUMNS] for row in rows])
        self._rows = rows
