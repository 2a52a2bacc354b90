"""The record of a benchmark, a JSON file: table, figure and README follow from it."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cyclegan_ad.errors import UserError
from cyclegan_ad.files import write_json
from experiments.benchmarks.rows import table_rows

FORMAT = 1


def record_path(folder: Path, slug: str, *, quick: bool) -> Path:
    """Where the record of a machine lies.

    >>> record_path(Path("results"), "nvidia-h100", quick=False).name
    'benchmark_nvidia-h100.json'
    """
    return folder / f"benchmark_{slug}{'_quick' if quick else ''}.json"


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record, with the table that follows from its samples."""
    write_json(path, {"format": FORMAT, **record, "table": table_of(record)})


def table_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a record as plain values, such as JSON holds."""
    rows = []
    for row in table_rows(record):
        values = dataclasses.asdict(row)
        values |= {
            name: None if found is None else found._asdict()
            for name, found in (("ratio", row.ratio), ("share", row.share))
        }
        values["targets"] = [
            dataclasses.asdict(target) | {"reached": target.reached} for target in row.targets
        ]
        rows.append(values)
    return rows


def read_record(path: Path) -> dict[str, Any]:
    """Read a record.

    Raises:
        UserError: If it is damaged, or of another version of the benchmark.
    """
    remedy = "make it anew with python -m experiments.benchmark"
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = record["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no record of the benchmark; {remedy}") from error
    if found != FORMAT:
        raise UserError(f"{path} is a record of format {found}, not {FORMAT}; {remedy}")
    return record


def full_records(folder: Path) -> list[dict[str, Any]]:
    """The records of a folder that are not quick ones: CPUs first, then GPUs, by name."""
    records = [read_record(path) for path in sorted(folder.glob("benchmark_*.json"))]
    whole = [record for record in records if not record["quick"]]
    return sorted(
        whole, key=lambda found: (bool(found["machine"]["gpus"]), found["machine"]["name"])
    )
