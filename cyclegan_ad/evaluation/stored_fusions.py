"""Verification of the stored parameters and contributions of fused scores; without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.fingerprints import hash_value, is_changed
from cyclegan_ad.methods.names import FUSED
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import Rows, read_scores

# Sums of contributions, averaged over the symmetries in another order.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class StoredFusions:
    """What the files of a run tell of its fused scores.

    Attributes:
        tuned: Rows of ``tuning.csv``, the scores of the tuning images; empty if it is missing or
            damaged.
        contributions: Rows of ``contributions.csv``, with ``<column>:<term>``; likewise.
        wrong: Column of a fused score that does not follow from the files -> reason.
    """

    tuned: Rows
    contributions: Rows
    wrong: dict[str, str]


def read_fusions(run: RunDirectory, metrics: Mapping[str, Any], rows: Rows) -> StoredFusions:
    """Read what the fused scores of a run were computed from, and verify it.

    Args:
        run: The run.
        metrics: Content of its ``metrics.json``.
        rows: Rows of its ``scores.csv``.
    """
    tuned, lost_tuned = _read(run.tuning)
    contributions, lost = _read(run.contributions)
    fusions = metrics.get("fusions", {})
    written = metrics["fingerprints"].get(run.metrics.name, {}).get("fusions")
    added = {row["path"]: row for row in contributions}
    wrong = {}
    for column in metrics["scores"]:
        if metrics["columns"][column]["name"] not in FUSED:
            continue
        fusion = fusions.get(column)
        if fusion is None:
            wrong[column] = "has no parameters in metrics.json"
        elif written != hash_value(fusions):
            wrong[column] = "has parameters that were changed in metrics.json"
        elif lost_tuned or lost:
            wrong[column] = lost_tuned or lost
        elif is_changed(metrics, run.tuning.name, column, tuned):
            wrong[column] = f"was changed in {run.tuning.name} after it was computed"
        elif any(
            is_changed(metrics, run.contributions.name, f"{column}:{term}", contributions)
            for term in fusion["terms"]
        ):
            wrong[column] = f"has terms that were changed in {run.contributions.name}"
        elif not all(_follows(row, added.get(row["path"]), column, fusion) for row in rows):
            wrong[column] = f"is not the sum of {run.contributions.name}"
    return StoredFusions(tuned, contributions, wrong)


def _read(file: Path) -> tuple[Rows, str]:
    """Return the rows of a file, and why there are none."""
    if not file.is_file():
        return (), f"{file.name} is missing"
    try:
        return read_scores(file.parent, file.name), ""
    except UserError as error:
        return (), str(error).replace(f"{file.parent}/", "").partition("; ")[0]


def _follows(
    row: Mapping[str, Any], added: Mapping[str, Any] | None, column: str, fusion: Mapping[str, Any]
) -> bool:
    if added is None or column not in row:
        return False
    parts = [fusion["intercept"], *(added[f"{column}:{term}"] for term in fusion["terms"])]
    size = sum(map(abs, parts))
    return abs(math.fsum(parts) - row[column]) <= _ROUNDING * max(size, 1.0)
