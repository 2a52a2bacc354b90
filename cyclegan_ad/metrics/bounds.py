"""Upper bounds on the rates of misses and false alarms, from counts or from a set threshold."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def miss_rate_upper_bound(misses: int, images: int, confidence: float = 0.95) -> float:
    """Bound the miss rate from misses counted on independent images (Clopper-Pearson, one-sided).

    At this rate, the probability of so few misses is ``1 - confidence``. The threshold must not
    have been set on these images.

    Args:
        misses: Number of missed abnormal images.
        images: Number of abnormal images, at least 1.
        confidence: Confidence level in (0, 1).

    Returns:
        Fraction in (0, 1]; 1 if every image was missed.

    Raises:
        ValueError: If a count is out of range.

    Example:
        >>> round(miss_rate_upper_bound(0, 35), 4), round(miss_rate_upper_bound(2, 49), 4)
        (0.082, 0.123)
    """
    if images < 1 or not 0 <= misses <= images:
        raise ValueError(
            f"invalid misses={misses} for images={images}: expected 0 <= misses <= images >= 1"
        )
    if misses == images:
        return 1.0
    from scipy.special import betaincinv  # slow to import, and not needed for tables

    return float(betaincinv(misses + 1, images - misses, confidence))


def calibration_bound(images: int, confidence: float = 0.95) -> float:
    """Bound the future miss rate of a threshold at the smallest of ``images`` abnormal scores.

    A new abnormal image is missed if its score is below the threshold. A threshold up to the
    ``x``-quantile of abnormal scores misses at most a fraction ``x``. The threshold exceeds this
    quantile only if all ``n`` independent scores do, with probability ``(1 - x)^n``. Setting this
    to ``1 - confidence`` gives ``x = 1 - (1 - confidence)^(1/n)``, which is exact for continuous
    scores, and conservative for ties and for a threshold below the smallest score. The value equals
    `miss_rate_upper_bound` of 0 misses.

    Args:
        images: Number of abnormal images that the threshold was set on, at least 1; independent of
            each other and of the training, from the same distribution as future ones.
        confidence: Confidence level in (0, 1): fraction of such calibrations in which the bound
            holds.

    Returns:
        Fraction in (0, 1).

    Raises:
        ValueError: If there is no image.

    Example:
        >>> [round(calibration_bound(images), 4) for images in (1, 35, 299)]
        [0.95, 0.082, 0.01]
    """
    if images < 1:
        raise ValueError(f"invalid images={images}: expected at least 1")
    return float(-np.expm1(np.log1p(-confidence) / images))


def false_alarm_bound(rank: int, images: int, confidence: float = 0.95) -> float:
    """Bound the future false-alarm rate of a threshold just above the ``rank``-th largest score.

    A new normal image raises a false alarm if its score exceeds the ``k``-th largest of ``n``
    independent normal scores. For continuous scores this rate is Beta(k, n - k + 1) distributed,
    whatever the distribution of the scores (Wilks' tolerance limit): its quantile at ``confidence``
    is the bound. It is conservative for ties, and equals `miss_rate_upper_bound` of ``k - 1``
    events: the false alarms among the ``n`` images themselves.

    Args:
        rank: ``k``, from 1 (just above the largest score) to ``images``.
        images: Number ``n`` of normal images that the threshold was set on; independent of each
            other and of the training, from the same distribution as future ones.
        confidence: Confidence level in (0, 1).

    Returns:
        Fraction in (0, 1).

    Raises:
        ValueError: If the rank is out of range.

    Example:
        >>> round(false_alarm_bound(1, 59), 4), round(false_alarm_bound(2, 40), 4)
        (0.0495, 0.1132)
    """
    if not 1 <= rank <= images:
        raise ValueError(f"invalid rank={rank} for images={images}: expected 1 <= rank <= images")
    return miss_rate_upper_bound(rank - 1, images, confidence)


def rate_bounds(
    images: int, confidence: float = 0.95, *, any_threshold: bool = False
) -> NDArray[np.float64]:
    """Bound a rate for every possible count of events, see `miss_rate_upper_bound`.

    Each bound is valid for a rule that was fixed before the scores were seen. For a threshold that
    somebody picks by looking at the scores, all ``n`` counts below ``n`` must hold at once: each is
    bounded with confidence ``1 - (1 - confidence) / n`` (Bonferroni). A threshold with ``k`` events
    does not exceed the ``k + 1``-th smallest score, whose rate is Beta(k + 1, n - k) distributed.

    Args:
        images: Number ``n`` of images, at least 1.
        confidence: Confidence level in (0, 1).
        any_threshold: Whether the bounds hold for all thresholds at once.

    Returns:
        (n + 1,) fractions in (0, 1], increasing: entry ``k`` is the bound after ``k`` events.

    Raises:
        ValueError: If there is no image.

    Example:
        >>> rate_bounds(3).round(3).tolist()
        [0.632, 0.865, 0.983, 1.0]
        >>> rate_bounds(3, any_threshold=True).round(3).tolist()
        [0.745, 0.923, 0.994, 1.0]
    """
    if images < 1:
        raise ValueError(f"invalid images={images}: expected at least 1")
    from scipy.special import betaincinv

    events = np.arange(images)
    level = 1 - (1 - confidence) / images if any_threshold else confidence
    return np.append(betaincinv(events + 1, images - events, level), 1.0)


def allowed_events(images: int, rate: float, confidence: float = 0.95) -> int:
    """Find the largest count of events whose bound is at most ``rate``.

    It is fixed by the number of images, before any score is seen. A threshold at the ``k + 1``-th
    smallest of ``n`` abnormal scores has then a miss rate of at most ``rate`` with this confidence:
    the rate is Beta(k + 1, n - k) distributed for continuous scores, whatever their distribution
    (Wilks, "Determination of sample sizes for setting tolerance limits", 1941).

    Args:
        images: Number of images, at least 1.
        rate: Fraction in (0, 1).
        confidence: Confidence level in (0, 1).

    Returns:
        The count; -1 if not even 0 events support the rate.

    Example:
        >>> [allowed_events(images, 0.05) for images in (58, 59, 92, 93)]
        [-1, 0, 0, 1]
    """
    return int(np.searchsorted(rate_bounds(images, confidence), rate, side="right")) - 1


def images_needed(rate: float, confidence: float = 0.95) -> int:
    """Return the smallest number of images of which no event bounds the rate at ``rate``.

    ``n >= log(1 - confidence) / log(1 - rate)``, see `calibration_bound`.

    >>> [images_needed(rate) for rate in (0.05, 0.01, 0.001)]
    [59, 299, 2995]
    """
    images = max(1, math.floor(math.log1p(-confidence) / math.log1p(-rate)))
    while calibration_bound(images, confidence) > rate:
        images += 1
    return images
