"""The pool against a plain loop over images, as in the published code, on equal random numbers."""

import random

import pytest
import torch
from torch import Tensor

from cyclegan_ad.methods.image_pool import ImagePool


class PlainPool:
    """Image by image: fill the pool, then swap with probability 1/2 (published behaviour)."""

    def __init__(self, size: int, numbers: random.Random) -> None:
        self.size, self.numbers = size, numbers
        self.images: list[Tensor] = []

    def exchange(self, new: Tensor) -> Tensor:
        returned = []
        for image in new:
            if len(self.images) < self.size:
                self.images.append(image)
                returned.append(image)
            elif self.numbers.random() > 0.5:
                slot = self.numbers.randrange(self.size)
                returned.append(self.images[slot])
                self.images[slot] = image
            else:
                returned.append(image)
        return torch.stack(returned)


class Numbered:
    """Batches of 2x2 images that all differ: the n-th image handed out is full of n."""

    def __init__(self) -> None:
        self.count = 0

    def batch(self, size: int) -> Tensor:
        numbers = torch.arange(self.count, self.count + size, dtype=torch.float32)
        self.count += size
        return numbers.view(size, 1, 1, 1).expand(size, 1, 2, 2).clone()


def numbers(images: Tensor) -> list[int]:
    assert (images == images[:, :1, :1, :1]).all()  # no image is a mixture
    return images[:, 0, 0, 0].int().tolist()


def pool_with(numbers: random.Random, size: int) -> ImagePool:
    pool = ImagePool(size)
    pool._random = numbers
    return pool


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("batches", [[1] * 60, [4] * 30, [16] * 12, [3, 1, 20, 5, 2, 40, 1, 9]])
def test_equals_a_loop_over_images(size: int, batches: list[int]) -> None:
    pool = pool_with(random.Random(size), size)
    plain = PlainPool(size, random.Random(size))
    images = Numbered()
    older = 0
    for n in batches:
        new = images.batch(n)
        given = new.clone()
        returned = pool.exchange(new)
        assert torch.equal(new, given)  # what is handed in stays as it is
        assert returned.shape == new.shape
        assert numbers(returned) == numbers(plain.exchange(new))
        assert pool.images is not None
        assert numbers(pool.images[: pool.count]) == numbers(torch.stack(plain.images))
        older += (returned != new).any(dim=(1, 2, 3)).sum().item()
    if images.count > 2 * size:
        assert older > 0


class Scripted(random.Random):
    """Always swaps, with the slots given."""

    def __init__(self, slots: list[int]) -> None:
        super().__init__(0)
        self.slots = slots

    def random(self) -> float:
        return 0.9

    def randrange(self, size: int) -> int:  # type: ignore[override]
        return self.slots.pop(0)


def test_one_slot_hit_twice_in_a_batch() -> None:
    pool = pool_with(Scripted([1, 1, 0, 1]), 2)
    images = Numbered()
    assert numbers(pool.exchange(images.batch(2))) == [0, 1]
    # 2 goes to slot 1 and 1 comes out; 3 goes there too and 2 comes out, although it just went in.
    assert numbers(pool.exchange(images.batch(4))) == [1, 2, 0, 3]
    assert pool.images is not None
    assert numbers(pool.images) == [4, 5]


def test_a_batch_that_fills_the_pool_and_swaps() -> None:
    pool = pool_with(Scripted([0]), 2)
    assert numbers(pool.exchange(Numbered().batch(3))) == [0, 1, 0]
    assert pool.images is not None
    assert numbers(pool.images) == [2, 1]


def test_until_it_is_full_it_gives_back_what_it_is_given() -> None:
    pool, images = ImagePool(10), Numbered()
    for n in (3, 3, 4):
        new = images.batch(n)
        assert torch.equal(pool.exchange(new), new)
    assert pool.count == 10
    assert numbers(pool.images) == list(range(10))


def test_without_a_pool_images_pass() -> None:
    pool, images = ImagePool(0), Numbered()
    for _ in range(5):
        new = images.batch(4)
        assert torch.equal(pool.exchange(new), new)
    assert pool.state_dict() == {"images": None}


def test_about_half_of_the_images_are_older() -> None:
    pool, images = ImagePool(20), Numbered()
    pool.reseed(0)
    pool.exchange(images.batch(20))
    older, slots = 0, set()
    for _ in range(50):
        new = images.batch(40)
        returned = pool.exchange(new)
        older += (returned != new).any(dim=(1, 2, 3)).sum().item()
        slots |= {i for i, number in enumerate(numbers(pool.images)) if number >= images.count - 40}
    # 2,000 tosses of a coin: a deviation of 150 is six and a half standard deviations.
    assert 850 < older < 1150
    assert slots == set(range(20))


def test_what_is_returned_does_not_change_with_the_pool() -> None:
    pool = pool_with(Scripted([0, 0]), 1)
    images = Numbered()
    first = pool.exchange(images.batch(1))
    second = pool.exchange(images.batch(1))
    pool.exchange(images.batch(1))
    assert (numbers(first), numbers(second)) == ([0], [0])


def run(pool: ImagePool, images: Numbered, batches: int) -> list[list[int]]:
    return [numbers(pool.exchange(images.batch(3))) for _ in range(batches)]


def test_choices_follow_the_seed_alone() -> None:
    def choices(*seed: int) -> list[list[int]]:
        pool = ImagePool(4)
        random.seed(12)  # of no account, as is torch's
        torch.manual_seed(12)
        pool.reseed(*seed)
        return run(pool, Numbered(), 20)

    assert choices(0, 1, 2) == choices(0, 1, 2)
    seeds = ((0, 1, 2), (1, 1, 2), (0, 2, 2), (0, 1, 3), (12,), (1, 2))
    different = [choices(*seed) for seed in seeds]
    assert len({str(choice) for choice in different}) == len(different)


@pytest.mark.parametrize("filled", [0, 1, 2, 8])
def test_a_copy_from_a_checkpoint_goes_on_alike(filled: int) -> None:
    pool, images = ImagePool(8), Numbered()
    pool.reseed(0, 0)
    run(pool, images, filled)
    state = pool.state_dict()
    kept = None if state["images"] is None else state["images"].clone()
    other = ImagePool(8)
    other.load_state_dict(state)
    assert other.count == pool.count == min(8, 3 * filled)
    other_images = Numbered()
    other_images.count = images.count
    for epoch in (1, 2):
        pool.reseed(0, epoch)
        other.reseed(0, epoch)
        assert run(pool, images, 10) == run(other, other_images, 10)
    if kept is not None:  # the checkpoint holds the images of its moment
        assert torch.equal(state["images"], kept)


def test_a_checkpoint_holds_only_what_is_filled() -> None:
    pool, images = ImagePool(50), Numbered()
    pool.exchange(images.batch(3))
    assert pool.state_dict()["images"].shape == (3, 1, 2, 2)
    assert pool.state_dict()["images"].untyped_storage().nbytes() == 3 * 4 * 4


def test_a_checkpoint_of_a_pool_of_another_size() -> None:
    pool, images = ImagePool(6), Numbered()
    pool.exchange(images.batch(6))
    smaller, larger, off = ImagePool(4), ImagePool(9), ImagePool(0)
    for other in (smaller, larger, off):
        other.load_state_dict(pool.state_dict())
    assert numbers(smaller.images) == [0, 1, 2, 3]
    assert (larger.count, numbers(larger.images[:6])) == (6, [0, 1, 2, 3, 4, 5])
    assert numbers(off.exchange(images.batch(2))) == [6, 7]
    filled = larger.exchange(images.batch(3))
    assert numbers(filled) == [8, 9, 10]
    assert numbers(larger.images) == [0, 1, 2, 3, 4, 5, 8, 9, 10]
    larger.load_state_dict({"images": None})
    assert (larger.count, larger.images) == (0, None)


def test_images_keep_their_precision() -> None:
    pool = ImagePool(2)
    new = torch.rand(3, 1, 2, 2, dtype=torch.float64)
    assert pool.exchange(new).dtype == torch.float64
    assert pool.state_dict()["images"].dtype == torch.float64


def test_a_pool_of_another_precision_goes_on() -> None:
    pool = ImagePool(2)
    pool.exchange(torch.ones(2, 1, 2, 2, dtype=torch.bfloat16))
    kept = ImagePool(2)
    kept.load_state_dict(pool.state_dict())
    new = torch.full((8, 1, 2, 2), 0.3)
    returned = kept.exchange(new)
    assert returned.dtype == torch.float32
    assert set(returned.unique().tolist()) <= {1.0, new[0, 0, 0, 0].item()}
