"""Evaluation of thresholds on other images than those they were set on.

Both protocols place the threshold at the smallest of ``n`` abnormal scores that it is not
evaluated on. `calibration_bound` is exact for such a threshold, whatever the score: for
exchangeable images, the expected miss rate, 1 / (n + 1), does not depend on the method. A better
method has fewer false alarms, not fewer misses. A bound is valid for one score chosen in advance,
not for the best of several by their results.

Images of one group (of a patient, of a part, of equal content) are alike and count once. A group is
missed if one of its images is: the bounds are on the share of missed groups, which is not smaller
than the miss rate of an image drawn at random from a group drawn at random.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cyclegan_ad.metrics.bounds import calibration_bound
from cyclegan_ad.metrics.thresholds import check_scores, max_accuracy_threshold, zfn_threshold
from cyclegan_ad.text import counted

Floats = NDArray[np.float64]


def count_smaller_class(labels: ArrayLike, groups: Sequence[str]) -> int:
    """Count the groups of the class that has fewer of them.

    Args:
        labels: (N,) integer or bool, 0 normal, 1 abnormal.
        groups: N names, equal for images of equal content, e.g. the SHA-256 of the file.

    >>> count_smaller_class([0, 0, 1, 1, 1], ["a", "b", "c", "c", "c"])
    1
    """
    found = list(zip(np.asarray(labels).tolist(), groups, strict=True))
    return min(len({group for of, group in found if of == label}) for label in (0, 1))


def apply_margin(threshold: float, margin: float) -> float:
    """Lower a threshold by a fraction, in [0, 1), of its absolute value; 0 is unchanged.

    >>> apply_margin(8.0, 0.25)
    6.0
    """
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
    seen: Collection[str] = (),
) -> dict[str, Any]:
    """Evaluate each fold of the test images with thresholds set on the other folds.

    Args:
        scores: (N,) finite, any unit, higher is more abnormal.
        labels: (N,) integer or bool, 0 normal, 1 abnormal.
        groups: N names, e.g. the SHA-256 of the file; images of one group share a fold.
        folds: Number of folds, at least 2; reduced if a class has fewer groups.
        seed: Seed of the folds, which also depend on the groups and their labels, but not on the
            order of the images.
        margin: Fraction in [0, 1) by which a threshold is below the smallest abnormal score.
        confidence: Confidence level of the bound, in (0, 1).
        seen: Groups that have images outside the test set, which the run used: their images are
            tested, but are no evidence about new ones, and no bound counts them.

    Returns:
        Plain values: ``thresholds`` (one per fold), ``margin``, ``confidence``,
        ``calibration_abnormal`` and ``calibration_images`` (fewest abnormal groups, and images of
        them, that a threshold was set on), the result of `count_decisions` over all folds,
        ``miss_rate_bound`` (`calibration_bound`, for each threshold separately; 1 without such a
        group) and ``max_accuracy`` (each fold evaluated at the ACC threshold of the others).

    Raises:
        ValueError: If the inputs are inconsistent, a score is not finite, or a class has fewer than
            2 groups.
    """
    scores_, abnormal = check_scores(scores, labels)
    fold_of = _assign_folds(groups, abnormal, folds, seed)
    zfn, best, calibration = [], [], []
    is_new = np.array([group not in seen for group in groups])
    for fold in range(int(fold_of.max()) + 1):
        others = fold_of != fold
        zfn.append(apply_margin(zfn_threshold(scores_[others], abnormal[others]), margin))
        best.append(max_accuracy_threshold(scores_[others], abnormal[others]))
        set_on = np.flatnonzero(others & abnormal & is_new).tolist()
        calibration.append((len({groups[i] for i in set_on}), len(set_on)))
    counts = count_decisions(scores_ >= np.array(zfn)[fold_of], abnormal, groups, seen)
    decisions = _describe(zfn, *min(calibration), counts, margin, confidence)
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
    groups: Sequence[str] | None = None,
    seen: Collection[str] = (),
    trained: Collection[str] = (),
) -> dict[str, Any]:
    """Evaluate the test images with a threshold set on abnormal images kept out of training.

    Args:
        calibration_scores: (M,) finite scores of the calibration images, M >= 1.
        scores: (N,) finite scores of the test images.
        labels: (N,) integer or bool, 0 normal, 1 abnormal; both must occur.
        calibration_groups: M names, e.g. the SHA-256 of the file; each group counts once for the
            bound.
        margin: Fraction in [0, 1) by which the threshold is below the smallest score.
        confidence: Confidence level of the bound, in (0, 1).
        groups: N names of the groups of the test images; None if each is alone.
        seen: Groups that have images outside the test set, see `crossfit`.
        trained: Groups that have images which the model was fitted to: calibration images of these
            set the threshold, but no bound counts them.

    Returns:
        The same as `crossfit`, with one threshold, and ``max_accuracy`` None.

    Raises:
        ValueError: If the inputs are inconsistent, a score is not finite, or there is no
            calibration image.
    """
    kept = np.asarray(calibration_scores, dtype=np.float64)
    if kept.ndim != 1 or kept.size == 0 or not np.isfinite(kept).all():
        raise ValueError("invalid calibration_scores: expected one or more finite numbers")
    if len(calibration_groups) != kept.size:
        raise ValueError(
            f"{counted(len(calibration_groups), 'group')} but "
            f"{counted(kept.size, 'calibration score')}: expected as many"
        )
    scores_, abnormal = check_scores(scores, labels)
    new = [group for group in calibration_groups if group not in trained]
    threshold = apply_margin(float(kept.min()), margin)
    counts = count_decisions(scores_ >= threshold, abnormal, groups, seen)
    decisions = _describe([threshold], len(set(new)), len(new), counts, margin, confidence)
    return decisions | {"max_accuracy": None}


def count_decisions(
    called: NDArray[np.bool_],
    abnormal: NDArray[np.bool_],
    groups: Sequence[str] | None = None,
    seen: Collection[str] = (),
) -> dict[str, Any]:
    """Count the misses and false alarms of decisions.

    Args:
        called: (N,) whether each image was called abnormal.
        abnormal: (N,) whether it is; both must occur.
        groups: N names of the groups of the images; None if each is alone.
        seen: Groups that are not ``independent``, see `crossfit`.

    Returns:
        ``abnormal``, ``normal``, ``misses`` and ``false_alarms`` of the images, with ``miss_rate``,
        ``false_alarm_rate`` and ``accuracy``; and ``independent``, the same four numbers of groups
        that are not seen. A group is missed, or a false alarm, if one of its images is.
    """
    names = [str(i) for i in range(abnormal.size)] if groups is None else groups
    if len(names) != abnormal.size:
        raise ValueError(
            f"{counted(len(names), 'group')} but {counted(abnormal.size, 'test image')}: expected "
            "as many"
        )

    def of_groups(chosen: NDArray[np.bool_]) -> int:
        return len({names[i] for i in np.flatnonzero(chosen).tolist()}.difference(seen))

    missed, alarmed = abnormal & ~called, ~abnormal & called
    n_abnormal, misses = int(abnormal.sum()), int(missed.sum())
    n_normal, false_alarms = int((~abnormal).sum()), int(alarmed.sum())
    return {
        "abnormal": n_abnormal,
        "normal": n_normal,
        "misses": misses,
        "false_alarms": false_alarms,
        "miss_rate": misses / n_abnormal,
        "false_alarm_rate": false_alarms / n_normal,
        "accuracy": 1 - (misses + false_alarms) / abnormal.size,
        "independent": {
            "abnormal": of_groups(abnormal),
            "normal": of_groups(~abnormal),
            "misses": of_groups(missed),
            "false_alarms": of_groups(alarmed),
        },
    }


def _describe(
    thresholds: list[float],
    different: int,
    images: int,
    counts: dict[str, Any],
    margin: float,
    confidence: float,
) -> dict[str, Any]:
    return {
        "thresholds": thresholds,
        "margin": float(margin),
        "confidence": float(confidence),
        "calibration_abnormal": different,
        "calibration_images": images,
        **counts,
        "miss_rate_bound": calibration_bound(different, confidence) if different else 1.0,
    }


def _assign_folds(
    groups: Sequence[str], abnormal: NDArray[np.bool_], folds: int, seed: int
) -> NDArray[np.int64]:
    """Assign the groups to folds, spreading each class as evenly as its groups allow."""
    if len(groups) != abnormal.size:
        raise ValueError(
            f"{counted(len(groups), 'group')} but {counted(abnormal.size, 'score')}: expected as "
            "many groups"
        )
    members: dict[str, Counter[bool]] = {}  # group -> images of each class
    for group, is_abnormal in zip(groups, abnormal.tolist(), strict=True):
        members.setdefault(group, Counter())[is_abnormal] += 1
    for name, label in (("normal", False), ("abnormal", True)):
        different = sum(label in counts for counts in members.values())
        if different < 2:
            raise ValueError(
                f"invalid protocol crossfit for {counted(different, f'different {name} image')}: "
                "expected at least 2"
            )
        folds = min(folds, different)

    def order(group: str) -> tuple[int, int, bytes]:
        # Groups with both classes first, then large ones: the rest can balance the folds.
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
