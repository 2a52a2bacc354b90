"""Random affine transformations of training images: any rotation, small changes of scale, shifts.

More different images than the 8 symmetries give, for objects that lie in any direction. Pixels are
interpolated (bicubic), and what comes in from outside is the reflected image.

A transformation is one int64 number, its code, so that it travels with the batches as the
symmetries of :mod:`cyclegan_ad.data.augment` do.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

_BITS = 12  # of each of angle, scale, shift down and shift right; above them one of the flip
_LEVELS = 2**_BITS
_LARGEST_SCALE_CHANGE = 0.1
_LARGEST_SHIFT = 0.05  # of the side
CODES = 2 * _LEVELS**4


def encode(*, flip: int, angle: int, scale: int, down: int, right: int) -> int:
    """Return the code of a transformation.

    Args:
        flip: 1 to flip left-right first, else 0.
        angle: 0 to 4095: the angle counter-clockwise, in 4096ths of a turn.
        scale: 0 to 4095: from 0.9 to 1.1 times the size; 2048 leaves it.
        down: 0 to 4095: the shift, from 5 % of the side up to 5 % down; 2048 for none.
        right: Likewise, from left to right.
    """
    code = flip
    for number in (angle, scale, down, right):
        code = code * _LEVELS + number
    return code


def random_codes(n: int, generator: torch.Generator) -> Tensor:
    """Draw the transformation of each of ``n`` images, all with equal probability.

    Args:
        n: Number of images.
        generator: Source of the randomness, advanced by the call.

    Returns:
        (n,) int64 in 0..CODES - 1, on the generator's device.
    """
    return torch.randint(CODES, (n,), generator=generator, device=generator.device)


def transform(images: Tensor, codes: Tensor) -> Tensor:
    """Apply a different transformation to each image, on its device.

    Args:
        images: (N, C, S, S) float in [-1, 1].
        codes: (N,) int64, from :func:`random_codes` or :func:`encode`.

    Returns:
        (N, C, S, S) in [-1, 1]; the result for an image does not depend on the others.
    """
    codes = codes.to(images.device, non_blocking=True)
    numbers = []
    for _ in range(4):
        numbers.append((codes % _LEVELS).to(images.dtype) / _LEVELS)
        codes = codes // _LEVELS
    right, down, scale, angle = numbers
    size = 1 + _LARGEST_SCALE_CHANGE * (2 * scale - 1)
    cosine, sine = (2 * math.pi * angle).cos() / size, (2 * math.pi * angle).sin() / size
    # From the place of a new pixel to where it is looked up; the image spans -1 to 1.
    flip = 1 - 2 * codes.to(images.dtype)
    x, y = (-2 * _LARGEST_SHIFT * (2 * shift - 1) for shift in (right, down))
    rows = (
        torch.stack([flip * cosine, -flip * sine, flip * (cosine * x - sine * y)], 1),
        torch.stack([sine, cosine, sine * x + cosine * y], 1),
    )
    grid = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    found = functional.grid_sample(
        images, grid, mode="bicubic", padding_mode="reflection", align_corners=False
    )
    return found.clamp(-1, 1)  # bicubic interpolation overshoots
