"""Masks at the size of the networks: nearest neighbour, but no defect vanishes."""

import numpy as np
import pytest
from PIL import Image

from cyclegan_ad.data.shrinking import shrink_mask


def nearest(marked, size_px):
    image = Image.fromarray(marked.astype(np.uint8))
    return np.asarray(image.resize((size_px, size_px), Image.Resampling.NEAREST)) == 1


@pytest.mark.parametrize("shape", [(5, 7), (32, 32), (31, 33), (100, 8), (200, 130)])
def test_large_parts_and_enlarged_masks_are_nearest_neighbour(shape):
    marked = np.tile(np.random.default_rng(0).random(shape[1]) < 0.5, (shape[0], 1))
    marked[shape[0] // 2] = True  # holds the columns together
    for size_px in (32, 33):
        np.testing.assert_array_equal(shrink_mask(marked, size_px), nearest(marked, size_px))


def test_every_part_keeps_the_pixels_it_lies_in():
    marked = np.zeros((512, 300), dtype=bool)
    marked[100:106, 200:206] = True  # between the samples of 16 px: rows 96 to 127, columns 187 to
    marked[511, 0] = True
    marked[300:400, 50:150] = True  # large enough
    shrunk = shrink_mask(marked, 16)
    expected = nearest(marked, 16)
    assert not expected[100 * 16 // 512, 200 * 16 // 300] and not expected[15, 0]
    expected[100 * 16 // 512, [200 * 16 // 300, 205 * 16 // 300]] = True
    expected[15, 0] = True
    np.testing.assert_array_equal(shrunk, expected)


def test_no_part_vanishes_whatever_its_place():
    rng = np.random.default_rng(1)
    for _ in range(50):
        marked = np.zeros(rng.integers(65, 300, 2), dtype=bool)
        top, left = (rng.integers(0, side) for side in marked.shape)
        marked[top : top + rng.integers(1, 5), left : left + rng.integers(1, 5)] = True
        shrunk = shrink_mask(marked, 64)
        assert shrunk.any()
        if (plain := nearest(marked, 64)).any():
            np.testing.assert_array_equal(shrunk, plain)


def test_an_empty_mask_stays_empty():
    assert not shrink_mask(np.zeros((90, 70), dtype=bool), 16).any()
