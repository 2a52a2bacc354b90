"""A new threshold from labelled images: for no miss, a miss rate, or a budget of false alarms.

Which of the sorted scores is the threshold follows from the number of images alone, before any
score is seen; this is what makes the bounds valid (Wilks' tolerance limits, see
:func:`.bounds.allowed_events`). They hold for images that are drawn at random from those to come:
independent of each other and of the training, and not picked because a decision about them was
wrong. Lowering the threshold afterwards, below a limit that these images did not set, keeps the
bound on the misses: of two thresholds the lower one misses less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cyclegan_ad.metrics.bounds import (
    allowed_events,
    calibration_bound,
    images_needed,
    miss_rate_upper_bound,
)
from cyclegan_ad.metrics.quantile import false_alarm_rank, least_images
from cyclegan_ad.text import counted

Floats = NDArray[np.float64]
Zone = Literal["pass", "review", "reject"]
ZONES: tuple[Zone, ...] = ("pass", "review", "reject")


@dataclass(frozen=True)
class Aim:
    """What a threshold is chosen for.

    Attributes:
        name: ``zero_misses``: none of the abnormal images given is missed. ``miss_rate``: the
            highest threshold with a miss rate of at most ``rate``, with this confidence.
            ``false_alarm_rate``: the lowest threshold with an expected rate of false alarms of at
            most ``rate``; the misses are what they are.
        rate: Fraction in (0, 1); None for ``zero_misses``.
        confidence: Confidence level of the bounds, in (0, 1).
    """

    name: Literal["zero_misses", "miss_rate", "false_alarm_rate"]
    rate: float | None
    confidence: float


@dataclass(frozen=True)
class Choice:
    """A threshold and what it supports; the rates are fractions in [0, 1].

    Attributes:
        threshold: Scores at or above it are abnormal.
        position: Position of the image that sets it, in the scores of its class.
        miss_rate_bound: Upper bound on the miss rate of images like the abnormal ones; None
            without abnormal images.
        miss_rate_expected: Miss rate on average over such choices; None likewise, and for a
            threshold that no abnormal image sets.
    """

    threshold: float
    position: int
    miss_rate_bound: float | None
    miss_rate_expected: float | None


def explain_too_few(aim: Aim, abnormal: int, normal: int) -> str | None:
    """Say that there are too few different images for an aim, and how many are needed.

    Args:
        aim: The aim.
        abnormal: Number of different abnormal images.
        normal: Number of different normal images.

    Returns:
        The beginning of a message; None if there are enough.

    Example:
        >>> explain_too_few(Aim("miss_rate", 0.05, 0.95), 40, 0).partition(" are ")[2]
        'too few for miss_rate=0.05 at 95 % confidence: 59 are needed'
    """
    of, found, needed, confident = "abnormal", abnormal, 1, ""
    if aim.name == "miss_rate":
        assert aim.rate is not None
        needed = images_needed(aim.rate, aim.confidence)
        confident = f" at {100 * aim.confidence:g} % confidence"
    elif aim.name == "false_alarm_rate":
        assert aim.rate is not None
        of, found, needed = "normal", normal, least_images(aim.rate)
    if found >= needed:
        return None
    images = counted(found, f"different {of} image is", f"different {of} images are")
    if aim.rate is None:
        return f"{images} too few to set a threshold without misses: 1 is needed"
    return f"{images} too few for {aim.name}={aim.rate:g}{confident}: {needed} are needed"


def choose_threshold(abnormal: ArrayLike, normal: ArrayLike, aim: Aim) -> Choice:
    """Choose the threshold of an aim.

    - ``zero_misses``: the smallest of the ``n`` abnormal scores; the miss rate is
      Beta(1, n) distributed, on average ``1 / (n + 1)``.
    - ``miss_rate``: the ``k + 1``-th smallest, for the largest ``k`` of which the bound is at most
      the rate asked for (:func:`.bounds.allowed_events`); Beta(k + 1, n - k), on average
      ``(k + 1) / (n + 1)``.
    - ``false_alarm_rate``: just above the ``k``-th largest normal score, for the largest ``k`` with
      ``k / (m + 1)`` at most the rate (:func:`.quantile.false_alarm_rank`). No abnormal score
      enters, so that the bound is that of the misses counted on the abnormal images (Clopper and
      Pearson, :func:`.bounds.miss_rate_upper_bound`), and what is expected is not known.

    Args:
        abnormal: (n,) finite scores of different abnormal images, higher is more abnormal.
        normal: (m,) likewise of normal ones.
        aim: The aim.

    Raises:
        ValueError: If a score is not finite, or there are too few images (`explain_too_few`).

    Example:
        >>> choose_threshold([4.0, 2.0, 8.0], [], Aim("zero_misses", None, 0.95)).threshold
        2.0
    """
    defects, good = _scores(abnormal), _scores(normal)
    if few := explain_too_few(aim, defects.size, good.size):
        raise ValueError(few)
    if aim.name == "false_alarm_rate":
        assert aim.rate is not None
        order = np.argsort(-good, kind="stable")
        position = int(order[false_alarm_rank(good.size, aim.rate) - 1])
        threshold = float(np.nextafter(good[position], np.inf))
        if defects.size == 0:
            return Choice(threshold, position, None, None)
        misses = int(np.count_nonzero(defects < threshold))
        bound = miss_rate_upper_bound(misses, defects.size, aim.confidence)
        return Choice(threshold, position, bound, None)
    allowed = 0
    bound = calibration_bound(defects.size, aim.confidence)
    if aim.name == "miss_rate":
        assert aim.rate is not None
        allowed = allowed_events(defects.size, aim.rate, aim.confidence)
        bound = miss_rate_upper_bound(allowed, defects.size, aim.confidence)
    position = int(np.argsort(defects, kind="stable")[allowed])
    expected = (allowed + 1) / (defects.size + 1)
    return Choice(float(defects[position]), position, bound, expected)


def choose_upper(normal: ArrayLike, share: float) -> tuple[float, int]:
    """Choose the threshold from which images are rejected without a second look.

    It lies just above the ``k + 1``-th largest of ``n`` normal scores, where ``k`` is the whole
    part of ``share * n``: at most this share of the normal images reaches it.

    Args:
        normal: (n,) finite scores of normal images, n >= 1.
        share: Fraction in [0, 1).

    Returns:
        The threshold, and ``k``; :func:`.bounds.miss_rate_upper_bound` of ``k`` events in ``n``
        bounds the rate of normal images that it rejects.

    Example:
        >>> upper, rejected = choose_upper([1.0, 2.0, 3.0, 4.0], 0.25)
        >>> rejected, 3.0 < upper < 3.0001
        (1, True)
    """
    good = np.sort(_scores(normal))[::-1]
    rejected = int(share * good.size * (1 + 1e-12))  # 0.29 * 100 is below 29 in floating point
    return float(np.nextafter(good[rejected], np.inf)), rejected


def count_zones(scores: ArrayLike, threshold: float, upper: float | None) -> dict[str, int]:
    """Count the images of each zone.

    Args:
        scores: (N,) finite scores.
        threshold: Scores below it are ``pass``.
        upper: Scores at or above it are ``reject``, those between ``review``; None: there is no
            zone ``review``.

    Example:
        >>> count_zones([1.0, 2.0, 3.0, 9.0], 2.0, 4.0)
        {'pass': 1, 'review': 2, 'reject': 1}
    """
    values = _scores(scores)
    passed = int(np.count_nonzero(values < threshold))
    rejected = int(np.count_nonzero(values >= (threshold if upper is None else upper)))
    return {"pass": passed, "review": values.size - passed - rejected, "reject": rejected}


def plan_images(
    abnormal: int, confidence: float, rates: Sequence[float] = (0.05, 0.01, 0.001)
) -> list[dict[str, float]]:
    """List the abnormal images needed for bounds on the miss rate, if none of them is missed.

    Args:
        abnormal: Number of different abnormal images that there are.
        confidence: Confidence level in (0, 1).
        rates: The bounds.

    Returns:
        ``bound``, ``needed`` and ``missing`` images for each rate.

    Example:
        >>> plan_images(40, 0.95, [0.05])
        [{'bound': 0.05, 'needed': 59, 'missing': 19}]
    """
    needed = [images_needed(rate, confidence) for rate in rates]
    return [
        {"bound": rate, "needed": images, "missing": max(0, images - abnormal)}
        for rate, images in zip(rates, needed, strict=True)
    ]


def escapes_per_million(miss_rate: float, prevalence: float) -> float:
    """Return the abnormal images that pass among a million images.

    Args:
        miss_rate: Fraction of the abnormal images that pass.
        prevalence: Fraction of all images that are abnormal.

    >>> round(escapes_per_million(0.05, 0.01))
    500
    """
    return 1e6 * prevalence * miss_rate


def _scores(values: ArrayLike) -> Floats:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or not np.isfinite(scores).all():
        raise ValueError("invalid scores: expected finite numbers, one for each image")
    return scores
