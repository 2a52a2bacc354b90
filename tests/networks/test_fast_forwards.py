"""The fast forward methods against torch's own."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cyclegan_ad.networks.discriminator import Discriminator
from cyclegan_ad.networks.fast_forwards import (
    FromImage,
    InstanceNorm,
    ReflectionPad,
    ToImage,
    UpConvolution,
    use_fast_forwards,
)
from cyclegan_ad.networks.generator import Generator
from cyclegan_ad.networks.inference import plain as without_fast

# (torch's own layer, its fast class, shape of its input)
LAYERS: dict[str, tuple[Callable[[], nn.Module], type[nn.Module], tuple[int, ...]]] = {
    "norm": (lambda: nn.InstanceNorm2d(6), InstanceNorm, (3, 6, 8, 5)),
    "norm of one image": (lambda: nn.InstanceNorm2d(4), InstanceNorm, (1, 4, 4, 4)),
    "pad": (lambda: nn.ReflectionPad2d(2), ReflectionPad, (2, 3, 7, 6)),
    "up": (
        lambda: nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1),
        UpConvolution,
        (2, 6, 5, 4),
    ),
    "from grey": (lambda: nn.Conv2d(1, 5, 7), FromImage, (2, 1, 10, 9)),
    "from colour": (lambda: nn.Conv2d(3, 5, 7), FromImage, (3, 3, 9, 12)),
    "to grey": (lambda: nn.Conv2d(5, 1, 7), ToImage, (2, 5, 10, 9)),
    "to colour": (lambda: nn.Conv2d(5, 3, 7), ToImage, (3, 5, 9, 12)),
}
NETWORKS = {
    "generator of grey": (lambda: Generator(1, 4, 2), (2, 1, 32, 28)),
    "generator of colour": (lambda: Generator(3, 4, 1), (1, 3, 32, 32)),
    "narrow generator": (lambda: Generator(3, 2, 1), (2, 3, 32, 32)),
    "discriminator": (lambda: Discriminator(3, 4), (2, 3, 32, 40)),
}


def with_fast(plain: nn.Module) -> nn.Module:
    fast = copy.deepcopy(plain)
    use_fast_forwards(fast)
    assert list(fast.state_dict()) == list(plain.state_dict())
    return fast


def both(kind: str, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, nn.Module, Tensor]:
    make, fast_class, shape = LAYERS[kind]
    torch.manual_seed(0)
    plain = make().to(dtype)
    fast = with_fast(plain)
    assert type(fast) is fast_class
    return fast, plain, (3 * torch.randn(shape) + 1).to(dtype)


def results(layer: nn.Module, given: Tensor) -> list[Tensor]:
    """Output, gradient of the input and gradients of the weights."""
    given = given.clone().requires_grad_()
    made = layer(given)
    weights = torch.arange(made.numel()).double().cos().to(made.dtype).view(made.shape)
    return [made, *torch.autograd.grad((made * weights).sum(), [given, *layer.parameters()])]


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kind", LAYERS)
def test_the_same_values_and_gradients(kind: str, order: torch.memory_format) -> None:
    fast, plain, given = both(kind)
    given = given.contiguous(memory_format=order)
    for ours, theirs in zip(results(fast, given), results(plain, given), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", NETWORKS)
def test_whole_networks_are_the_same(kind: str, checkpointing: bool) -> None:
    make, shape = NETWORKS[kind]
    torch.manual_seed(0)
    plain = make().double()
    fast = with_fast(plain)
    for network in (plain, fast):
        network.checkpoint_activations = checkpointing
    own = (nn.ReflectionPad2d, nn.InstanceNorm2d, nn.ConvTranspose2d)
    assert not any(type(layer) in own for layer in fast.modules())
    given = torch.randn(shape, dtype=torch.float64)
    for ours, theirs in zip(results(fast, given), results(plain, given), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_weights_are_in_channels_last_order_with_the_same_values() -> None:
    torch.manual_seed(0)
    plain = Generator(3, 4, 1)
    fast = with_fast(plain)
    for own, ours in zip(plain.parameters(), fast.parameters(), strict=True):
        assert torch.equal(own, ours)
        assert own.is_contiguous()
        assert ours.dim() < 4 or ours.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", LAYERS)
def test_the_same_without_gradients(kind: str) -> None:
    fast, plain, given = both(kind, torch.float32)
    with torch.inference_mode():
        torch.testing.assert_close(fast(given), plain(given))


@pytest.mark.parametrize("kind", LAYERS)
def test_bfloat16_under_autocast_is_close(kind: str) -> None:
    fast, plain, given = both(kind, torch.float32)
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


def hard_images(dtype: torch.dtype) -> dict[str, Tensor]:
    """(2, 4, 24, 20) images whose statistics cancel easily; the second of a kind is ordinary."""
    torch.manual_seed(0)
    ordinary = torch.randn(4, 24, 20)
    flat = torch.tensor([0.3, -0.77, 100.0, 1e-3]).view(4, 1, 1).expand(4, 24, 20)
    spot = flat.clone()
    spot[:, 5, 7] *= 1.01
    images = {
        "flat": flat,
        "nearly flat": spot,
        "black": torch.zeros(4, 24, 20),
        "one bright pixel": torch.zeros(4, 24, 20).index_fill(2, torch.tensor(3), 1e4),
        "very bright": 1e3 + 8 * ordinary,
        "very dark": 1e-4 * ordinary,
        "far from 0": 70 + ordinary,
    }
    return {name: torch.stack([image, ordinary]).to(dtype) for name, image in images.items()}


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("kind", hard_images(torch.float32))
def test_the_norm_does_not_cancel(
    kind: str, dtype: torch.dtype, order: torch.memory_format
) -> None:
    given = hard_images(dtype)[kind].contiguous(memory_format=order)
    ours = results(InstanceNorm(4), given)
    exact = results(nn.InstanceNorm2d(4), given.double())
    eps = torch.finfo(dtype).eps
    for found, expected in zip(ours, exact, strict=True):
        scale = expected.abs().amax(dim=(2, 3), keepdim=True).clamp_min(1e-3)
        # float32: up to 64 digits of the last place are lost with the mean, as documented
        assert ((found - expected).abs() / scale).max() < (
            4 if dtype == torch.bfloat16 else 1e3
        ) * eps
    if kind in ("flat", "black"):
        assert not ours[0][0].any()


def test_flat_images_do_not_stop_a_bfloat16_training_step() -> None:
    """The residue of a flat channel let gradients grow by 316 at each norm, up to NaN."""
    generator = Generator(1, base_channels=8, residual_blocks=6)
    use_fast_forwards(generator)
    images = torch.stack([torch.full((1, 32, 32), grey) for grey in (-0.9, 0.37, 0.0)])
    with torch.autocast("cpu", torch.bfloat16):
        made = generator(images)
    made.float().square().sum().backward()
    largest = [p.grad.abs().max() for p in generator.parameters() if p.grad is not None]
    assert torch.stack(largest).max() < 1e4


@pytest.mark.parametrize("kind", NETWORKS)
def test_plain_layers_come_back(kind: str) -> None:
    make, shape = NETWORKS[kind]
    torch.manual_seed(0)
    plain = make()
    back = without_fast(with_fast(plain))
    assert [type(layer) for layer in back.modules()] == [type(layer) for layer in plain.modules()]
    for one, other in zip(back.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other) and one.stride() == other.stride()
    given = torch.randn(shape)
    assert torch.equal(back(given), plain(given))
