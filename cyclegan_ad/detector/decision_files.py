"""Files of decisions, appended image by image, so that an interrupted command can continue."""

from __future__ import annotations

import csv
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from cyclegan_ad.detector.prediction import Prediction
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import PATH_TEXT, replacing, write_json
from cyclegan_ad.text import shown

TABLE, LINES, MADE_BY = "predictions.csv", "predictions.jsonl", "made_by.json"
COLUMNS = (
    *("path", "score", "threshold", "decision", "margin", "reason"),
    *("zone", "brightness", "sharpness"),
)


class DecisionFiles:
    """``predictions.csv`` and ``predictions.jsonl`` of a folder; a context manager.

    Both have a row per image: path, score, threshold, decision (``normal`` or ``abnormal``), margin
    (score - threshold), reason, zone (``pass``, ``review`` or ``reject``), brightness and
    sharpness. A number that does not exist is empty in the table and null in the lines, which also
    have size and time of modification of each file: an image is judged again if its file was
    changed, or could not be read the last time.

    Args:
        folder: Folder of the files; created if absent.
        identity: What determines the decisions, see :attr:`Detector.identity`.
        overwrite: Whether to start again.

    Raises:
        UserError: If the folder holds decisions of another detector or threshold.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], *, overwrite: bool) -> None:
        self.folder, self._identity = folder, dict(identity)
        self._overwrite = overwrite
        self._stamps: dict[str, list[int]] = {}  # path -> size and time of the judged file
        # Path -> decision, zone, whether it has a score.
        self._results: dict[str, tuple[str, str, bool]] = {}
        self._undecided: set[str] = set()  # of an earlier command, and not yet judged again
        self._has_doubles = False
        self._lines: IO[str] | None = None
        self._table: IO[str] | None = None

    def __enter__(self) -> Self:
        """Open the files, keeping earlier decisions except about files that were changed."""
        lines, made_by = self.folder / LINES, self.folder / MADE_BY
        records: dict[str, dict[str, Any]] = {}
        if not self._overwrite and lines.is_file():
            try:
                found = json.loads(made_by.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                found = None
            if found != self._identity:
                raise UserError(
                    f"{self.folder} holds decisions of another detector, score or threshold; use "
                    "another out=PATH, or replace them with overwrite=true"
                )
            records = {record["path"]: record for record in read_lines(lines)}
        self.folder.mkdir(parents=True, exist_ok=True)
        # A file may have been moved away since; only one that was changed is judged again.
        kept = [r for r in records.values() if _stamp(r["path"]) in ([], r["file"])]
        write_json(made_by, self._identity)
        self._write(kept)
        self._lines = lines.open("a", encoding="utf-8")
        self._table = (self.folder / TABLE).open("a", **_AS_CSV)
        for record in kept:
            self._note(record)
        self._undecided = {record["path"] for record in kept if record["score"] is None}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files."""
        for file in (self._lines, self._table):
            if file is not None:
                file.close()
        if self._has_doubles:
            records = {record["path"]: record for record in read_lines(self.folder / LINES)}
            self._write(list(records.values()))

    def _write(self, records: Sequence[Mapping[str, Any]]) -> None:
        with replacing(self.folder / LINES) as temporary:
            temporary.write_text("".join(map(_line, records)), encoding="utf-8")
        with replacing(self.folder / TABLE) as temporary, temporary.open("w", **_AS_CSV) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(map(_row, records))

    def pending(self, paths: Iterable[Path]) -> list[Path]:
        """Return the files without a decision, changed since, or not readable the last time."""
        return [
            path
            for path in paths
            if (known := self._stamps.get(str(path))) is None
            or known != _stamp(str(path))
            or str(path) in self._undecided
        ]

    def append(self, predictions: Sequence[Prediction], stamps: Sequence[list[int]]) -> None:
        """Append decisions and write them to the files at once.

        Args:
            predictions: The decisions.
            stamps: Result of :func:`stamp` of each file, from before it was read.
        """
        assert self._lines is not None and self._table is not None
        writer = csv.writer(self._table, lineterminator="\n")
        for prediction, stamped in zip(predictions, stamps, strict=True):
            record = {
                "path": prediction.path,
                "score": _finite(prediction.score),
                "threshold": prediction.threshold,
                "decision": prediction.label,
                "margin": _finite(prediction.margin),
                "reason": prediction.reason,
                "zone": prediction.zone,
                "brightness": _finite(prediction.brightness),
                "sharpness": _finite(prediction.sharpness),
                "file": stamped,
            }
            self._has_doubles |= record["path"] in self._stamps
            self._undecided.discard(str(record["path"]))
            self._lines.write(_line(record))
            writer.writerow(_row(record))
            self._note(record)
        self._lines.flush()
        self._table.flush()

    def count(self, paths: Iterable[Path] | None = None) -> dict[str, int]:
        """Count decisions: ``normal``, ``abnormal``, each zone, ``undecided`` (without a score).

        Args:
            paths: The files; None for all in the folder.
        """
        chosen = self._results if paths is None else map(str, paths)
        found = [self._results[path] for path in chosen if path in self._results]
        counts = Counter(name for label, zone, _ in found for name in (label, zone))
        undecided = sum(not has_score for *_, has_score in found)
        names = ("normal", "abnormal", "pass", "review", "reject")
        return {name: counts[name] for name in names} | {"undecided": undecided}

    def _note(self, record: Mapping[str, Any]) -> None:
        self._stamps[record["path"]] = record["file"]
        has_score = record["score"] is not None
        self._results[record["path"]] = record["decision"], record["zone"], has_score


_AS_CSV: dict[str, Any] = {"newline": "", **PATH_TEXT}


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read ``predictions.jsonl``, without a last line that was not written to its end.

    Raises:
        UserError: If another line is damaged.
    """
    *whole, _ = path.read_text(encoding="utf-8").split("\n")
    records = []
    for number, line in enumerate(whole, 1):
        try:
            record = json.loads(line)
            records.append({name: record[name] for name in (*COLUMNS, "file")})
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}, line {number} is damaged ({shown(line[:40])}); restore it, or decide "
                "about all images again with overwrite=true"
            ) from error
    return records


def stamp(path: Path) -> list[int]:
    """Return size in bytes and time of modification in ns of a file; empty without a file."""
    return _stamp(str(path))


def _stamp(path: str) -> list[int]:
    try:
        found = os.stat(path)
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record) + "\n"  # ASCII, also for paths that are not valid UTF-8


def _row(record: Mapping[str, Any]) -> list[str]:
    values = (record[name] for name in COLUMNS)
    return ["" if v is None else repr(v) if isinstance(v, float) else str(v) for v in values]
