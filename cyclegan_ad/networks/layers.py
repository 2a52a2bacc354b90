"""Building blocks of both networks, and their initial weights."""

from torch import Tensor, nn


def normalised(
    convolution: nn.Conv2d | nn.ConvTranspose2d, activation: nn.Module
) -> list[nn.Module]:
    """Return a convolution followed by instance norm and an activation."""
    return [convolution, nn.InstanceNorm2d(convolution.out_channels), activation]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with reflection padding and instance norm, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),  # (N, C, H + 2, W + 2)
            *normalised(nn.Conv2d(channels, channels, 3), nn.ReLU(True)),  # (N, C, H, W)
            nn.ReflectionPad2d(1),  # (N, C, H + 2, W + 2)
            nn.Conv2d(channels, channels, 3),  # (N, C, H, W)
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add the output of the layers to their input: (N, C, H, W) to (N, C, H, W)."""
        return x + self.layers(x)


def initialise_weights(network: nn.Module, std: float = 0.02) -> None:
    """Draw convolution weights from N(0, std) and set their biases to zero, in place."""
    for module in network.modules():
        # On the meta device, weights will come from a file, and a draw would import the compiler.
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not module.weight.is_meta:
            nn.init.normal_(module.weight, 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
