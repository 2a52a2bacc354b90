"""The defects of the demo data: deterministic, exact masks, graded contrast."""

import numpy as np
import pytest

from cyclegan_ad.data.demo.defects import KINDS, draw_tile


def test_the_same_arguments_give_the_same_tile() -> None:
    for first, again in zip(
        draw_tile((3, 1), 64, "hole"), draw_tile((3, 1), 64, "hole"), strict=True
    ):
        assert (first == again).all()


def test_a_tile_has_the_pixels_it_had_when_the_format_was_fixed() -> None:
    # Means over 16 x 16 blocks: a library may round a pixel otherwise, not move a mean by 0.1.
    image, mask = draw_tile((0, 1, 3), 32, "missing", 0.5)
    blocks = image.reshape(2, 16, 2, 16, 3).mean(axis=(1, 3))
    expected = np.array(
        [
            [[138.68, 142.87, 135.37], [156.06, 151.47, 144.5]],
            [[129.21, 128.65, 125.61], [130.66, 131.85, 129.27]],
        ]
    )
    np.testing.assert_allclose(blocks, expected, atol=0.1)
    assert abs(int(mask.sum()) - 39) <= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grade", [0.0, 1.0])
def test_mask_is_exactly_what_the_defect_changed(kind: str, grade: float) -> None:
    for number in range(20):
        sound, nothing = draw_tile((0, number), 128)
        defective, mask = draw_tile((0, number), 128, kind, grade)
        assert not nothing.any()
        assert (mask == (defective != sound).any(axis=-1)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_faintest_defect_is_visible_and_the_strongest_is_stronger(kind: str) -> None:
    def change(number: int, grade: float) -> float:
        """Mean over the mask of the largest change of a channel, in [0, 1]."""
        sound, _ = draw_tile((1, number), 64)
        defective, mask = draw_tile((1, number), 64, kind, grade)
        assert mask.sum() >= 12
        return float(np.abs(defective / 255 - sound / 255).max(axis=-1)[mask].mean())

    for number in range(20):
        faint, middle, strong = (change(number, grade) for grade in (0.0, 0.5, 1.0))
        assert 0.03 < faint < middle < strong


def test_unknown_kind_is_an_error() -> None:
    with pytest.raises(KeyError):
        draw_tile((0, 0), 32, "dent")
