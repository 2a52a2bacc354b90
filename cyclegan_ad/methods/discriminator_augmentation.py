"""Differentiable augmentation of what a discriminator sees (DiffAugment, Zhao et al., 2020).

A discriminator of few images learns them by heart. If real and generated images are changed at
random before it sees them, in the losses of both sides, it learns less of the single image, and the
generators do not learn the changes, as the gradients pass through them. Strengths are those of the
published code (https://github.com/mit-han-lab/data-efficient-gans).
"""

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Change = Literal["color", "translation", "cutout"]
CHANGES: tuple[Change, ...] = get_args(Change)
Judge: TypeAlias = Callable[[Tensor], Tensor]
"""A discriminator, possibly behind an augmentation: (N, C, H, W) to (N, 1, h, w)."""

_TRANSLATION_SHARE = 8  # of the side: at most an eighth
_CUTOUT_SHARE = 2  # of the side: a half


class DiscriminatorAugmentation:
    """Random changes of the images on their way to one discriminator.

    Each image is changed by itself, and differently each time. The random numbers depend only on
    the seed given to :meth:`reseed` and the number of calls since, so that a resumed training
    repeats those of an uninterrupted one.

    Args:
        changes: The changes, in this order; none leaves the images alone.
    """

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = tuple(changes)
        self._random = np.random.default_rng(0)

    def reseed(self, *seed: int) -> None:
        """Seed the random numbers with integers >= 0 such as (seed, epoch, step, rank)."""
        self._random = np.random.default_rng(seed)

    def __call__(self, images: Tensor) -> Tensor:
        """Change images at random: (N, C, H, W) to the same, see :func:`augment`."""
        needed = sum(_NUMBERS[change] for change in self.changes)
        numbers = torch.from_numpy(self._random.random((needed, len(images)), dtype=np.float32))
        if images.device.type == "cuda":  # without waiting for the device
            numbers = numbers.pin_memory().to(images.device, non_blocking=True)
        return augment(images, self.changes, numbers)

    def before(self, discriminator: Judge) -> Judge:
        """Return the discriminator as it judges changed images; itself without changes."""
        if not self.changes:
            return discriminator
        return lambda images: discriminator(self(images))


def augment(images: Tensor, changes: Sequence[Change], numbers: Tensor) -> Tensor:
    """Apply changes one after the other, differentiable in the images.

    Args:
        images: (N, C, H, W) in [-1, 1].
        changes: The changes.
        numbers: (K, N) in [0, 1): for each change in turn, those of its function.

    Returns:
        (N, C, H, W); ``color`` can leave [-1, 1].
    """
    for change in changes:
        own, numbers = numbers.split([_NUMBERS[change], len(numbers) - _NUMBERS[change]])
        images = _FUNCTIONS[change](images, *own)
    return images


def change_color(
    images: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor
) -> Tensor:
    """Shift the brightness, then scale saturation and contrast.

    Args:
        images: (N, C, H, W).
        brightness: (N,) in [0, 1): -0.5 to 0.5 is added to all pixels.
        saturation: (N,) in [0, 1): the distance to the mean over the channels is multiplied by 0 to
            2. Without effect on grey images.
        contrast: (N,) in [0, 1): the distance to the mean of the image is multiplied by 0.5 to 1.5.

    Returns:
        (N, C, H, W), not clipped.
    """
    brightness, saturation, contrast = (
        number.to(images.dtype).view(-1, 1, 1, 1) for number in (brightness, saturation, contrast)
    )
    images = images + (brightness - 0.5)
    if images.shape[1] > 1:
        grey = images.mean(dim=1, keepdim=True)
        images = (images - grey) * (2 * saturation) + grey
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - mean) * (contrast + 0.5) + mean


def translate(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Move images by whole pixels; what comes in from outside is 0, mid grey.

    Args:
        images: (N, C, H, W).
        down: (N,) in [0, 1): up to an eighth of the height up or down.
        right: (N,) in [0, 1): up to an eighth of the width to the left or right.

    Returns:
        (N, C, H, W).

    Example:
        >>> image = torch.arange(1.0, 9.0).expand(1, 1, 8, 8)
        >>> translate(image, torch.tensor([0.5]), torch.tensor([0.9]))[0, 0, 0].int().tolist()
        [0, 1, 2, 3, 4, 5, 6, 7]
    """
    channels, (height, width) = images.shape[1], images.shape[2:]
    # One wider on each side: all that comes in from outside is taken from there.
    rows = (_positions(height, images) - _shift(down, height)).clamp(-1, height) + 1  # (N, H)
    columns = (_positions(width, images) - _shift(right, width)).clamp(-1, width) + 1  # (N, W)
    source = rows[:, :, None] * (width + 2) + columns[:, None]  # (N, H, W)
    around = functional.pad(images, (1, 1, 1, 1)).flatten(2)
    moved = around.gather(2, source.flatten(1)[:, None].expand(-1, channels, -1))
    return moved.view(images.shape)


def cut_out(images: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Set a square with half the side of the image to 0, mid grey; the border may cut it.

    Args:
        images: (N, C, H, W).
        row: (N,) in [0, 1): row of its centre, from 0 to H.
        column: (N,) in [0, 1): column of its centre, from 0 to W.

    Returns:
        (N, C, H, W).
    """
    inside = [
        _inside(number, size, images)
        for number, size in zip((row, column), images.shape[2:], strict=True)
    ]
    square = inside[0][:, None, :, None] & inside[1][:, None, None, :]  # (N, 1, H, W)
    return images.masked_fill(square, 0.0)


def _inside(number: Tensor, size: int, images: Tensor) -> Tensor:
    """Whether a row or column lies in the square: (N,) in [0, 1) to (N, size) bool."""
    side = int(size / _CUTOUT_SHARE + 0.5)
    places = size + 1 - side % 2
    first = (number[:, None] * places).floor().clamp(max=places - 1) - side // 2
    position = _positions(size, images)
    return (position >= first) & (position < first + side)


def _shift(number: Tensor, size: int) -> Tensor:
    """Whole pixels, all equally likely: (N,) in [0, 1) to (N, 1) int64."""
    largest = int(size / _TRANSLATION_SHARE + 0.5)
    steps = 2 * largest + 1
    # The clamp: the product of a number just below 1 may be rounded up.
    return (number[:, None] * steps).floor().long().clamp(max=steps - 1) - largest


def _positions(size: int, images: Tensor) -> Tensor:
    return torch.arange(size, device=images.device)[None]


_FUNCTIONS: dict[Change, Callable[..., Tensor]] = {
    "color": change_color,
    "translation": translate,
    "cutout": cut_out,
}
_NUMBERS: dict[Change, int] = {"color": 3, "translation": 2, "cutout": 2}
