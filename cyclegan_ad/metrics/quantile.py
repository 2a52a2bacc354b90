"""A threshold from normal images alone: a quantile of their scores, with its false-alarm bound.

It says nothing about misses, as there are no abnormal images. The bound holds whatever the score
is, for one score chosen in advance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cyclegan_ad.metrics.bounds import false_alarm_bound
from cyclegan_ad.text import counted


def quantile(
    scores: ArrayLike, groups: Sequence[str], *, false_alarm_rate: float, confidence: float
) -> dict[str, Any]:
    """Set a threshold at a quantile of the scores of normal images kept out of training.

    It lies just above the ``k``-th largest score, for the largest ``k`` with
    ``k / (n + 1) <= false_alarm_rate``, the expected rate of false alarms on similar images.

    Args:
        scores: (N,) finite scores of normal images, any unit, higher is more abnormal.
        groups: N names, e.g. the SHA-256 of the file; each group counts once, with its highest
            score.
        false_alarm_rate: The rate asked for, in (0, 1).
        confidence: Confidence level of the bound, in (0, 1).

    Returns:
        Plain values: ``thresholds`` (one), ``set_on``, ``normal`` (images that it was set on) and
        ``different`` (groups of them, ``n``), ``abnormal`` (0), ``rank`` (``k``),
        ``false_alarm_rate_target``, ``false_alarm_rate_expected`` (``k / (n + 1)``),
        ``false_alarm_rate_bound`` (`false_alarm_bound`) and ``confidence``.

    Raises:
        ValueError: If the inputs are inconsistent, a score is not finite, or there are too few
            groups for this rate.

    Example:
        >>> scores, groups = [3.0, 9.0, 5.0, 7.0], ["a", "b", "c", "d"]
        >>> found = quantile(scores, groups, false_alarm_rate=0.4, confidence=0.95)
        >>> found["rank"], found["false_alarm_rate_expected"]
        (2, 0.4)
        >>> 7.0 < found["thresholds"][0] < 7.0001
        True
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError("invalid scores: expected one or more finite numbers")
    highest: dict[str, float] = {}
    for group, score in zip(groups, values.tolist(), strict=True):
        highest[group] = max(score, highest.get(group, score))
    different = len(highest)
    rank = false_alarm_rank(different, false_alarm_rate)
    if rank == 0:
        raise ValueError(
            f"{counted(different, 'different normal image')} for a false-alarm rate of "
            f"{false_alarm_rate:g}: expected at least {least_images(false_alarm_rate)}"
        )
    limit = sorted(highest.values(), reverse=True)[rank - 1]
    return {
        "thresholds": [float(np.nextafter(limit, np.inf))],
        "set_on": "normal images kept out of training",
        "normal": int(values.size),
        "different": different,
        "abnormal": 0,
        "rank": rank,
        "false_alarm_rate_target": float(false_alarm_rate),
        "false_alarm_rate_expected": rank / (different + 1),
        "false_alarm_rate_bound": false_alarm_bound(rank, different, confidence),
        "confidence": float(confidence),
    }


def false_alarm_rank(images: int, rate: float) -> int:
    """Find the lowest threshold whose expected false-alarm rate is at most ``rate``.

    Just above the ``k``-th largest of ``n`` exchangeable normal scores, the expected rate is
    ``k / (n + 1)``.

    Args:
        images: Number ``n`` of normal images.
        rate: Fraction in (0, 1).

    Returns:
        ``k``; 0 if even the largest score is too low, for fewer than ``1 / rate - 1`` images.

    Example:
        >>> [false_alarm_rank(images, 0.05) for images in (18, 19, 39, 40)]
        [0, 1, 2, 2]
    """
    return int(rate * (images + 1) * (1 + 1e-12))  # 0.29 * 100 is below 29 in floating point


def least_images(false_alarm_rate: float) -> int:
    """Return the smallest number of normal images that supports a false-alarm rate on average.

    >>> least_images(0.05), least_images(0.01)
    (19, 99)
    """
    images = max(1, int(1 / false_alarm_rate) - 1)
    while false_alarm_rank(images, false_alarm_rate) == 0:
        images += 1
    return images
