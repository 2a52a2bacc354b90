"""Affine transformations: the symmetries exactly, shifts by hand, and against SciPy."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from cyclegan_ad.data.affine import CODES, encode, random_codes, transform
from cyclegan_ad.data.augment import dihedral

QUARTER = 1024
SAME = {"flip": 0, "angle": 0, "scale": 2048, "down": 2048, "right": 2048}


def random_images(n: int = 8, size: int = 20) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.rand((n, 3, size, size), generator=generator, dtype=torch.float64) * 2 - 1


def code(**changes: int) -> torch.Tensor:
    return torch.tensor([encode(**SAME | changes)])


def test_the_symmetries_are_among_them() -> None:
    images = random_images()
    codes = torch.cat([code(flip=k // 4, angle=k % 4 * QUARTER) for k in range(8)])
    expected = dihedral(images, torch.arange(8))
    torch.testing.assert_close(transform(images, codes), expected, rtol=0, atol=1e-9)


def test_a_shift_by_hand() -> None:
    """By a whole pixel, 1 of 20; the reflected border comes in."""
    image = random_images(1)
    down = transform(image, code(down=4096 - 1))  # 5 % but for 1/2048 of it
    expected = torch.cat([image[:, :, :1], image[:, :, :-1]], dim=2)
    torch.testing.assert_close(down, expected, rtol=0, atol=0.01)
    left = transform(image, code(right=0))
    expected = torch.cat([image[..., 1:], image[..., -1:]], dim=3)
    torch.testing.assert_close(left, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {"angle": 300},
        {"flip": 1, "angle": 3000, "scale": 100},
        {"angle": 555, "scale": 4000, "down": 900, "right": 3333},
    ],
)
def test_against_scipy(changes: dict[str, int]) -> None:
    """A smooth image, which both ways to interpolate give alike, away from the border."""
    size = 64
    y, x = np.mgrid[:size, :size] / size - 0.5
    image = 0.5 * np.sin(5 * x + 2 * y) + 0.3 * np.cos(4 * y - x)
    known = SAME | changes
    angle = 2 * np.pi * known["angle"] / 4096
    scale = 1 + 0.1 * (2 * known["scale"] / 4096 - 1)
    shift = [0.05 * size * (2 * known[way] / 4096 - 1) for way in ("down", "right")]
    # In rows and columns, from new to old: undo the shift, then the rotation and the scale.
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / scale
    source = image[:, ::-1] if known["flip"] else image
    centre = np.full(2, (size - 1) / 2)
    offset = centre - turn @ (centre + shift)
    expected = ndimage.affine_transform(source, turn, offset, order=3, mode="reflect")
    found = transform(torch.from_numpy(image)[None, None], code(**changes))[0, 0].numpy()
    np.testing.assert_allclose(found[16:-16, 16:-16], expected[16:-16, 16:-16], atol=5e-3)


def test_each_image_is_transformed_by_itself_and_stays_in_range() -> None:
    images, codes = (
        random_images().sign().float(),
        random_codes(8, torch.Generator().manual_seed(1)),
    )
    together = transform(images, codes)
    assert together.abs().max() <= 1 and together.dtype == torch.float32
    for i in range(len(images)):
        alone = transform(images[i : i + 1], codes[i : i + 1])
        torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-6)


def test_codes_are_drawn_evenly_from_the_generator_alone() -> None:
    first, again = (random_codes(4000, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again) and first.dtype == torch.int64
    assert first.min() >= 0 and first.max() < CODES
    for shift in (0, 12, 24, 36):  # each number, in halves; then the flip
        upper = ((first >> shift) % 4096 >= 2048).double().mean()
        assert abs(upper - 0.5) < 0.05
    assert abs((first >> 48).double().mean() - 0.5) < 0.05
