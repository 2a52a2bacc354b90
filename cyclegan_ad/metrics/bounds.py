"""Upper bounds on the miss rate, from counted misses or from a calibrated threshold."""

from __future__ import annotations

import numpy as np


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
