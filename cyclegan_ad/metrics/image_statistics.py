"""Brightness and sharpness of an image, by which a change of camera or light is noticed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def brightness(pixels: NDArray[np.uint8]) -> float:
    """Return the mean of the pixels of an image.

    Args:
        pixels: (H, W, C) uint8.

    Returns:
        Mean over pixels and channels, in [0, 1]; 1 is white.

    Example:
        >>> brightness(np.array([[[0], [255]]], np.uint8))
        0.5
    """
    return float(pixels.mean(dtype=np.float64)) / 255


def sharpness(pixels: NDArray[np.uint8]) -> float:
    """Return the mean spatial frequency of an image, which blur lowers and noise raises.

    It is the root mean square of the Laplacian (4 neighbours) over that of the gradient
    (differences of neighbours). The Laplacian alone is the usual measure of focus (Pech-Pacheco et
    al., "Diatom autofocusing in brightfield microscopy", ICPR 2000); divided by the gradient, it
    does not depend on brightness and contrast, so that a darker image is not called blurred.

    Args:
        pixels: (H, W, C) uint8, H and W at least 3; channels are averaged.

    Returns:
        Value in [0, 4]; 0 for an image of one grey value.
    """
    grey = pixels.mean(axis=2, dtype=np.float32)
    down, right = np.diff(grey, axis=0), np.diff(grey, axis=1)
    gradient = _mean_square(down) + _mean_square(right)
    if gradient == 0:
        return 0.0
    laplacian = np.diff(down, axis=0)[:, 1:-1] + np.diff(right, axis=1)[1:-1]
    return float(np.sqrt(_mean_square(laplacian) / gradient))


def _mean_square(values: NDArray[np.float32]) -> float:
    return float(np.square(values).mean(dtype=np.float64))
