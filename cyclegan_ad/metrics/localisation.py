"""Localisation metrics of anomaly maps for images with known ground truth.

Both metrics are computed over the pixels of all images together, not averaged over images. Normal
images belong to them as well, with an all-False mask. They take

- ``maps``: (N, H, W) real, anomaly maps, higher is more abnormal; computed in float64.
- ``masks``: (N, H, W) bool or 0/1, True on the defect.

They raise ``ValueError`` if these are inconsistent, a value is not finite, or no pixel or every
pixel is defective.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from cyclegan_ad.metrics.thresholds import auroc

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=np.int8)


def pixel_auroc(maps: ArrayLike, masks: ArrayLike) -> float:
    """Compute the area under the ROC curve over all pixels, in [0, 1].

    Example:
        >>> pixel_auroc([[[1.0, 2.0], [3.0, 4.0]]], [[[0, 0], [0, 1]]])
        1.0
    """
    maps_, masks_ = _check(maps, masks)
    return auroc(maps_.ravel(), masks_.ravel())


def aupro(maps: ArrayLike, masks: ArrayLike, max_false_positive_rate: float = 0.3) -> float:
    """Compute the normalised area under the per-region-overlap curve (Bergmann et al., MVTec AD).

    At each threshold the overlap is the detected fraction of a defective region (8-connected),
    averaged over regions of any size; the false positive rate is that of all normal pixels. The
    curve is exact: every value of the maps is a threshold, ties are treated together, and the limit
    is interpolated.

    The area is integrated up to ``max_false_positive_rate``, in (0, 1], and divided by it.

    Returns:
        Area in [0, 1]: 1 is perfect; random maps give ``max_false_positive_rate / 2``.

    Example:
        >>> aupro([[[9.0, 1.0, 2.0, 8.0]]], [[[1, 0, 0, 1]]])
        1.0
    """
    maps_, masks_ = _check(maps, masks)
    if not 0 < max_false_positive_rate <= 1:
        raise ValueError(
            f"invalid max_false_positive_rate={max_false_positive_rate}: expected > 0 and <= 1"
        )
    if not masks_.any() or masks_.all():
        raise ValueError("per-region overlap undefined: expected both defective and normal pixels")
    order = np.argsort(-maps_, axis=None)
    values = maps_.ravel()[order]
    ends = np.append(np.flatnonzero(np.diff(values)), values.size - 1)  # last pixel of each tie
    overlap = np.cumsum(_overlap_weights(masks_).ravel()[order])[ends]
    normal = np.cumsum(~masks_.ravel()[order])[ends]
    rate = np.concatenate([[0.0], normal / normal[-1]])  # false positive rate, non-decreasing
    overlap = np.concatenate([[0.0], overlap / overlap[-1]])  # the last sum is 1 up to rounding
    inside = int(np.searchsorted(rate, max_false_positive_rate, side="right"))
    limit = float(np.interp(max_false_positive_rate, rate[inside - 1 :], overlap[inside - 1 :]))
    rate = np.append(rate[:inside], max_false_positive_rate)
    overlap = np.append(overlap[:inside], limit)
    return float(np.trapezoid(overlap, rate)) / max_false_positive_rate


def _overlap_weights(masks: Bools) -> Floats:
    """Return the weight of each defective pixel, 1 / (area of its region * number of regions)."""
    weights = np.zeros(masks.shape)
    regions = 0
    for mask, weight in zip(masks, weights, strict=True):
        labels, count = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
        areas = np.bincount(labels.ravel())
        weight[mask] = 1.0 / areas[labels[mask]]
        regions += count
    return weights / regions


def _check(maps: ArrayLike, masks: ArrayLike) -> tuple[Floats, Bools]:
    maps_ = np.asarray(maps, dtype=np.float64)
    masks_ = np.asarray(masks)
    if maps_.ndim != 3 or maps_.shape != masks_.shape:
        raise ValueError(
            f"invalid maps and masks of shapes {maps_.shape} and {masks_.shape}: expected "
            "(N, H, W) for both"
        )
    if not np.isfinite(maps_).all():
        raise ValueError("anomaly maps contain NaN or infinity")
    bools = masks_.astype(bool)
    if not np.array_equal(bools, masks_):
        raise ValueError("invalid masks: expected bool, or 0 and 1")
    return maps_, bools
