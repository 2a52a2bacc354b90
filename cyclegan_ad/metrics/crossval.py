"""Decisions from all abnormal training images, each scored by a model that did not see it.

The abnormal training images are divided into K folds. ``s_k`` is the score of the model fitted
without fold ``k``. A test image ``x`` is normal only if, for every fold, it scores below all images
of the fold: ``s_k(x) < s_k(i)`` for every ``i`` in fold ``k``. It is the rule of cross-validation+
(CV+) at its smallest level: Barber, Candes, Ramdas and Tibshirani, "Predictive inference with the
jackknife+", Annals of Statistics 49(1), 2021. A model fitted without abnormal images saw none of
them: one fold, and split conformal prediction.

All bounds need exchangeable images: the abnormal ones that are tested resemble those that the
threshold is set on. They hold for one score chosen in advance.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cyclegan_ad.metrics.bounds import calibration_bound
from cyclegan_ad.metrics.protocols import apply_margin, count_decisions
from cyclegan_ad.metrics.thresholds import check_scores
from cyclegan_ad.text import counted

ONE_FOLD = "one fold"
TOURNAMENT = "tournament"


def deal_folds(groups: Sequence[str], folds: int, seed: int) -> list[int]:
    """Divide images into folds that hold as many groups each, as far as possible.

    Args:
        groups: N names, e.g. the SHA-256 of the file; images of one group share a fold.
        folds: Number of folds, from 1 to the number of groups.
        seed: Seed of the order of the groups, that of the SHA-256 of ``"<seed>:<group>"``.

    Returns:
        The fold of each image, from 0 to ``folds - 1``.

    Raises:
        ValueError: If there are more folds than groups, or none.

    Example:
        >>> deal_folds(["a", "b", "a", "c"], folds=3, seed=0)
        [0, 2, 0, 1]
    """
    different = set(groups)
    if not 1 <= folds <= len(different):
        raise ValueError(f"invalid folds={folds}: expected 1 to {len(different)}, the groups")

    def order(group: str) -> bytes:
        return hashlib.sha256(f"{seed}:{group}".encode(errors="surrogateescape")).digest()

    place = {group: number for number, group in enumerate(sorted(different, key=order))}
    return [place[group] % folds for group in groups]


def guaranteed_miss_rate(sizes: Sequence[int]) -> tuple[float, str]:
    """Bound the miss rate of the rule, averaged over draws of all images.

    Two bounds hold, whatever the score and the method, and the smaller one is returned.

    One fold: an image that is missed is below all ``m`` images of any fold. The model of this fold
    saw neither, so the ``m + 1`` scores are exchangeable (split conformal prediction), and the new
    image has the smallest with probability at most ``1 / (m + 1)``, for the largest fold.

    Tournament (the proof of Theorem 1 of Barber et al., without its slack of 2 at this level): let
    the new image be part of a further fold of ``m`` images, and for each pair of folds take the
    model fitted without both. ``i`` beats ``j`` of another fold if this model gives ``i`` the
    smaller score. The new image is missed if it beats all images of the other folds; of two images
    of different folds, at most one beats the other, so only the images of one fold can. Folds of
    equal size are exchangeable: with ``K`` of them in training and the further one, it is the new
    one with probability at most ``1 / (K + 1)``. ``K`` counts the folds of one size, as folds of
    different sizes are not exchangeable. With folds of one image the rate is ``1 / (n + 1)``.

    Theorem 4 of Barber et al. (CV+) at this level, ``2 / (n + 1) + min(2 (1 - 1/K) / (n/K + 1),
    (1 - K/n) / (K + 1))``, is never smaller, which a test verifies.

    Args:
        sizes: Number of abnormal training images (groups) in each fold, each at least 1. The model
            must not depend on the order of the images, nor the folds on their content.

    Returns:
        Fraction in (0, 1/2], and the bound it comes from, ``one fold`` or ``tournament``.

    Raises:
        ValueError: If there is no fold or an empty one.

    Example:
        >>> guaranteed_miss_rate([1] * 106)[1], round(guaranteed_miss_rate([1] * 106)[0], 4)
        ('tournament', 0.0093)
        >>> guaranteed_miss_rate([11] * 6 + [10] * 4)[1]  # 1 / 12, not 1 / 7
        'one fold'
    """
    if not sizes or min(sizes) < 1:
        raise ValueError(f"invalid sizes={list(sizes)}: expected one or more numbers >= 1")
    alike = max(Counter(sizes).values())
    return min((1 / (max(sizes) + 1), ONE_FOLD), (1 / (alike + 1), TOURNAMENT))


def confident_miss_rate(sizes: Sequence[int], confidence: float) -> float:
    """Bound the miss rate of the rule at a confidence level, as `calibration_bound` does.

    The rule misses no more than its largest fold alone, for which `calibration_bound` holds. Also,
    by Markov's inequality, the miss rate exceeds ``r / (1 - confidence)`` in at most the fraction
    ``1 - confidence`` of all draws, where ``r`` is `guaranteed_miss_rate`. The smaller one counts.

    Args:
        sizes: Number of abnormal training images (groups) in each fold.
        confidence: Confidence level in (0, 1): fraction of draws in which the bound holds.

    Returns:
        Fraction in (0, 1).

    Example:
        >>> [round(confident_miss_rate(sizes, 0.95), 3) for sizes in ([106], [1] * 106, [11] * 10)]
        [0.028, 0.187, 0.238]
    """
    rate, _ = guaranteed_miss_rate(sizes)
    return min(calibration_bound(max(sizes), confidence), rate / (1 - confidence))


def crossval(
    held_out: ArrayLike,
    fold_of: Sequence[int],
    groups: Sequence[str],
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    margin: float,
    confidence: float,
    test_groups: Sequence[str] | None = None,
    seen: Collection[str] = (),
    trained: Collection[str] = (),
) -> dict[str, Any]:
    """Evaluate the test images by the rule above.

    Args:
        held_out: (M,) finite, each abnormal training image's score by the model that did not see
            its fold, M >= 1.
        fold_of: (M,) its fold, from 0 to K - 1.
        groups: M names, e.g. the SHA-256 of the file; a group is in one fold and counts once.
        scores: (K, N) finite, the scores of the test images by the model of each fold.
        labels: (N,) integer or bool, 0 normal, 1 abnormal; both must occur.
        margin: Fraction in [0, 1) by which a threshold is below the smallest score of its fold.
        confidence: Confidence level of the bound, in (0, 1).
        test_groups: N names of the groups of the test images; None if each is alone.
        seen: Groups that have images outside the test set, see
            :func:`cyclegan_ad.metrics.protocols.crossfit`.
        trained: Groups that have normal images which the model of their own fold was fitted to; no
            bound counts them.

    Returns:
        Plain values as of :func:`cyclegan_ad.metrics.protocols.calibrated`, with ``thresholds``
        (one per fold, the smallest score of its images), ``calibration_abnormal`` (groups of all
        folds, ``n``), ``miss_rate_bound`` (`confident_miss_rate`), and ``folds`` (``K``),
        ``largest_fold`` (in groups), ``miss_rate_expected`` (``1 / (n + 1)``),
        ``miss_rate_guaranteed`` and ``guaranteed_by`` (`guaranteed_miss_rate`), and
        ``miss_rate_approximate``: the `calibration_bound` of ``n`` images, which holds exactly if
        the models of all folds are the same.

    Raises:
        ValueError: If the inputs are inconsistent, a score is not finite, a fold is empty, or a
            group is in two folds.

    Example:
        >>> of_folds = [[4.0, 2.5, 9.0], [6.0, 3.5, 8.0]]  # two folds, three test images
        >>> found = crossval(
        ...     [5.0, 3.0], [0, 1], ["a", "b"], of_folds, [0, 0, 1], margin=0.0, confidence=0.95
        ... )
        >>> found["thresholds"], found["misses"], found["false_alarms"]  # 6.0, 3.5 and 8.0 >= 3.0
        ([5.0, 3.0], 0, 2)
    """
    kept, tested = np.asarray(held_out, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    folds = np.asarray(fold_of, dtype=np.int64)
    if kept.ndim != 1 or kept.size == 0 or not np.isfinite(kept).all():
        raise ValueError("invalid held_out: expected one or more finite numbers")
    if not kept.size == folds.size == len(groups):
        raise ValueError(
            f"{counted(kept.size, 'score')}, {counted(folds.size, 'fold')} and "
            f"{counted(len(groups), 'group')} of training images: expected as many"
        )
    if tested.ndim != 2 or sorted(set(folds.tolist())) != list(range(len(tested))):
        raise ValueError(
            f"invalid folds {sorted(set(folds.tolist()))} for scores of shape {tested.shape}: "
            "expected 0 to K - 1 and (K, N)"
        )
    members: dict[str, int] = dict(zip(groups, folds.tolist(), strict=True))
    if any(members[group] != fold for group, fold in zip(groups, folds.tolist(), strict=True)):
        raise ValueError("invalid folds: a group is in two folds")
    abnormal, *_ = (check_scores(row, labels)[1] for row in tested)
    thresholds = [
        apply_margin(float(kept[folds == fold].min()), margin) for fold in range(len(tested))
    ]
    called = np.logical_or.reduce(tested >= np.array(thresholds)[:, None], axis=0)
    new = {group: fold for group, fold in members.items() if group not in trained}
    sizes = list(Counter(new.values()).values())
    rate, by = guaranteed_miss_rate(sizes) if sizes else (1.0, ONE_FOLD)
    return {
        "thresholds": thresholds,
        "margin": float(margin),
        "confidence": float(confidence),
        "calibration_abnormal": len(new),
        "calibration_images": sum(group in new for group in groups),
        **count_decisions(called, abnormal, test_groups, seen),
        "miss_rate_bound": confident_miss_rate(sizes, confidence) if sizes else 1.0,
        "folds": len(tested),
        "largest_fold": max(sizes, default=0),
        "miss_rate_expected": 1 / (len(new) + 1),
        "miss_rate_guaranteed": rate,
        "guaranteed_by": by,
        "miss_rate_approximate": calibration_bound(len(new), confidence) if new else 1.0,
        "max_accuracy": None,
    }
