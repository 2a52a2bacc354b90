"""Differentiable augmentation by hand, against the published code, and from its seed alone."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cyclegan_ad.methods.discriminator_augmentation import (
    CHANGES,
    DiscriminatorAugmentation,
    augment,
    change_color,
    cut_out,
    translate,
)


def random_images(n: int = 5, channels: int = 3, size: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.rand((n, channels, size, size), generator=generator, dtype=torch.float64) * 2 - 1


def random_numbers(count: int, n: int = 5) -> Tensor:
    return torch.rand((count, n), generator=torch.Generator().manual_seed(4), dtype=torch.float64)


def test_color_by_hand() -> None:
    image = torch.tensor([0.2, 0.4]).view(1, 1, 1, 2)  # grey: without saturation
    half = torch.tensor([0.5])
    assert torch.equal(change_color(image, half, half, half), image)
    brighter = change_color(image, torch.tensor([0.75]), half, half)
    torch.testing.assert_close(brighter, image + 0.25)
    flat = change_color(image, half, half, torch.tensor([0.0]))  # half of 0.1 around 0.3
    torch.testing.assert_close(flat, torch.tensor([0.25, 0.35]).view(1, 1, 1, 2))
    pixel = torch.tensor([-0.3, 0.0, 0.6]).view(1, 3, 1, 1).expand(1, 3, 1, 2)
    grey = change_color(pixel, half, torch.tensor([0.0]), half)
    torch.testing.assert_close(grey, torch.full((1, 3, 1, 2), 0.1))


def test_translation_by_hand() -> None:
    image = torch.arange(1.0, 65.0).view(1, 1, 8, 8)  # by at most 1 pixel
    down = translate(image, torch.tensor([0.99]), torch.tensor([0.5]))[0, 0]
    assert torch.equal(down, functional.pad(image[0, 0, :-1], (0, 0, 1, 0)))
    left = translate(image, torch.tensor([0.5]), torch.tensor([0.0]))[0, 0]
    assert torch.equal(left, functional.pad(image[0, 0, :, 1:], (0, 1)))


def test_cutout_by_hand() -> None:
    image = torch.ones(1, 2, 4, 6)
    # Centres 0 of 4 + 1 places and 3 of 6 places: rows -1 to 0, columns 2 to 4.
    cut = cut_out(image, torch.tensor([0.1]), torch.tensor([0.55]))
    expected = image.clone()
    expected[:, :, :1, 2:5] = 0
    assert torch.equal(cut, expected)


def published_color(x: Tensor, numbers: Tensor) -> Tensor:
    """DiffAugment_pytorch.py, with given random numbers."""
    brightness, saturation, contrast = (n.view(-1, 1, 1, 1) for n in numbers)
    x = x + (brightness - 0.5)
    x_mean = x.mean(dim=1, keepdim=True)
    x = (x - x_mean) * (saturation * 2) + x_mean
    x_mean = x.mean(dim=[1, 2, 3], keepdim=True)
    return (x - x_mean) * (contrast + 0.5) + x_mean


def published_translation(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """The same with given shifts in pixels."""
    size = x.size(2)
    grid = torch.meshgrid(*map(torch.arange, (len(x), size, size)), indexing="ij")
    grid_x = torch.clamp(grid[1] + down.view(-1, 1, 1) + 1, 0, size + 1)
    grid_y = torch.clamp(grid[2] + right.view(-1, 1, 1) + 1, 0, size + 1)
    x_pad = functional.pad(x, [1, 1, 1, 1, 0, 0, 0, 0])
    return x_pad.permute(0, 2, 3, 1)[grid[0], grid_x, grid_y].permute(0, 3, 1, 2)


def published_cutout(x: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """The same with given centres in pixels."""
    size = x.size(2)
    side = int(size * 0.5 + 0.5)
    grid = torch.meshgrid(*map(torch.arange, (len(x), side, side)), indexing="ij")
    grid_x = torch.clamp(grid[1] + row.view(-1, 1, 1) - side // 2, min=0, max=size - 1)
    grid_y = torch.clamp(grid[2] + column.view(-1, 1, 1) - side // 2, min=0, max=size - 1)
    mask = torch.ones(len(x), size, size, dtype=x.dtype)
    mask[grid[0], grid_x, grid_y] = 0
    return x * mask.unsqueeze(1)


@pytest.mark.parametrize("size", [16, 18, 36])  # cut-outs of 8, 9 and 18
def test_against_the_published_code(size: int) -> None:
    images, numbers = random_images(size=size), random_numbers(7)
    largest = int(size / 8 + 0.5)
    # There a shift is added to where a pixel is looked up: it moves the other way.
    shifts = largest - (numbers[3:5] * (2 * largest + 1)).long()
    centres = (numbers[5:] * (size + 1 - int(size * 0.5 + 0.5) % 2)).long()
    expected = published_color(images, numbers[:3])
    expected = published_translation(expected, *shifts)
    expected = published_cutout(expected, *centres)
    torch.testing.assert_close(augment(images, CHANGES, numbers), expected, rtol=1e-12, atol=1e-12)


def test_shifts_and_squares_reach_every_place_equally() -> None:
    numbers = (torch.arange(1000) + 0.5) / 1000
    ramp = torch.arange(1.0, 33.0).view(1, 1, 1, 32).expand(1000, 1, 1, 32)
    moved = translate(ramp, torch.full((1000,), 0.5), numbers)[:, 0, 0, 16]
    shifts, counts = torch.unique(moved, return_counts=True)
    assert shifts.tolist() == list(range(13, 22))  # -4 to 4 around 17
    assert counts.max() - counts.min() <= 1


def test_each_image_is_changed_by_itself() -> None:
    images, numbers = random_images(), random_numbers(7)
    together = augment(images, CHANGES, numbers)
    for i in range(len(images)):
        alone = augment(images[i : i + 1], CHANGES, numbers[:, i : i + 1])
        assert torch.equal(alone[0], together[i])


@pytest.mark.parametrize("channels", [1, 3])
def test_gradients_pass(channels: int) -> None:
    images = random_images(2, channels, 8).requires_grad_()
    numbers = random_numbers(7, 2)
    assert torch.autograd.gradcheck(lambda x: augment(x, CHANGES, numbers), images)


def test_random_numbers_follow_the_seed() -> None:
    images, augmentation = random_images(), DiscriminatorAugmentation(CHANGES)
    found = []
    for seed in [(0, 1, 2, 0), (0, 1, 3, 0), (0, 1, 2, 0)]:
        augmentation.reseed(*seed)
        found.append((augmentation(images), augmentation(images)))
    assert torch.equal(found[0][0], found[2][0]) and torch.equal(found[0][1], found[2][1])
    assert not torch.equal(found[0][0], found[1][0])
    assert not torch.equal(found[0][0], found[0][1])


def test_chosen_changes_alone_are_made() -> None:
    images = random_images().float()
    for change, untouched in (("translation", 0.3), ("cutout", 0.5)):
        augmentation = DiscriminatorAugmentation([change])
        changed = augmentation(images)
        values = np.isin(changed.numpy(), images.numpy())
        assert untouched < values.mean() < 1 and (changed[torch.from_numpy(~values)] == 0).all()


def test_without_changes_the_discriminator_itself_judges() -> None:
    discriminator = torch.nn.Conv2d(3, 1, 4)
    assert DiscriminatorAugmentation(()).before(discriminator) is discriminator
