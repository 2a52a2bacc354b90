"""The resize of exported graphs against Pillow's, pixel by pixel."""

import numpy as np
import pytest
import torch
from PIL import Image

from cyclegan_ad.exporting.resize import BicubicResize, pass_weights


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "size",
    [
        (32, 32),  # nothing to do
        (90, 70),
        (70, 90),
        (20, 25),  # larger afterwards
        (25, 20),
        (20, 200),
        (200, 20),  # columns first
        (109, 70),  # the first height of this width for which Pillow starts with the columns
        (108, 70),
        (1, 1),
        (1, 7),
        (700, 2),
    ],
)
def test_equal_to_pillow_in_every_pixel(size: tuple[int, int], channels: int) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (*size, channels), dtype=np.uint8)
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    expected = np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC))
    found = BicubicResize(32)(torch.from_numpy(pixels)[None])
    assert found.dtype == torch.float32
    found = found[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(found, expected.reshape(32, 32, channels))


def test_extremes_are_cut_off() -> None:
    # Bicubic interpolation overshoots at an edge between black and white.
    pixels = np.zeros((1, 40, 40, 1), np.uint8)
    pixels[:, :, 20:] = 255
    found = BicubicResize(64)(torch.from_numpy(pixels))
    assert found.min() == 0 and found.max() == 255


def test_weights_by_hand() -> None:
    # From 4 to 2 pixels the filter is twice as wide: the first new pixel lies at 1.0, and the old
    # ones at 0.5, 1.5, 2.5, 3.5, which is 0.25, 0.25, 0.75 and 1.25 filter units away.
    kernel = np.array([0.8671875, 0.8671875, 0.2265625, -0.0703125])
    expected = kernel / kernel.sum() * 2**22
    found = pass_weights(4, 2).numpy()
    np.testing.assert_allclose(found[0], expected, atol=0.5)
    np.testing.assert_array_equal(found[1], found[0][::-1])
    assert (found == found.round()).all()
