"""Score columns and groups of the rows of ``scores.csv`` and of the files beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from cyclegan_ad.errors import UserError
from cyclegan_ad.runs.results import NOT_SCORES, SUBSETS, Rows, SplitRow


def score_columns(rows: Rows) -> list[str]:
    """Return the names of the scores in the rows."""
    return [name for name in rows[0] if name not in NOT_SCORES]


def column_of(rows: Rows, name: str) -> np.ndarray:
    """Return the values of a score, (N,) float64."""
    return np.array([row[name] for row in rows], dtype=np.float64)


def groups_of(
    rows: Rows, split: Iterable[SplitRow], subset: str, file: str, label: int | None = None
) -> list[str]:
    """Return the group of each image, or the SHA-256 of its file.

    Args:
        rows: The images.
        split: Rows of ``split.csv``.
        subset: The subset whose images these are, each once.
        file: File that the rows are from, for the message.
        label: The label of the images; None for both.

    Raises:
        UserError: If the rows are other images.
    """
    named = {row.path: row for row in split if row.subset == subset and label in (None, row.label)}
    if (
        len(named) != len(rows)
        or named.keys() != {row["path"] for row in rows}
        or any(named[row["path"]].label != row["label"] for row in rows)
    ):
        raise UserError(
            f"{file} and split.csv disagree on the {subset} images; evaluate the run again"
        )
    return [named[row["path"]].group or named[row["path"]].sha256 for row in rows]


_USED = tuple(subset for subset in SUBSETS if subset != "test")


def seen_groups(
    split: Iterable[SplitRow], subsets: Sequence[str] = _USED, label: int | None = None
) -> frozenset[str]:
    """Return the groups of images of some subsets, as `groups_of` names them.

    Images of these groups in another subset are no evidence about new images: a file of equal
    content trained the networks, or set a threshold.

    Args:
        split: Rows of ``split.csv``.
        subsets: The subsets; by default all but the test set.
        label: The label of the images; None for both.
    """
    return frozenset(
        row.group or row.sha256
        for row in split
        if row.subset in subsets and label in (None, row.label)
    )


def count_independent(rows: Rows, split: Sequence[SplitRow]) -> dict[str, int]:
    """Count the different test images of each class that are evidence about new images.

    Args:
        rows: Rows of ``scores.csv``.
        split: Rows of ``split.csv``.

    Returns:
        ``normal`` and ``abnormal``: groups of them that are not seen, see `seen_groups`.
    """
    groups, seen = groups_of(rows, split, "test", "scores.csv"), seen_groups(split)
    return {
        name: len(
            {group for group, row in zip(groups, rows, strict=True) if row["label"] == label} - seen
        )
        for name, label in (("normal", 0), ("abnormal", 1))
    }
