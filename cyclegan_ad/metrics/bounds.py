"""Bounds on the miss rate: of a count on independent images, and of a calibrated threshold."""

from __future__ import annotations

import numpy as np


def miss_rate_upper_bound(misses: int, images: int, confidence: float = 0.95) -> float:
    """Bound the miss rate from misses counted on independent images (Clopper-Pearson, one-sided).

    It is the rate at which so few misses would have a probability of ``1 - confidence`` only. The
    threshold must not have been set on these images.

    Args:
        misses: abnormal images that passed as normal.
        images: abnormal images judged, at least 1.
        confidence: in (0, 1).

    Returns:
        Fraction in (0, 1]; 1 if every image was missed.

    Raises:
        ValueError: if a number is out of its range.

    Example:
        >>> round(miss_rate_upper_bound(0, 35), 4), round(miss_rate_upper_bound(2, 49), 4)
        (0.082, 0.123)
    """
    if images < 1 or not 0 <= misses <= images:
        raise ValueError(f"{misses} misses of {images} images are not possible")
    _check_confidence(confidence)
    if misses == images:
        return 1.0
    from scipy.special import betaincinv  # slow to load, and tables need only the words

    return float(betaincinv(misses + 1, images - misses, confidence))


def calibration_bound(images: int, confidence: float = 0.95) -> float:
    """Bound the future miss rate of a threshold at the smallest of ``images`` abnormal scores.

    A new abnormal image is missed if its score is below the threshold. At ``x``, the ``x``-quantile
    of abnormal scores, a threshold misses a fraction of at most ``x``; it lies above that only if
    all ``n`` independent scores do, which has the probability ``(1 - x)^n``. Setting this to
    ``1 - confidence`` gives ``x = 1 - (1 - confidence)^(1/n)``. For continuous scores that is
    exact, not an approximation. Equal scores make it conservative, as ``score >= threshold`` is not
    missed; so does a threshold below the smallest score. It equals `miss_rate_upper_bound` of 0
    misses, though the threshold was set on the very images: that they are not missed is no news,
    how low the smallest of them reaches is.

    Args:
        images: abnormal images the threshold was set on, drawn independently of each other, of the
            training and like future ones; at least 1.
        confidence: in (0, 1): share of such calibrations in which the bound holds.

    Returns:
        Fraction in (0, 1).

    Raises:
        ValueError: if a number is out of its range.

    Example:
        >>> [round(calibration_bound(images), 4) for images in (1, 35, 299)]
        [0.95, 0.082, 0.01]
    """
    if images < 1:
        raise ValueError(f"a threshold set on {images} images supports no bound")
    _check_confidence(confidence)
    return float(-np.expm1(np.log1p(-confidence) / images))


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"the confidence must be above 0 and below 1, not {confidence}")
