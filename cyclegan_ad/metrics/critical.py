"""The images that a result hangs on: low-scoring abnormal and high-scoring normal ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cyclegan_ad.metrics.thresholds import accuracy_at, zfn_threshold


def critical_images(scores: ArrayLike, labels: ArrayLike, count: int) -> list[int]:
    """Find the abnormal images that look most normal, and the normal ones that look least so.

    Args:
        scores: (N,) real, higher is more abnormal.
        labels: (N,) integer or bool, 0 normal, 1 abnormal.
        count: how many of each class, at most; >= 0.

    Returns:
        Positions in ``scores``: the ``count`` lowest-scoring abnormal images, the lowest first,
        then the ``count`` highest-scoring normal ones, the highest first. Of equal scores, the
        first in order comes first.

    Raises:
        ValueError: if the shapes differ, or ``count`` is negative.

    Example:
        >>> critical_images([5.0, 1.0, 9.0, 2.0], [1, 0, 1, 0], count=1)
        [0, 3]
    """
    values = np.asarray(scores, dtype=np.float64)
    classes = np.asarray(labels)
    if values.ndim != 1 or values.shape != classes.shape:
        raise ValueError(
            f"scores and labels must be (N,) alike, not {values.shape} and {classes.shape}"
        )
    if count < 0:
        raise ValueError(f"count must be >= 0, not {count}")
    abnormal, normal = np.flatnonzero(classes == 1), np.flatnonzero(classes == 0)
    lowest = abnormal[np.argsort(values[abnormal], kind="stable")][:count]
    highest = normal[np.argsort(-values[normal], kind="stable")][:count]
    return [int(position) for position in (*lowest, *highest)]


def zfn_accuracy_without(scores: ArrayLike, labels: ArrayLike, position: int) -> float:
    """Compute what the ZFN accuracy would be if one image were not in the test set.

    Args:
        scores: (N,) real, higher is more abnormal.
        labels: (N,) integer or bool, 0 normal, 1 abnormal.
        position: which image to drop.

    Returns:
        Fraction in [0, 1] of the other N - 1 images, at the threshold that they alone set.

    Raises:
        ValueError: if the image is the only one of its class, or the inputs do not fit together.

    Example:
        >>> zfn_accuracy_without([1.0, 2.0, 3.0, 4.0], [1, 0, 0, 1], position=0)
        1.0
    """
    values = np.delete(np.asarray(scores, dtype=np.float64), position)
    classes = np.delete(np.asarray(labels), position)
    return accuracy_at(values, classes, zfn_threshold(values, classes))
