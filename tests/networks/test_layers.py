"""The fast layers against torch's own."""

import pytest
import torch
from torch import Tensor, nn

from cyclegan_ad.networks.layers import (
    FromImage,
    InstanceNorm,
    ReflectionPad,
    ToImage,
    UpConvolution,
)

# (fast layer, torch's own, shape of its input)
PAIRS = {
    "norm": (lambda: InstanceNorm(6), lambda: nn.InstanceNorm2d(6), (3, 6, 8, 5)),
    "norm of one image": (lambda: InstanceNorm(4), lambda: nn.InstanceNorm2d(4), (1, 4, 4, 4)),
    "pad": (lambda: ReflectionPad(2), lambda: nn.ReflectionPad2d(2), (2, 3, 7, 6)),
    "up": (
        lambda: UpConvolution(6, 4, 3, stride=2, padding=1, output_padding=1),
        lambda: nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1),
        (2, 6, 5, 4),
    ),
    "from grey": (lambda: FromImage(1, 5, 7), lambda: nn.Conv2d(1, 5, 7), (2, 1, 10, 9)),
    "from colour": (lambda: FromImage(3, 5, 7), lambda: nn.Conv2d(3, 5, 7), (3, 3, 9, 12)),
    "to grey": (lambda: ToImage(5, 1, 7), lambda: nn.Conv2d(5, 1, 7), (2, 5, 10, 9)),
    "to colour": (lambda: ToImage(5, 3, 7), lambda: nn.Conv2d(5, 3, 7), (3, 5, 9, 12)),
}


def both(pair: str, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, nn.Module, Tensor]:
    ours, theirs, shape = PAIRS[pair]
    torch.manual_seed(0)
    fast, plain = ours().to(dtype), theirs().to(dtype)
    assert list(fast.state_dict()) == list(plain.state_dict())
    fast.load_state_dict(plain.state_dict())
    return fast, plain, (3 * torch.randn(shape) + 1).to(dtype)


def results(layer: nn.Module, given: Tensor) -> list[Tensor]:
    """Output, gradient of the input and gradients of the weights."""
    given = given.clone().requires_grad_()
    made = layer(given)
    weights = torch.arange(made.numel()).double().cos().to(made.dtype).view(made.shape)
    return [made, *torch.autograd.grad((made * weights).sum(), [given, *layer.parameters()])]


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("pair", PAIRS)
def test_the_same_values_and_gradients(pair: str, order: torch.memory_format) -> None:
    fast, plain, given = both(pair)
    given = given.contiguous(memory_format=order)
    for ours, theirs in zip(results(fast, given), results(plain, given), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("pair", PAIRS)
def test_the_same_without_gradients(pair: str) -> None:
    fast, plain, given = both(pair, torch.float32)
    with torch.inference_mode():
        torch.testing.assert_close(fast(given), plain(given))


@pytest.mark.parametrize("pair", PAIRS)
def test_bfloat16_under_autocast_is_close(pair: str) -> None:
    fast, plain, given = both(pair, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        ours = results(fast, given.bfloat16())
    theirs = results(plain, given)
    for mixed, exact in zip(ours, theirs, strict=True):
        assert (mixed.float() - exact).abs().max() <= 0.05 * exact.abs().max().clamp(min=0.5)


def test_a_pad_stays_in_bfloat16() -> None:
    given = torch.rand(1, 1, 4, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert nn.ReflectionPad2d(1)(given).dtype == torch.float32  # what it is there for
        assert ReflectionPad(1)(given).dtype == torch.bfloat16


def test_a_norm_keeps_channels_last() -> None:
    given = torch.rand(2, 4, 6, 6).contiguous(memory_format=torch.channels_last)
    assert InstanceNorm(4)(given).is_contiguous(memory_format=torch.channels_last)


def test_a_norm_of_one_pixel_is_refused() -> None:
    with pytest.raises(ValueError, match=r"[Mm]ore than 1"):
        InstanceNorm(4)(torch.rand(2, 4, 1, 1))
