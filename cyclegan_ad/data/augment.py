"""The 8 symmetries of the square, as exact re-indexing of pixels: no interpolation, no rounding.

Symmetry ``k`` flips left-right if ``k >= 4``, then turns by ``k % 4`` quarters counter-clockwise:

=  ==============================  =  ========================================
0  identity                        4  left-right flip
1  quarter turn counter-clockwise  5  transpose (over the main diagonal)
2  half turn                       6  top-bottom flip
3  quarter turn clockwise          7  transpose over the other diagonal
=  ==============================  =  ========================================
"""

from functools import lru_cache

import torch
from torch import Tensor

SYMMETRIES = 8
_FLIP = _QUARTERS = 4


def dihedral(images: Tensor, symmetry: Tensor) -> Tensor:
    """Apply a different symmetry to each image.

    Args:
        images: (N, C, S, S), any dtype and range, square.
        symmetry: (N,) int64 in 0..7, numbered as in the module's table; 0 leaves the image alone.

    Returns:
        (N, C, S, S) new tensor with the dtype, memory format and device of ``images``.

    Raises:
        ValueError: The shapes do not fit, or ``symmetry`` is not int64.
        IndexError: ``symmetry`` holds other numbers (on a CPU; a GPU raises a CUDA error later).

    Example:
        >>> image = torch.tensor([[1, 2], [3, 4]]).view(1, 1, 2, 2)
        >>> dihedral(image, torch.tensor([1]))
        tensor([[[[2, 4],
                  [1, 3]]]])
    """
    if images.ndim != 4 or images.shape[2] != images.shape[3]:
        raise ValueError(f"invalid images of shape {tuple(images.shape)}: expected (N, C, S, S)")
    if symmetry.shape != images.shape[:1] or symmetry.dtype != torch.int64:
        raise ValueError(
            f"invalid symmetry of shape {tuple(symmetry.shape)} and dtype {symmetry.dtype}: "
            f"expected ({len(images)},) and torch.int64"
        )
    if images.device.type == "cpu":
        return _turn_one_by_one(images, symmetry)
    return _turn_together(images, symmetry.to(images.device, non_blocking=True))


def inverse(symmetry: int) -> int:
    """Return the inverse of a symmetry: a flip is its own inverse, a rotation is reversed.

    >>> [inverse(symmetry) for symmetry in range(SYMMETRIES)]
    [0, 3, 2, 1, 4, 5, 6, 7]
    """
    return symmetry if symmetry >= _FLIP else -symmetry % _QUARTERS


def random_symmetries(n: int, augmentation: str, generator: torch.Generator) -> Tensor:
    """Draw a symmetry for each of ``n`` images, all with equal probability.

    Args:
        n: Number of images.
        augmentation: ``dihedral`` draws from all 8 symmetries, ``flip`` from the identity and the
            left-right flip, ``none`` gives the identity and draws nothing.
        generator: Source of the randomness, advanced by the call.

    Returns:
        (n,) int64 in 0..7 on the generator's device, as `dihedral` expects it.
    """
    if augmentation == "none":
        return torch.zeros(n, dtype=torch.int64, device=generator.device)
    choices, step = (8, 1) if augmentation == "dihedral" else (2, _FLIP)
    return step * torch.randint(choices, (n,), generator=generator, device=generator.device)


def _turn_one_by_one(images: Tensor, symmetry: Tensor) -> Tensor:
    """Transform the images one at a time: the fastest way on a CPU."""
    turned = torch.empty_like(images)
    for i, number in enumerate(symmetry.tolist()):
        if not 0 <= number < SYMMETRIES:
            raise IndexError(f"invalid symmetry {number}: expected 0..{SYMMETRIES - 1}")
        flipped = images[i].flip(2) if number >= _FLIP else images[i]
        turned[i] = flipped.rot90(number % _QUARTERS, (1, 2))
    return turned


def _turn_together(images: Tensor, symmetry: Tensor) -> Tensor:
    """Transform all images by one gather: a few GPU kernels without synchronisation."""
    table = _source_pixels(images.shape[2], images.device)  # (8, S * S)
    source = table[symmetry]  # (N, S * S)
    if images.is_contiguous():
        pixels = images.flatten(2)  # (N, C, S * S)
        return pixels.gather(2, source[:, None].expand_as(pixels)).view_as(images)
    pixels = images.permute(0, 2, 3, 1).flatten(1, 2)  # (N, S * S, C); a view if channels-last
    turned = pixels.gather(1, source[:, :, None].expand_as(pixels))
    return turned.view(images.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)


@lru_cache(maxsize=8)
def _source_pixels(size_px: int, device: torch.device) -> Tensor:
    """Return the source pixel of each output pixel for each symmetry, (8, S * S) int64."""
    pixels = torch.arange(size_px * size_px).view(size_px, size_px)
    flipped = pixels.flip(1)
    table = [grid.rot90(quarters) for grid in (pixels, flipped) for quarters in range(_QUARTERS)]
    return torch.stack(table).view(8, -1).to(device)
