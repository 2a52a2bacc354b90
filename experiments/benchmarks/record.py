"""The record of a benchmark: a JSON file, with a table (Markdown) and a figure (PNG) beside it."""

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from cyclegan_ad.errors import UserError
from cyclegan_ad.files import write_json, write_text
from experiments.benchmarks import commands, detector, input_pipeline, machine, scoring, training
from experiments.benchmarks.plot import cost_figure
from experiments.benchmarks.row import Row, Target

Record = dict[str, Any]

FORMAT = 2

# Mean number of runnable processes above which other work disturbs the measurement.
BUSY = 1.0

EXPLANATION = (
    "Medians over rounds in which reference and package take turns; in brackets, the 10th and 90th "
    "percentile of the ratio within a round. Reference: a common implementation, in float32 "
    "(`experiments/reference_step.py`, `experiments/reference_scores.py`, torchvision's "
    "`ImageFolder`); for peak memory, ours without checkpointing; for several devices, one. Of "
    "peak: the arithmetic that a pair needs, relative to what a matrix product of the same "
    "precision does in the same time, measured in the same rounds; above 100%, convolutions are "
    "faster than matrix products on that machine."
)


def write_record(folder: Path, record: Record) -> Path:
    """Write a record with its table and figure into a folder; return the JSON file."""
    path = folder / f"benchmark_{record['machine']['slug']}{'_quick' * record['quick']}.json"
    write_json(path, {"format": FORMAT, **record})
    write_text(path.with_suffix(".md"), f"{markdown_table(record)}\n{EXPLANATION}\n")
    draw(record, path.with_suffix(".png"))
    return path


def draw(record: Record, path: Path) -> None:
    """Draw the figure of a record."""
    cost_figure(record["cases"], heading(record), path)


def read_records(folder: Path) -> list[Record]:
    """Read the records of a folder without quick ones: CPUs first, then GPUs, by name.

    Raises:
        UserError: If a record has another format.
    """
    found = []
    for path in folder.glob("benchmark_*.json"):
        record: Record = json.loads(path.read_text(encoding="utf-8"))
        if record.get("format") != FORMAT:
            raise UserError(f"invalid format of {path}: expected {FORMAT}; run the benchmark again")
        if not record["quick"]:
            found.append(record)
    return sorted(found, key=lambda r: (bool(r["machine"]["gpus"]), r["machine"]["name"]))


def table_rows(record: Record) -> list[Row]:
    """Compute all rows of a record, with their targets."""
    questions = (machine, training, input_pipeline, scoring, detector, commands)
    return [row for q in questions for row in q.rows(record["cases"], record["machine"])]


def markdown_table(record: Record) -> str:
    """Write the table of a record with its heading and notes, as Markdown."""
    lines = [f"**{heading(record)}**", "", "| | reference | ours | ratio | of peak | target |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | --- |")
    for group, rows in groupby(table_rows(record), key=lambda row: f"{row.group}, {row.unit}"):
        lines.append(f"| **{group}** | | | | | |")
        lines += [f"| {row.what} | {' | '.join(_cells(row))} |" for row in rows]
    notes = [f"- {name}: {reason}" for name, reason in record["left_out"].items()]
    load = record["machine"]["load"]
    if load is not None and load[0] > BUSY:
        notes.append(f"- the machine was busy before the measurement (load {load[0]:.1f})")
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def heading(record: Record) -> str:
    """Describe machine, versions and date of a record."""
    versions, name = record["versions"], record["machine"]["name"]
    commit, _, changed = (versions["commit"] or "unknown").partition("+")
    return (
        f"{name}{' (quick)' * record['quick']}; torch {versions['packages']['torch']}, "
        f"commit {commit[:10]}{' with changes' * bool(changed)}, {versions['started'][:10]}"
    )


def number(value: float) -> str:
    """Write about three digits, and all digits before the point.

    >>> number(0.0312), number(1.857), number(67.06), number(2067.5)
    ('0.031', '1.86', '67.1', '2,068')
    """
    digits = next((3 - i for i, limit in enumerate((0.1, 10, 100)) if value < limit), 0)
    return f"{value:,.{digits}f}"


def _cells(row: Row) -> list[str]:
    ratio = ""
    if row.ratio is not None:
        ratio, low, high = map(number, row.ratio)
        ratio += f" ({low}-{high})" * (row.ratio.low < row.ratio.high)
    return [
        "" if row.reference is None else number(row.reference),
        "" if row.ours is None else number(row.ours),
        ratio,
        "" if row.share is None else f"{row.share.median:.0%}",
        row.note or ", ".join(_verdict(row, target) for target in row.targets),
    ]


def _verdict(row: Row, target: Target) -> str:
    limit = f"{target.limit:.0%}" if target.quantity == "share" else f"{target.limit:g}"
    verdict = "met" if row.reached(target) else "missed"
    return f"{'>=' if target.at_least else '<='} {limit} {verdict}"
