"""Brightness and sharpness, worked out by hand and against scipy."""

import numpy as np
import pytest
from scipy import ndimage

from cyclegan_ad.metrics.image_statistics import brightness, sharpness


def test_by_hand() -> None:
    # Columns 0 0 90 90: one step of 90 in 3 differences a row, and none down.
    # Laplacians inside: +90 and -90. sqrt(90^2 / (90^2 / 3)) = sqrt(3).
    step = np.repeat([[[0], [0], [90], [90]]], 4, axis=0).astype(np.uint8)
    assert brightness(step) == 45 / 255
    assert sharpness(step) == pytest.approx(3**0.5)
    assert sharpness(np.full((5, 5, 3), 7, np.uint8)) == 0.0


def test_against_scipy() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3)).astype(np.uint8)
    grey = pixels.astype(float).mean(axis=2)
    laplacian = ndimage.laplace(grey)[1:-1, 1:-1]
    gradient = sum((np.diff(grey, axis=axis) ** 2).mean() for axis in (0, 1))
    assert brightness(pixels) == pytest.approx(pixels.astype(float).mean() / 255)
    assert sharpness(pixels) == pytest.approx(np.sqrt((laplacian**2).mean() / gradient))


def test_only_blur_changes_sharpness() -> None:
    noise = np.random.default_rng(1).normal(0, 120, (64, 64))
    image = 120 + ndimage.gaussian_filter(noise, 1.0)
    darker, blurred = 0.9 * image, ndimage.gaussian_filter(image, 1.0)
    sharp, dark, blurry = (
        sharpness(one.round().astype(np.uint8)[..., None]) for one in (image, darker, blurred)
    )
    assert dark == pytest.approx(sharp, rel=0.01) and blurry < 0.97 * sharp
