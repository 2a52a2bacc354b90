import numpy as np
import pytest
import torch

from cyclegan_ad.data.augment import _turn_together, dihedral, random_symmetries

SQUARE = torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]]).view(1, 1, 3, 3)
# Written out by hand in the order of the module's table.
SYMMETRIES = [
    [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
    [[3, 6, 9], [2, 5, 8], [1, 4, 7]],
    [[9, 8, 7], [6, 5, 4], [3, 2, 1]],
    [[7, 4, 1], [8, 5, 2], [9, 6, 3]],
    [[3, 2, 1], [6, 5, 4], [9, 8, 7]],
    [[1, 4, 7], [2, 5, 8], [3, 6, 9]],
    [[7, 8, 9], [4, 5, 6], [1, 2, 3]],
    [[9, 6, 3], [8, 5, 2], [7, 4, 1]],
]


@pytest.fixture(params=[dihedral, _turn_together], ids=["cpu", "gpu"])
def turn(request):
    """The way of a CPU, and that of a GPU, on the CPU."""
    return request.param


@pytest.mark.parametrize("symmetry", range(8))
def test_the_order_of_the_symmetries(symmetry, turn):
    turned = turn(SQUARE, torch.tensor([symmetry]))
    assert turned[0, 0].tolist() == SYMMETRIES[symmetry]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.bool])
def test_equals_numpy_for_each_image_of_a_batch(dtype, turn):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (16, 3, 10, 10), generator=generator).to(dtype)
    symmetry = torch.arange(16) % 8
    turned = turn(images, symmetry)
    assert turned.dtype == dtype
    for index in range(16):
        image = images[index].numpy()
        if symmetry[index] >= 4:
            image = np.flip(image, axis=2)
        expected = np.rot90(image, k=int(symmetry[index]) % 4, axes=(1, 2))
        np.testing.assert_array_equal(turned[index].numpy(), expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_any_memory_order_which_stays_and_no_alias(turn, channels):
    images = torch.rand(2, channels, 8, 8, generator=torch.Generator().manual_seed(1))
    symmetry = torch.tensor([0, 5])
    expected = turn(images, symmetry)
    assert expected.is_contiguous()
    channels_last = images.contiguous(memory_format=torch.channels_last)
    turned = turn(channels_last, symmetry)
    assert torch.equal(turned, expected)
    assert turned.is_contiguous(memory_format=torch.channels_last)
    part = torch.cat([images, images], dim=3)[..., :8]  # neither of the two orders
    assert torch.equal(turn(part, symmetry), expected)
    expected[0].zero_()
    turned[0].zero_()
    assert images[0].abs().sum() > 0 and channels_last[0].abs().sum() > 0


def test_gradients_pass_even_if_first_used_for_inference(turn):
    with torch.inference_mode():
        turn(torch.zeros(1, 1, 5, 5), torch.tensor([3]))
    images = torch.rand(1, 1, 5, 5, requires_grad=True)
    weight = torch.arange(25.0).view(1, 1, 5, 5)
    (turn(images, torch.tensor([1])) * weight).sum().backward()
    assert torch.equal(images.grad, turn(weight, torch.tensor([3])))


def test_empty_batch(turn):
    empty = torch.zeros(0, 3, 4, 4)
    assert turn(empty, torch.zeros(0, dtype=torch.int64)).shape == (0, 3, 4, 4)


@pytest.mark.parametrize(
    ("images", "symmetry", "message"),
    [
        (torch.zeros(1, 1, 2, 3), torch.tensor([0]), r"\(1, 1, 2, 3\): expected \(N, C, S, S\)"),
        (torch.zeros(1, 2, 2), torch.tensor([0]), r"expected \(N, C, S, S\)"),
        (torch.zeros(2, 1, 2, 2), torch.tensor([0]), r"expected \(2,\) and torch.int64"),
        (torch.zeros(1, 1, 2, 2), torch.tensor([0], dtype=torch.int32), "torch.int32"),
    ],
)
def test_wrong_arguments(images, symmetry, message):
    with pytest.raises(ValueError, match=message):
        dihedral(images, symmetry)


@pytest.mark.parametrize("wrong", [8, -1])
def test_symmetry_out_of_range(wrong):
    with pytest.raises(IndexError, match=rf"invalid symmetry {wrong}: expected 0\.\.7"):
        dihedral(SQUARE, torch.tensor([wrong]))


@pytest.mark.parametrize(
    ("augmentation", "allowed"), [("dihedral", range(8)), ("flip", (0, 4)), ("none", (0,))]
)
def test_random_symmetries_are_uniform(augmentation, allowed):
    drawn = random_symmetries(8000, augmentation, torch.Generator().manual_seed(0))
    assert drawn.dtype == torch.int64
    counts = torch.bincount(drawn, minlength=8).tolist()
    mean = 8000 / len(allowed)
    for symmetry, count in enumerate(counts):
        expected = mean if symmetry in allowed else 0
        assert abs(count - expected) <= 5 * mean**0.5 * (symmetry in allowed)


def test_random_symmetries_depend_on_the_generator_alone():
    first = random_symmetries(50, "dihedral", torch.Generator().manual_seed(7))
    torch.manual_seed(123)
    again = random_symmetries(50, "dihedral", torch.Generator().manual_seed(7))
    other = random_symmetries(50, "dihedral", torch.Generator().manual_seed(8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
