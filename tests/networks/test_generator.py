"""The generator: its shapes, its size by hand, and what its layers are."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from cyclegan_ad.networks.generator import Generator
from cyclegan_ad.networks.layers import ResidualBlock


def images(*shape: int) -> torch.Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(0)) - 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(32, 32), (36, 36), (64, 64), (64, 32), (100, 100)])
def test_keeps_the_shape_and_stays_in_range(channels: int, size: tuple[int, int]) -> None:
    given = images(2, channels, *size)
    with torch.inference_mode():
        made = Generator(channels, base_channels=4, residual_blocks=2)(given)
    assert made.shape == given.shape
    assert made.dtype == torch.float32
    assert made.abs().max() <= 1


def test_range_is_kept_whatever_the_weights() -> None:
    torch.manual_seed(0)
    generator = Generator(1, base_channels=4, residual_blocks=1)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(1000)
        made = generator(images(1, 1, 32, 32))
    assert made.min() == -1 and made.max() == 1


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_number_of_weights_of_the_paper() -> None:
    # Weights and biases by hand, layer by layer: c7s1-64, d128, d256, nine R256, u128, u64, c7s1-3.
    first = 3 * 7 * 7 * 64 + 64
    down = (64 * 3 * 3 * 128 + 128) + (128 * 3 * 3 * 256 + 256)
    block = 2 * (256 * 3 * 3 * 256 + 256)
    up = (256 * 3 * 3 * 128 + 128) + (128 * 3 * 3 * 64 + 64)
    last = 64 * 7 * 7 * 3 + 3
    with torch.device("meta"):
        assert count(Generator(3, 64, 9)) == first + down + 9 * block + up + last == 11_378_179
        assert count(Generator(3, 64, 6)) == first + down + 6 * block + up + last
        grey = Generator(1, 64, 9)
    assert count(grey) == 11_378_179 - 2 * 7 * 7 * 64 - (64 * 7 * 7 * 2 + 2)


def count_of(kind: type[nn.Module], layers: list[nn.Module]) -> int:
    return sum(isinstance(layer, kind) for layer in layers)


@pytest.mark.parametrize("blocks", [1, 6, 9])
def test_layers_are_those_of_the_paper(blocks: int) -> None:
    layers = [module for module in Generator(3, 4, blocks).modules() if not list(module.children())]
    assert count_of(nn.InstanceNorm2d, layers) == 5 + 2 * blocks
    assert count_of(nn.ReflectionPad2d, layers) == 2 + 2 * blocks
    assert count_of(nn.ConvTranspose2d, layers) == 2
    assert isinstance(layers[-1], nn.Tanh)
    assert count_of(nn.BatchNorm2d, layers) == count_of(nn.Dropout, layers) == 0
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    widths = [4, 8, 16] + 2 * blocks * [16] + [8, 4, 3]
    assert [layer.out_channels for layer in convolutions] == widths
    assert [layer.kernel_size[0] for layer in convolutions] == [7] + [3] * (4 + 2 * blocks) + [7]
    assert [layer.stride[0] for layer in convolutions] == [1, 2, 2] + 2 * blocks * [1] + [2, 2, 1]


def test_a_residual_block_adds_to_its_input() -> None:
    block = ResidualBlock(4)
    given = images(2, 4, 8, 8)
    torch.testing.assert_close(block(given), given + block.layers(given))
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(block(given), given)  # nothing added: not even a ReLU after the sum


def test_an_image_is_translated_the_same_whatever_is_beside_it() -> None:
    torch.manual_seed(0)
    generator = Generator(1, base_channels=4, residual_blocks=2).double()
    given = images(5, 1, 32, 32).double()
    with torch.inference_mode():
        together = generator(given)
        alone = torch.cat([generator(image[None]) for image in given])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)


def test_weights_are_drawn_with_the_initialisation_of_the_paper() -> None:
    torch.manual_seed(0)
    generator = Generator(3, base_channels=16, residual_blocks=2)
    for name, parameter in generator.named_parameters():
        if name.endswith("bias"):
            assert (parameter == 0).all(), name
        else:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1), name


def kept_bytes(generator: Generator, given: torch.Tensor) -> int:
    """Bytes of what the forward pass keeps for the backward pass, but for the weights."""
    weights = {parameter.data_ptr() for parameter in generator.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        made = generator(given)
    assert made.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("blocks", [6, 9])
def test_checkpointing_keeps_less_than_half_and_changes_nothing(blocks: int) -> None:
    torch.manual_seed(0)
    generator = Generator(3, base_channels=8, residual_blocks=blocks)
    given = images(2, 3, 64, 64)
    gradients, kept = [], []
    for checkpointing in (False, True):
        generator.checkpoint_activations = checkpointing
        kept.append(kept_bytes(generator, given))
        generator.zero_grad()
        generator(given).square().sum().backward()
        gradients.append([parameter.grad for parameter in generator.parameters()])
    assert 0 < kept[1] < kept[0] / 2
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(again, plain, rtol=1e-4, atol=1e-5)


def test_downsampling_adds_the_enlarged_change_of_the_small_image() -> None:
    torch.manual_seed(0)
    generator = Generator(1, base_channels=4, residual_blocks=1, downsampling=2)
    plain = Generator(1, base_channels=4, residual_blocks=1)
    plain.load_state_dict(generator.state_dict())
    given = 0.4 * images(2, 1, 64, 48)
    small = given.unflatten(3, (24, 2)).unflatten(2, (32, 2)).mean(dim=(3, 5))
    change = (plain(small) - small)[:, 0].detach().numpy()
    enlarged = np.stack(
        [ndimage.zoom(one, 2, order=1, mode="nearest", grid_mode=True) for one in change]
    )
    made = generator(given).detach()[:, 0]
    np.testing.assert_allclose(made, (given[:, 0].numpy() + enlarged).clip(-1, 1), atol=1e-5)


def test_downsampling_keeps_the_range_and_the_gradients() -> None:
    generator = Generator(3, base_channels=4, residual_blocks=1, downsampling=4)
    made = generator(images(1, 3, 128, 128))
    assert made.abs().max() <= 1
    made.sum().backward()
    assert all(parameter.grad is not None for parameter in generator.parameters())
