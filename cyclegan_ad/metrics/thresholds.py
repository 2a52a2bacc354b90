"""Thresholds on anomaly scores and the metrics of their decisions.

An image is classified as abnormal if and only if ``score >= threshold``. All functions take

- ``scores``: (N,) real, any unit, higher is more abnormal; computed in float64.
- ``labels``: (N,) integer or bool, 0 normal, 1 abnormal; both must occur.

Thresholds are in units of the scores. All functions raise ``ValueError`` if the inputs are
inconsistent, a class is empty or a score is not finite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cyclegan_ad.text import counted

PASSED = {"pg0": 0, "pg2": 2, "pg5": 5}
"""Names of `passed_normal` in `summarise` -> share of missed abnormal images, in percent."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def zfn_threshold(scores: ArrayLike, labels: ArrayLike) -> float:
    """Find the zero-false-negative threshold: the smallest score of an abnormal image.

    It is the largest threshold at which no abnormal image is missed.

    Example:
        >>> zfn_threshold([1.0, 2.0, 3.0, 4.0], [0, 1, 0, 1])
        2.0
    """
    scores_, abnormal = check_scores(scores, labels)
    return float(scores_[abnormal].min())


def accuracy_at(scores: ArrayLike, labels: ArrayLike, threshold: float) -> float:
    """Compute the accuracy, in [0, 1], at a finite threshold.

    Example:
        >>> accuracy_at([1.0, 2.0, 3.0, 4.0], [0, 1, 0, 1], threshold=2.0)
        0.75
    """
    scores_, abnormal = check_scores(scores, labels)
    if not np.isfinite(threshold):
        raise ValueError(f"invalid threshold={threshold}: expected a finite number")
    return int(np.count_nonzero((scores_ >= threshold) == abnormal)) / scores_.size


def max_accuracy_threshold(scores: ArrayLike, labels: ArrayLike) -> float:
    """Find the ACC threshold: the score with the highest accuracy as threshold.

    The candidates are the scores themselves; of several equally good ones the smallest is used.

    Example:
        >>> max_accuracy_threshold([1.0, 2.0, 3.0, 4.0], [0, 1, 0, 1])  # 2 and 4: both accuracy 3/4
        2.0
    """
    scores_, abnormal = check_scores(scores, labels)
    candidates, group = np.unique(scores_, return_inverse=True)
    abnormal_in = np.bincount(group[abnormal], minlength=candidates.size)
    normal_in = np.bincount(group[~abnormal], minlength=candidates.size)
    found = np.cumsum(abnormal_in[::-1])[::-1]  # abnormal images with a score >= the candidate
    passed = np.cumsum(normal_in) - normal_in  # normal images with a score < the candidate
    return float(candidates[np.argmax(found + passed)])


def passed_normal(scores: ArrayLike, labels: ArrayLike, missed_percent: int) -> float:
    """Compute the share of normal images that pass if some abnormal ones may be missed (PGn).

    The threshold is the largest one at which at most ``missed_percent`` of the abnormal images are
    missed; a normal image passes if its score is below it ("presorted good", Baitieva et al.,
    "Beyond Academic Benchmarks", CVPR Workshops 2025). With as many images of both classes, the ZFN
    accuracy is ``(1 + passed_normal(..., 0)) / 2``.

    Args:
        scores: See the module.
        labels: See the module.
        missed_percent: Integer from 0 to 99.

    Returns:
        Share in [0, 1].

    Example:
        >>> scores, labels = [1.0, 2.0, 3.0, 4.0], [0, 1, 0, 1]
        >>> passed_normal(scores, labels, 0), passed_normal(scores, labels, 50)
        (0.5, 1.0)
    """
    scores_, abnormal = check_scores(scores, labels)
    if not 0 <= missed_percent < 100:
        raise ValueError(f"invalid missed_percent={missed_percent}: expected 0 to 99")
    defects = np.sort(scores_[abnormal])
    threshold = defects[missed_percent * defects.size // 100]  # integers: no rounded share
    return int(np.count_nonzero(scores_[~abnormal] < threshold)) / int(np.count_nonzero(~abnormal))


def auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Compute the area under the ROC curve from average ranks (Mann-Whitney), in [0, 1].

    It is the probability that an abnormal image has a higher score than a normal one, with ties
    counting one half. The scores need not be in [0, 1].

    Example:
        >>> auroc([1.0, 2.0, 2.0, 4.0], [0, 0, 1, 1])
        0.875
    """
    scores_, abnormal = check_scores(scores, labels)
    _, group, counts = np.unique(scores_, return_inverse=True, return_counts=True)
    last_rank = np.cumsum(counts)  # ranks start at 1
    average_rank = last_rank - (counts - 1) / 2
    n_abnormal = int(np.count_nonzero(abnormal))
    n_normal = scores_.size - n_abnormal
    rank_sum = float(average_rank[group[abnormal]].sum())
    return (rank_sum - n_abnormal * (n_abnormal + 1) / 2) / (n_abnormal * n_normal)


def auroc_within(scores: ArrayLike, labels: ArrayLike, folds: ArrayLike) -> float:
    """Compute the AUROC of the pairs of a normal and an abnormal image within one fold, in [0, 1].

    For scores whose scale differs between folds. Folds with images of one class have no pairs.

    Args:
        scores: (N,) finite.
        labels: (N,) 0 normal, 1 abnormal.
        folds: (N,) fold of each image.

    Raises:
        ValueError: If no fold has images of both classes.

    Example:
        >>> auroc_within([1.0, 2.0, 11.0, 12.0], [0, 1, 0, 1], [0, 0, 1, 1])
        1.0
        >>> auroc([1.0, 2.0, 11.0, 12.0], [0, 1, 0, 1])
        0.75
    """
    scores_, abnormal = check_scores(scores, labels)
    in_order, pairs = 0.0, 0
    for fold in np.unique(folds):
        here = np.asarray(folds) == fold
        count = int(np.count_nonzero(abnormal[here])) * int(np.count_nonzero(~abnormal[here]))
        if count:
            in_order += auroc(scores_[here], abnormal[here]) * count
            pairs += count
    if not pairs:
        raise ValueError("no fold has images of both classes")
    return in_order / pairs


def summarise(scores: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Compute thresholds, accuracies, shares passed and the AUROC of one set of images.

    The thresholds are set on the same images that they are evaluated on, as in the paper, which
    calls the accuracies an overestimate (Sec. 4).

    Returns:
        ``zfn_threshold`` and ``max_accuracy_threshold`` in units of the scores;
        ``zfn_accuracy``, ``max_accuracy``, ``auroc``, ``pg0``, ``pg2`` and ``pg5``
        (`passed_normal`) in [0, 1].
    """
    zfn = zfn_threshold(scores, labels)
    best = max_accuracy_threshold(scores, labels)
    return {
        "zfn_threshold": zfn,
        "zfn_accuracy": accuracy_at(scores, labels, zfn),
        "max_accuracy": accuracy_at(scores, labels, best),
        "max_accuracy_threshold": best,
        "auroc": auroc(scores, labels),
        **{name: passed_normal(scores, labels, percent) for name, percent in PASSED.items()},
    }


def undefined_summary() -> dict[str, None]:
    """Return the entries of `summarise` for images of one class, for which none is defined."""
    names = ("zfn_threshold", "zfn_accuracy", "max_accuracy", "max_accuracy_threshold", "auroc")
    return dict.fromkeys((*names, *PASSED))


def critical_images(scores: ArrayLike, labels: ArrayLike, count: int) -> list[int]:
    """Find the abnormal images with the lowest and the normal ones with the highest scores.

    Returns:
        Positions in ``scores`` of up to ``count`` images per class: the abnormal ones in ascending
        order of score, then the normal ones in descending order; ties in the order of ``scores``.
        Without abnormal images, the normal ones only.

    Example:
        >>> critical_images([5.0, 1.0, 9.0, 2.0], [1, 0, 1, 0], count=1)
        [0, 3]
    """
    scores_, is_abnormal = check_scores(scores, labels, need_abnormal=False)
    abnormal, normal = np.flatnonzero(is_abnormal), np.flatnonzero(~is_abnormal)
    lowest = abnormal[np.argsort(scores_[abnormal], kind="stable")][:count]
    highest = normal[np.argsort(-scores_[normal], kind="stable")][:count]
    return [int(position) for position in (*lowest, *highest)]


def zfn_accuracy_without(scores: ArrayLike, labels: ArrayLike, position: int) -> float:
    """Compute the ZFN accuracy, in [0, 1], without the image at a position.

    Both threshold and accuracy are those of the other N - 1 images.

    Example:
        >>> zfn_accuracy_without([1.0, 2.0, 3.0, 4.0], [1, 0, 0, 1], position=0)
        1.0
    """
    values = np.delete(np.asarray(scores, dtype=np.float64), position)
    classes = np.delete(np.asarray(labels), position)
    return accuracy_at(values, classes, zfn_threshold(values, classes))


def check_scores(
    scores: ArrayLike, labels: ArrayLike, *, need_abnormal: bool = True
) -> tuple[Floats, Bools]:
    """Check scores and labels; return (N,) float64 scores and (N,) bool, True for abnormal."""
    scores_ = np.asarray(scores, dtype=np.float64)
    labels_: NDArray[Any] = np.asarray(labels)
    if scores_.ndim != 1 or scores_.shape != labels_.shape:
        raise ValueError(
            f"invalid scores and labels of shapes {scores_.shape} and {labels_.shape}: expected "
            "(N,) for both"
        )
    abnormal = labels_ == 1
    if not np.all(abnormal | (labels_ == 0)):
        raise ValueError("invalid labels: expected 0 (normal) or 1 (abnormal)")
    if abnormal.all() or (need_abnormal and not abnormal.any()):
        missing = "normal" if abnormal.any() else "abnormal"
        raise ValueError(f"no {missing} image among {counted(scores_.size, 'score')}")
    if not np.isfinite(scores_).all():
        positions = np.flatnonzero(~np.isfinite(scores_))
        raise ValueError(
            f"{positions.size} of {counted(scores_.size, 'score')} not finite, the first at "
            f"position {positions[0]}"
        )
    return scores_, abnormal
