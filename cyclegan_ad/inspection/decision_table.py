"""Decisions about uploads, refused ones too: the table of a batch, and ``decisions.csv`` of all."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from cyclegan_ad.detector.decision import Decision
from cyclegan_ad.files import PATH_TEXT
from cyclegan_ad.inspection.images import InspectedImage

TABLE = "decisions.csv"
COLUMNS = ("time", "name", "sha256", "score", "threshold", "decision", "zone", "margin", "reason")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def row_of(image: InspectedImage, zone: str, decision: Decision) -> list[str]:
    """Return the values of :data:`COLUMNS`.

    Args:
        image: The image.
        zone: Its zone.
        decision: Score and thresholds that decide.
    """
    score = image.score
    return [
        image.time,
        no_formula(image.name),
        image.sha256,
        "" if score is None else repr(score),
        repr(decision.threshold),
        "normal" if zone == "pass" else "abnormal",
        zone,
        "" if score is None else repr(score - decision.threshold),
        no_formula(image.reason or image.doubt),
    ]


def no_formula(text: str) -> str:
    """Return a text of a person or a file as a spreadsheet does not take it for a formula.

    >>> no_formula("=1+1"), no_formula("dust")
    ("'=1+1", 'dust')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def as_text(rows: Iterable[list[str]]) -> str:
    """Return rows as CSV, below their header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


def append(folder: Path, row: list[str]) -> None:
    """Append a row to ``decisions.csv`` of a folder.

    Raises:
        OSError: If it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / TABLE).open("a", newline="", **PATH_TEXT) as file:
        writer = csv.writer(file, lineterminator="\n")
        if not file.tell():
            writer.writerow(COLUMNS)
        writer.writerow(row)
