"""Anomaly maps over images: one scale, one set of colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Yellow to red: visible on grey, and darker with the value for any colour vision.
MAP_COLOURS = "autumn_r"
OPACITY = 0.7

_HIGH_PERCENTILE = 99.5  # of the pixels of an image: single ones do not count


def overlay_scale(maps: NDArray[Any], labels: Any) -> tuple[float, float]:
    """Return the map values at which overlays become visible, and have their full colour.

    Half of the normal images have hardly a pixel above the first value: it is the median of what
    0.5 % of their pixels exceed. The second is the largest such value of the abnormal images, and
    at least twice the first.

    Args:
        maps: (N, H, W) float, of any sign; N >= 1. Images chosen without regard to their scores.
        labels: (N,) 0 normal, 1 abnormal. Without images of a class, the other one stands for it.

    Example:
        >>> overlay_scale(np.array([[[1.0]], [[3.0]], [[5.0]], [[40.0]]]), [0, 0, 0, 1])
        (3.0, 40.0)
    """
    tops = np.percentile(maps.reshape(len(maps), -1), _HIGH_PERCENTILE, axis=1)
    abnormal = np.asarray(labels) == 1
    low = float(np.median(tops[~abnormal] if (~abnormal).any() else tops))
    high = float((tops[abnormal] if abnormal.any() else tops).max())
    # Maps of a probe may be negative.
    return low, max(high, low + (abs(low) or 1.0))


def share_of_scale(anomaly_map: NDArray[Any], scale: tuple[float, float]) -> NDArray[Any]:
    """Return where the values of a map are on a scale: 0 up to its low end, 1 from its high end."""
    low, high = scale
    return np.asarray(((anomaly_map - low) / max(high - low, 1e-12)).clip(0, 1))


def heat(level: NDArray[Any]) -> NDArray[np.uint8]:
    """Colour a map, to be laid over its image.

    Args:
        level: (H, W) float in [0, 1], see `share_of_scale`; transparent at 0.

    Returns:
        (H, W, 4) uint8, RGBA.
    """
    from matplotlib import colormaps

    colours = colormaps[MAP_COLOURS](level)
    colours[..., 3] = np.sqrt(level)
    return np.asarray((255 * colours).round(), dtype=np.uint8)


def blend(
    image: NDArray[np.uint8], level: NDArray[Any], opacity: float = OPACITY
) -> NDArray[np.uint8]:
    """Colour an image by a map.

    Args:
        image: (H, W, 3) uint8.
        level: (H, W) float in [0, 1]; the image shows through where it is low, and alone at 0.
        opacity: Largest opacity of the colours, in [0, 1].

    Returns:
        (H, W, 3) uint8.
    """
    layer = heat(level).astype(np.float32)
    alpha = opacity * layer[..., 3:] / 255
    mixed = (1 - alpha) * image.astype(np.float32) + alpha * layer[..., :3]
    return mixed.round().astype(np.uint8)


def overlay(
    pixels: NDArray[np.uint8], anomaly_map: NDArray[Any], scale: tuple[float, float]
) -> NDArray[np.uint8]:
    """Draw a map over its image in grey, so that all colours are those of a colour bar.

    Args:
        pixels: (H, W, C) uint8, C = 1 or 3.
        anomaly_map: (H, W) float.
        scale: See `overlay_scale`.

    Returns:
        (H, W, 3) uint8.
    """
    grey = pixels.mean(axis=2, keepdims=True).round().astype(np.uint8)
    return blend(np.repeat(grey, 3, axis=2), share_of_scale(anomaly_map, scale), opacity=1.0)
