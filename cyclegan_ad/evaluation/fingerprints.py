"""Hashes of what the results of a run were computed from, to detect later changes of its files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from cyclegan_ad.evaluation.score_rows import score_columns
from cyclegan_ad.runs.results import NOT_SCORES, Rows, SplitRow
from cyclegan_ad.settings.train import Settings


def fingerprints(rows: Rows) -> dict[str, str]:
    """Return the SHA-256 of each score column, to detect later changes of the file."""
    return {column: _fingerprint(rows, column) for column in score_columns(rows)}


def hash_training_inputs(config: Settings, split: Sequence[SplitRow]) -> dict[str, dict[str, str]]:
    """Return file -> entry -> SHA-256 of the inputs of a training, to detect later changes."""
    # Without groups, the hash is that of the four columns of the file.
    rows = sorted(tuple(row) if row.group else tuple(row[:-1]) for row in split)
    return {
        "config.yaml": {"training": hash_value(sorted(config.training().items()))},
        "split.csv": {"images": hash_value(rows)},
    }


def hash_value(value: object) -> str:
    """Return the SHA-256 of the ``repr`` of a value, to verify what cannot be recomputed."""
    return hashlib.sha256(repr(value).encode()).hexdigest()


def is_changed(metrics: Mapping[str, Any], file: str, column: str, rows: Rows) -> bool:
    """Return whether a score column differs from its fingerprint.

    Args:
        metrics: Content of ``metrics.json``.
        file: Name of the file of the rows.
        column: Name of the column.
        rows: One or more rows of the file.
    """
    written = metrics["fingerprints"].get(file, {}).get(column)
    return column not in rows[0] or written != _fingerprint(rows, column)


def _fingerprint(rows: Rows, column: str) -> str:
    names = [name for name in (*NOT_SCORES, column) if name in rows[0]]
    return hash_value(sorted(tuple(row[name] for name in names) for row in rows))
