"""The sound tiles of the demo data: they differ within the image, not over all of it."""

import numpy as np

from cyclegan_ad.data.demo.tiles import CAMERA_ERROR, make_tile


def photograph(number: int, size_px: int = 64) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    tile = make_tile(np.random.Generator(np.random.PCG64([9, number])), size_px)
    return tile.photograph(*tile.surface())


def test_a_tile_may_have_any_size() -> None:
    small, large = photograph(0, 64), photograph(0, 256)
    shrunk = large.reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    assert large.shape == (256, 256, 3)
    assert np.abs(shrunk - small).mean() < 0.02  # the same tile but for the grain


def test_the_camera_evens_out_brightness_colour_and_contrast() -> None:
    photographs = np.stack([photograph(number) for number in range(40)])
    means, spreads = photographs.mean(axis=(1, 2)), photographs.std(axis=(1, 2, 3))
    assert 0 < (means.std(axis=0) / means.mean(axis=0)).max() < 2 * CAMERA_ERROR
    assert 0 < spreads.std() / spreads.mean() < 2 * CAMERA_ERROR


def test_light_and_colour_vary_within_a_tile_from_tile_to_tile() -> None:
    glaze = np.stack([photograph(number)[24:40, 4:8].mean(axis=(0, 1)) for number in range(40)])
    assert glaze.mean(axis=1).std() > 0.03  # light, at the middle of the left edge
    assert (glaze[:, 0] - glaze[:, 2]).std() > 0.02  # colour


def test_no_pixel_is_driven_to_black_or_white() -> None:
    photographs = np.stack([photograph(number) for number in range(40)])
    assert np.mean((photographs < 0.02) | (photographs > 0.98)) < 0.001
