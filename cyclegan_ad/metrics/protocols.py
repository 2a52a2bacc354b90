"""Thresholds judged on other images than those they were set on, and what that supports.

Both honest protocols place the threshold at the smallest score of abnormal images that it is not
judged on. `calibration_bound` is exact for such a threshold whatever the score: for images drawn
alike, how many misses to expect (one in ``n + 1``) depends on the number ``n`` of those images
alone. A better method shows in fewer false alarms, not in fewer misses. A bound is for one score
chosen beforehand: choosing the best of several by their results voids it.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cyclegan_ad.metrics.bounds import calibration_bound
from cyclegan_ad.metrics.thresholds import (
    check_scores,
    max_accuracy_threshold,
    zfn_threshold,
)

Floats = NDArray[np.float64]


def fewest_groups(labels: ArrayLike, groups: Sequence[str]) -> int:
    """Count the different images of the class that has fewer of them.

    Args:
        labels: (N,) integer or bool, 0 normal, 1 abnormal.
        groups: N names, such as the SHA-256 of the file.

    >>> fewest_groups([0, 0, 1, 1, 1], ["a", "b", "c", "c", "c"])
    1
    """
    found = list(zip(np.asarray(labels).tolist(), groups, strict=True))
    return min(len({group for of, group in found if of == label}) for label in (0, 1))


def apply_margin(threshold: float, margin: float) -> float:
    """Lower a threshold by a part of its size; one of 0 stays where it is.

    Args:
        threshold: finite, in the unit of the scores.
        margin: in [0, 1); 0.05 is 5 % below.

    Raises:
        ValueError: if the threshold is not finite or the margin outside [0, 1).

    Example:
        >>> apply_margin(8.0, 0.25)
        6.0
    """
    if not math.isfinite(threshold):
        raise ValueError(f"the threshold must be finite, not {threshold}")
    if not 0 <= margin < 1:
        raise ValueError(f"the margin must be at least 0 and below 1, not {margin}")
    return threshold - margin * abs(threshold)


def crossfit(
    scores: ArrayLike,
    labels: ArrayLike,
    groups: Sequence[str],
    *,
    folds: int,
    seed: int,
    margin: float,
    confidence: float,
) -> dict[str, Any]:
    """Judge each fold of the test images with thresholds set on the other folds.

    Args:
        scores: (N,) finite, any unit, higher is more abnormal.
        labels: (N,) integer or bool, 0 normal, 1 abnormal.
        groups: N names; images of one name, such as the SHA-256 of the file, share a fold.
        folds: at least 2; fewer are made where a class has fewer groups.
        seed: of the folds, which depend on it, on the groups and their labels, not on the order of
            the images.
        margin: part of a threshold, in [0, 1), by which it lies below the smallest abnormal score.
        confidence: of the bound, in (0, 1).

    Returns:
        Plain values: ``thresholds`` (one a fold), ``margin``, ``confidence``,
        ``calibration_abnormal`` (the fewest abnormal groups that a threshold was set on),
        ``abnormal``, ``normal``, ``misses``, ``false_alarms``, ``miss_rate``,
        ``false_alarm_rate``, ``accuracy`` (counts and fractions over all folds),
        ``miss_rate_bound`` (`calibration_bound`, for each threshold by itself) and
        ``max_accuracy`` (each fold judged at the ACC threshold of the others).

    Raises:
        ValueError: if the inputs do not fit together, a score is not finite, a class has fewer
            than 2 groups, or a setting is out of its range.
    """
    scores_, abnormal = check_scores(scores, labels)
    fold_of = _assign_folds(groups, abnormal, folds, seed)
    zfn, best, calibration = [], [], []
    for fold in range(int(fold_of.max()) + 1):
        others = fold_of != fold
        zfn.append(apply_margin(zfn_threshold(scores_[others], abnormal[others]), margin))
        best.append(max_accuracy_threshold(scores_[others], abnormal[others]))
        calibration.append(len({groups[i] for i in np.flatnonzero(others & abnormal).tolist()}))
    decisions = _judge(scores_, abnormal, zfn, fold_of, min(calibration), margin, confidence)
    right = (scores_ >= np.array(best)[fold_of]) == abnormal
    return decisions | {"max_accuracy": int(right.sum()) / right.size}


def calibrated(
    calibration_scores: ArrayLike,
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    calibration_groups: Sequence[str],
    margin: float,
    confidence: float,
) -> dict[str, Any]:
    """Judge the test images with a threshold set on abnormal images kept out of training.

    Args:
        calibration_scores: (M,) finite, M >= 1, of the abnormal images kept out.
        scores: (N,) finite, of the test images.
        labels: (N,) integer or bool, 0 normal, 1 abnormal; both must occur.
        calibration_groups: M names, such as the SHA-256 of the file: images of one name count once
            for the bound.
        margin: part of the threshold, in [0, 1), by which it lies below the smallest score.
        confidence: of the bound, in (0, 1).

    Returns:
        As `crossfit`, with one threshold, and ``max_accuracy`` None.

    Raises:
        ValueError: if the inputs do not fit together, a score is not finite, there is no
            calibration image, or a setting is out of its range.
    """
    kept = np.asarray(calibration_scores, dtype=np.float64)
    if kept.ndim != 1 or kept.size == 0 or not np.isfinite(kept).all():
        raise ValueError("the calibration scores must be a list of one or more finite numbers")
    if len(calibration_groups) != kept.size:
        raise ValueError(f"{len(calibration_groups)} groups for {kept.size} calibration scores")
    scores_, abnormal = check_scores(scores, labels)
    different = len(set(calibration_groups))
    threshold = apply_margin(float(kept.min()), margin)
    one_fold = np.zeros(scores_.size, dtype=np.int64)
    decisions = _judge(scores_, abnormal, [threshold], one_fold, different, margin, confidence)
    return decisions | {"max_accuracy": None}


def _judge(
    scores: Floats,
    abnormal: NDArray[np.bool_],
    thresholds: list[float],
    fold_of: NDArray[np.int64],
    calibration_abnormal: int,
    margin: float,
    confidence: float,
) -> dict[str, Any]:
    called = scores >= np.array(thresholds)[fold_of]
    n_abnormal = int(abnormal.sum())
    n_normal = abnormal.size - n_abnormal
    misses, false_alarms = int((abnormal & ~called).sum()), int((~abnormal & called).sum())
    return {
        "thresholds": thresholds,
        "margin": float(margin),
        "confidence": float(confidence),
        "calibration_abnormal": calibration_abnormal,
        "abnormal": n_abnormal,
        "normal": n_normal,
        "misses": misses,
        "false_alarms": false_alarms,
        "miss_rate": misses / n_abnormal,
        "false_alarm_rate": false_alarms / n_normal,
        "accuracy": 1 - (misses + false_alarms) / abnormal.size,
        "miss_rate_bound": calibration_bound(calibration_abnormal, confidence),
    }


def _assign_folds(
    groups: Sequence[str], abnormal: NDArray[np.bool_], folds: int, seed: int
) -> NDArray[np.int64]:
    """Deal the groups to folds, so that each class is spread as evenly as its groups allow."""
    if len(groups) != abnormal.size:
        raise ValueError(f"{len(groups)} groups for {abnormal.size} scores")
    if folds < 2:
        raise ValueError(f"folds must be at least 2, not {folds}")
    members: dict[str, Counter[bool]] = {}  # group -> images of each class
    for group, is_abnormal in zip(groups, abnormal.tolist(), strict=True):
        members.setdefault(group, Counter())[is_abnormal] += 1
    for name, label in (("normal", False), ("abnormal", True)):
        different = sum(label in counts for counts in members.values())
        if different < 2:
            raise ValueError(f"crossfit needs 2 different {name} images or more to test, not 1")
        folds = min(folds, different)

    def order(group: str) -> tuple[int, int, bytes]:
        # Groups of both classes, then large ones, first: the others can even out what they leave.
        counts = members[group]
        drawn = hashlib.sha256(f"{seed}:{group}".encode(errors="surrogateescape")).digest()
        return -len(counts), -counts.total(), drawn

    dealt: list[Counter[bool]] = [Counter() for _ in range(folds)]
    fold_of: dict[str, int] = {}
    for group in sorted(members, key=order):
        counts = members[group]
        fold_of[group] = min(range(folds), key=lambda fold: sum(dealt[fold][c] for c in counts))
        dealt[fold_of[group]] += counts
    return np.array([fold_of[group] for group in groups])
