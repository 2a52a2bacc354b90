"""Verification of the stored parameters and contributions of fused scores; without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cyclegan_ad.errors import UserError
from cyclegan_ad.methods.names import FUSED
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import Rows, read_scores

# Sums of contributions, averaged over the symmetries in another order.
_ROUNDING = 1e-9


def read_contributions(run: RunDirectory) -> Rows:
    """Read ``contributions.csv``: what each term adds to the fused scores of the test images.

    Returns:
        Rows with ``<column>:<term>``; none if the run has no fused score.

    Raises:
        UserError: If the file is damaged.
    """
    file = run.contributions
    return read_scores(run.path, file.name) if file.is_file() else []


def check_fusions(run: RunDirectory, metrics: Mapping[str, Any], rows: Rows) -> dict[str, str]:
    """Check that fused scores are the sums of their contributions.

    Args:
        run: The run.
        metrics: Content of its ``metrics.json``.
        rows: Rows of its ``scores.csv``.

    Returns:
        Column of a fused score that does not follow from the files -> reason.
    """
    columns = [name for name, of in metrics["columns"].items() if of.get("name") in FUSED]
    if not columns:
        return {}
    try:
        added = {row["path"]: row for row in read_contributions(run)}
    except UserError as error:
        reason = str(error).replace(f"{run.path}/", "").partition("; ")[0]
        return dict.fromkeys(columns, reason)
    wrong = {}
    for column in columns:
        fusion = metrics["fusions"].get(column)
        if fusion is None:
            wrong[column] = "has no parameters in metrics.json"
        elif not added:
            wrong[column] = f"{run.contributions.name} is missing"
        elif not all(_follows(row, added.get(row["path"]), column, fusion) for row in rows):
            wrong[column] = f"is not the sum of {run.contributions.name}"
    return wrong


def _follows(
    row: Mapping[str, Any], added: Mapping[str, Any] | None, column: str, fusion: Mapping[str, Any]
) -> bool:
    names = [f"{column}:{term}" for term in fusion["terms"]]
    if added is None or column not in row or not set(names) <= added.keys():
        return False
    total = fusion["intercept"] + math.fsum(added[name] for name in names)
    size = abs(fusion["intercept"]) + sum(abs(added[name]) for name in names)
    return abs(total - row[column]) <= _ROUNDING * max(size, 1.0)
