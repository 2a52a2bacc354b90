"""``protocol=crossval``: its folds, and its decisions from the files of a run; without torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from cyclegan_ad.data.checks import limited, more_abnormal
from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.score_rows import column_of, groups_of, score_columns, seen_groups
from cyclegan_ad.metrics.crossval import crossval as decide_crossval
from cyclegan_ad.metrics.crossval import deal_folds
from cyclegan_ad.runs.results import Rows, SplitRow
from cyclegan_ad.settings.protocol import Protocol
from cyclegan_ad.text import counted

if TYPE_CHECKING:  # it imports torch, which the report does not need
    from cyclegan_ad.data.datamodule import AnomalyDataModule

# With leave_one_out at least two other abnormal images remain to choose the strength of a fit by.
LEAST_REFITTED = 3


def training_folds(protocol: Protocol, data: AnomalyDataModule) -> dict[int, int]:
    """Divide the abnormal training images into the folds of ``protocol=crossval``.

    Args:
        protocol: Settings ``protocol.*``.
        data: Data module after ``setup``.

    Returns:
        Index into ``samples`` -> fold, from 0, by fold.

    Raises:
        UserError: If there are fewer different images, or groups of them, than folds, or the groups
            of a fold have all normal training images.
    """
    trained = data.train_indices(1)
    groups = [data.groups[i] for i in trained]
    different, folds = len(set(groups)), protocol.crossval_folds
    alone = folds == "leave_one_out"
    if different < max(LEAST_REFITTED, 0 if alone else int(folds)):
        remedy = f"{more_abnormal(data)} or use protocol=crossfit"
        if different >= LEAST_REFITTED:
            remedy = "use fewer folds, or leave_one_out"
        raise UserError(
            f"invalid protocol.crossval_folds={folds} for {limited(data)}, "
            f"{counted(different, 'different abnormal training image')}: expected at least "
            f"{LEAST_REFITTED if alone else max(LEAST_REFITTED, int(folds))}; {remedy}"
        )
    dealt = deal_folds(groups, different if alone else int(folds), data.seed)
    normal = {data.groups[i] for i in data.train_indices(0)}
    if any(
        normal <= {group for group, own in zip(groups, dealt, strict=True) if own == fold}
        for fold in set(dealt)
    ):
        raise UserError(
            f"invalid protocol.crossval_folds={folds} for dataset {data.dataset_name}: without the "
            "groups of one fold no normal training image is left; add normal images of other "
            "groups, use more folds, or use protocol=crossfit"
        )
    return dict(sorted(zip(trained, dealt, strict=True), key=lambda item: item[1]))


def decide_by_crossval(
    rows: Rows,
    crossval: Rows,
    split: Iterable[SplitRow],
    *,
    margin: float,
    confidence: float,
    **_: Any,
) -> dict[str, dict[str, Any]]:
    """Apply :func:`cyclegan_ad.metrics.crossval.crossval` to every score.

    Args:
        rows: Rows of ``scores.csv``, the test images.
        crossval: Rows of ``crossval.csv``. Without test images among them, the model of the run
            saw no abnormal image, and ``rows`` are its scores.
        split: Rows of ``split.csv``.
        margin: Fraction in [0, 1), from `protocol_settings`.
        confidence: Confidence level in (0, 1), from `protocol_settings`.

    Returns:
        Column -> decisions.

    Raises:
        UserError: If the images of the scores are not those of the split.
    """
    split, file = list(split), "crossval.csv"
    tested = {row.path for row in split if row.subset == "test"}
    held_out = [row for row in crossval if row["path"] not in tested]
    groups = groups_of(held_out, split, "train", file, label=1)
    folds = {row["fold"] for row in crossval}
    trained: frozenset[str] = frozenset()
    by_fold: dict[int, Rows] = {}
    if len(held_out) == len(crossval):  # refits leave out all images of the groups of a fold
        by_fold, trained = {0: rows}, seen_groups(split, ("train",), label=0)
    for fold in folds if not by_fold else ():
        of_fold = {row["path"]: row for row in crossval if row["fold"] == fold}
        by_fold[fold] = [of_fold[row["path"]] for row in rows if row["path"] in of_fold]
        groups_of(by_fold[fold], split, "test", file)
    if folds != set(range(len(by_fold))) or {row["fold"] for row in held_out} != folds:
        raise UserError(f"{file} is damaged (folds); evaluate the run again")
    labels = np.array([row["label"] for row in rows])
    tested_groups, seen = groups_of(rows, split, "test", "scores.csv"), seen_groups(split)
    return {
        name: decide_crossval(
            column_of(held_out, name),
            [row["fold"] for row in held_out],
            groups,
            np.array([column_of(by_fold[fold], name) for fold in sorted(by_fold)]),
            labels,
            margin=margin,
            confidence=confidence,
            test_groups=tested_groups,
            seen=seen,
            trained=trained,
        )
        for name in score_columns(rows)
        if name in crossval[0]
    }
