"""The discriminator: its shapes, its size by hand, the 70x70 pixels that a prediction sees."""

import pytest
import torch
from torch import nn

from cyclegan_ad.networks.discriminator import Discriminator


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("size", "patches"), [(32, 2), (36, 2), (64, 6), (100, 10), (128, 14), (256, 30)]
)
def test_one_prediction_a_patch(channels: int, size: int, patches: int) -> None:
    given = torch.rand(2, channels, size, size)
    with torch.inference_mode():
        predicted = Discriminator(channels, base_channels=2)(given)
    assert predicted.shape == (2, 1, patches, patches)
    assert patches == size // 8 - 2


def test_number_of_weights_of_the_paper() -> None:
    # Weights and biases by hand, layer by layer: C64, C128, C256, C512 and the prediction.
    with torch.device("meta"):
        found = sum(parameter.numel() for parameter in Discriminator(3, 64).parameters())
        grey = sum(parameter.numel() for parameter in Discriminator(1, 64).parameters())
    by_hand = (
        (3 * 16 * 64 + 64)
        + (64 * 16 * 128 + 128)
        + (128 * 16 * 256 + 256)
        + (256 * 16 * 512 + 512)
        + (512 * 16 + 1)
    )
    assert found == by_hand == 2_764_737
    assert found - grey == 2 * 16 * 64


def without_norms(network: nn.Module) -> nn.Module:
    """Instance norm mixes all pixels; what is left is what one prediction sees."""
    for name, module in network.named_modules():
        if isinstance(module, nn.InstanceNorm2d):
            parent, _, last = name.rpartition(".")
            setattr(network.get_submodule(parent), last, nn.Identity())
    return network


def test_a_prediction_sees_70_by_70_pixels() -> None:
    torch.manual_seed(0)
    discriminator = without_norms(Discriminator(1, base_channels=2)).double()
    images = torch.rand(1, 1, 256, 256, dtype=torch.float64, requires_grad=True)
    predicted = discriminator(images)
    seen = []
    for y, x in ((15, 15), (15, 16), (16, 15)):
        (gradient,) = torch.autograd.grad(predicted[0, 0, y, x], images, retain_graph=True)
        rows = gradient[0, 0].abs().sum(1).nonzero().flatten()
        columns = gradient[0, 0].abs().sum(0).nonzero().flatten()
        assert len(rows) == rows[-1] - rows[0] + 1 == 70
        assert len(columns) == columns[-1] - columns[0] + 1 == 70
        seen.append((rows[0].item(), columns[0].item()))
    (top, left), right, below = seen
    assert right == (top, left + 8)  # neighbours overlap: they are 8 pixels apart
    assert below == (top + 8, left)


def test_layers_are_those_of_the_paper() -> None:
    layers = list(Discriminator(3, base_channels=4).layers)
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [4, 8, 16, 32, 1]
    assert {layer.kernel_size for layer in convolutions} == {(4, 4)}
    assert [layer.stride[0] for layer in convolutions] == [2, 2, 2, 1, 1]
    assert [type(layer).__name__ for layer in layers] == [
        "Conv2d",
        "LeakyReLU",
        *["Conv2d", "InstanceNorm2d", "LeakyReLU"] * 3,
        "Conv2d",
    ]
    assert {layer.negative_slope for layer in layers if isinstance(layer, nn.LeakyReLU)} == {0.2}


def test_predictions_are_unbounded() -> None:
    discriminator = Discriminator(1, base_channels=2)
    with torch.no_grad():
        discriminator.layers[-1].bias.fill_(7.0)
        high = discriminator(torch.rand(1, 1, 32, 32))
        discriminator.layers[-1].bias.fill_(-7.0)
        low = discriminator(torch.rand(1, 1, 32, 32))
    assert high.min() > 1 and low.max() < 0


def test_predictions_of_an_image_are_the_same_whatever_is_beside_it() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(1, base_channels=4).double()
    given = torch.rand(5, 1, 32, 32, dtype=torch.float64)
    with torch.inference_mode():
        together = discriminator(given)
        alone = torch.cat([discriminator(image[None]) for image in given])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)


def test_what_is_given_stays_as_it_is() -> None:
    given = torch.rand(1, 1, 32, 32)
    kept = given.clone()
    Discriminator(1, base_channels=2)(given)  # its ReLUs work in place
    assert torch.equal(given, kept)


def test_weights_are_drawn_with_the_initialisation_of_the_paper() -> None:
    torch.manual_seed(0)
    for name, parameter in Discriminator(3, base_channels=16).named_parameters():
        if name.endswith("bias"):
            assert (parameter == 0).all(), name
        else:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1), name


def test_downsampling_judges_the_means_of_the_pixels() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(1, base_channels=4, downsampling=2)
    plain = Discriminator(1, base_channels=4)
    plain.load_state_dict(discriminator.state_dict())
    given = torch.rand(2, 1, 64, 96)
    small = given.unflatten(3, (48, 2)).unflatten(2, (32, 2)).mean(dim=(3, 5))
    torch.testing.assert_close(discriminator(given), plain(small))
