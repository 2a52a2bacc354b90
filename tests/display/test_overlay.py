"""Maps over images."""

import numpy as np
import pytest

from cyclegan_ad.display.overlay import overlay, overlay_scale, share_of_scale


def test_the_scale_begins_at_typical_normal_images_and_one_of_them_does_not_move_it() -> None:
    maps = np.stack([np.full((10, 10), value) for value in (1.0, 2.0, 3.0, 8.0, 9.0)])
    labels = [0, 0, 0, 1, 1]
    assert overlay_scale(maps, labels) == (2.0, 9.0)
    maps[2] = 500.0
    assert overlay_scale(maps, labels) == (2.0, 9.0)


@pytest.mark.parametrize(
    ("values", "labels", "scale"),
    [
        ([4.0, 5.0], [0, 1], (4.0, 8.0)),  # hardly brighter defects do not glow
        ([-4.0, -9.0], [0, 1], (-4.0, 0.0)),
        ([0.0, 0.0], [0, 1], (0.0, 1.0)),
        ([2.0, 6.0], [0, 0], (4.0, 8.0)),
        ([2.0, 6.0], [1, 1], (4.0, 8.0)),
    ],
)
def test_the_scale_has_a_length(
    values: list[float], labels: list[int], scale: tuple[float, float]
) -> None:
    maps = np.array(values)[:, None, None] * np.ones((2, 4, 4))
    assert overlay_scale(maps, labels) == scale


def test_below_the_scale_the_image_is_grey_and_above_it_red() -> None:
    image = np.full((2, 2, 3), (90, 120, 150), np.uint8)
    found = overlay(image, np.array([[0.0, 1.0], [2.0, 9.0]]), (1.0, 3.0)).astype(int)
    assert found[0].tolist() == [[120, 120, 120]] * 2
    red, green, blue = found[1, 1]
    assert red > 200 and green < 60 and blue < 60
    assert 60 < found[1, 0, 1] < 200  # between: yellow to red
    assert share_of_scale(np.array([2.0]), (1.0, 3.0)).tolist() == [0.5]
