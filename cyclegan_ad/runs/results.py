"""Read and write the results of a run."""

import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cyclegan_ad.errors import UserError
from cyclegan_ad.files import PATH_TEXT, write_json, write_rows
from cyclegan_ad.text import shown, shown_name

METRICS_FORMAT = 5
SUBSETS = ("train", "test", "calibration", "tuning")

Rows = Sequence[dict[str, Any]]
"""Rows of ``scores.csv`` or ``calibration.csv``: path, label (0 normal, 1 abnormal), scores.

Those of ``crossval.csv`` begin with the fold; each is the score of an image by the model that did
not see this fold: of its abnormal training images and, unless the run's own model saw none of them,
of each test image.
"""

NOT_SCORES = ("fold", "path", "label")


@dataclass(frozen=True, slots=True)
class Results:
    """Results of the evaluation of a run."""

    metrics: dict[str, Any]  # content of metrics.json
    rows: Rows  # scores of the test images
    kept: Rows  # scores of the abnormal calibration images; may be empty
    crossval: Rows = ()  # scores of abnormal training images by models that did not see them
    tuned: Rows = ()  # scores of the images that fused scores are fitted to
    contributions: Rows = ()  # what each term adds to the fused scores of the test images


def read_metrics(run_dir: Path) -> dict[str, Any]:
    """Read ``metrics.json`` of a run.

    Returns:
        Content of the file; ``scores`` maps each score column to its metrics.

    Raises:
        UserError: If the file is missing, damaged or of another format.
    """
    path = Path(run_dir) / "metrics.json"
    again = f"score the run again: python -m cyclegan_ad.evaluate run={run_dir}"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing, as the run is not finished; {again}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}); {again}") from error
    if not isinstance(metrics, dict) or not isinstance(metrics.get("scores"), dict):
        raise UserError(f"{path} has no 'scores'; {again}")
    if metrics.get("format") != METRICS_FORMAT:
        raise UserError(
            f"{path} has format {shown(metrics.get('format'))}, expected {METRICS_FORMAT}; {again}"
        )
    return metrics


class SplitRow(NamedTuple):
    """A row of ``split.csv``.

    Attributes:
        path: Path of the file, relative to the dataset folder.
        sha256: Hash of the content; empty for an unreadable file.
        label: 0 normal, 1 abnormal, -1 for a file that is not an image of the dataset.
        subset: ``train``, ``test``, ``calibration``, ``tuning``, or the kind of a file that is in
            none.
        group: Group of an image, which images of equal content share; empty without groups, when
            the file has four columns.
    """

    path: str
    sha256: str
    label: int
    subset: str
    group: str = ""


def write_split(run_dir: Path, rows: Iterable[SplitRow]) -> None:
    """Write ``split.csv`` of a run."""
    rows = list(rows)
    columns = SplitRow._fields if any(row.group for row in rows) else SplitRow._fields[:-1]
    write_rows(run_dir / "split.csv", list(columns), [list(row[: len(columns)]) for row in rows])


def read_split(run_dir: Path) -> list[SplitRow]:
    """Read ``split.csv`` of a run: the subset of each image.

    Raises:
        UserError: If the file is missing or damaged.
    """
    path = Path(run_dir) / "split.csv"
    again = "restore it or train again with overwrite=true"
    try:
        with path.open(newline="", **PATH_TEXT) as file:
            reader = csv.reader(file, strict=True)
            columns = next(reader, [])
            if columns not in (list(SplitRow._fields), list(SplitRow._fields[:-1])):
                raise UserError(f"{path} is damaged (wrong header); {again}")
            rows = []
            for fields in reader:
                if len(fields) != len(columns):
                    raise UserError(f"{path}, line {reader.line_num} is damaged; {again}")
                name, sha256, label, *others = fields
                rows.append(SplitRow(name, sha256, int(label), *others))
    except FileNotFoundError:
        raise UserError(f"{path} is missing; {again}") from None
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path} is damaged ({error}); {again}") from error
    if len({row.path for row in rows}) != len(rows):
        raise UserError(f"{path} is damaged (a file is listed twice); {again}")
    if any(row.subset in SUBSETS and row.label not in (0, 1) for row in rows):
        raise UserError(f"{path} is damaged (a label is not 0 or 1); {again}")
    return rows


def write_scores(run_dir: Path, rows: Rows, name: str = "scores.csv") -> None:
    """Write ``scores.csv``, ``calibration.csv`` or ``crossval.csv`` of a run."""
    header = list(rows[0])
    write_rows(run_dir / name, header, [[row[column] for column in header] for row in rows])


def write_metrics(run_dir: Path, metrics: dict[str, Any]) -> None:
    """Write ``metrics.json`` of a run; last, as it marks the run as complete."""
    write_json(run_dir / "metrics.json", metrics)


def read_results(run_dir: Path) -> Results:
    """Read the results of the evaluation of a run."""

    def read(name: str) -> Rows:
        return read_scores(run_dir, name) if (run_dir / name).is_file() else ()

    return Results(
        metrics=read_metrics(run_dir),
        rows=read_scores(run_dir),
        kept=read("calibration.csv"),
        crossval=read("crossval.csv"),
        tuned=read("tuning.csv"),
        contributions=read("contributions.csv"),
    )


def read_scores(run_dir: Path, name: str = "scores.csv") -> list[dict[str, Any]]:
    """Read ``scores.csv``, ``calibration.csv`` or ``crossval.csv`` of a run.

    Returns:
        One row per image, in the order of the file: ``path`` (str), ``label`` (int, 0 normal,
        1 abnormal) and each score column (float, raw units); of ``crossval.csv`` one per fold and
        image, with ``fold`` (int >= 0).

    Raises:
        UserError: If the file is missing or damaged, naming the line.
    """
    path = Path(run_dir) / name
    again = f"score the run again: python -m cyclegan_ad.evaluate run={run_dir}"
    try:
        with path.open(newline="", **PATH_TEXT) as file:
            reader = csv.DictReader(file, strict=True)
            columns = list(reader.fieldnames or [])
            first = list(NOT_SCORES[name != "crossval.csv" :])
            if columns[: len(first)] != first or len(columns) == len(first):
                raise UserError(
                    f"{path}: expected the columns {', '.join(first)} and a score, "
                    f"got {', '.join(columns) or 'none'}; {again}"
                )
            rows = []
            for row in reader:
                try:
                    rows.append(_parse_row(row, columns[len(first) :]))
                except (TypeError, ValueError) as error:
                    raise UserError(
                        f"{path}, line {reader.line_num} is damaged ({error}); {again}"
                    ) from error
    except FileNotFoundError:
        raise UserError(f"{path} is missing, as the run is not finished; {again}") from None
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path} cannot be read ({error}); {again}") from error
    if not rows:
        raise UserError(f"{path} has no rows; {again}")
    if len({(row.get("fold"), row["path"]) for row in rows}) != len(rows):
        raise UserError(f"{path} is damaged (an image is listed twice); {again}")
    return rows


def _parse_row(row: dict[str, Any], score_columns: list[str]) -> dict[str, Any]:
    if None in row:
        raise ValueError("too many fields")
    if row["label"] not in ("0", "1"):
        raise ValueError(f"label {shown_name(row['label'])} is not 0 or 1")
    parsed: dict[str, Any] = {"path": row["path"], "label": int(row["label"])}
    if "fold" in row:
        if not (row["fold"].isascii() and row["fold"].isdigit()):
            raise ValueError(f"fold {shown_name(row['fold'])} is not an integer >= 0")
        parsed = {"fold": int(row["fold"])} | parsed
    for column in score_columns:
        try:
            score = float(row[column])
        except (TypeError, ValueError):
            score = math.nan
        if not math.isfinite(score):
            raise ValueError(f"{shown_name(column)} is {shown_name(row[column])}")
        parsed[column] = score
    return parsed
