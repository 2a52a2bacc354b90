"""Initial weights shared by both networks."""

from torch import nn


def initialise_weights(network: nn.Module, std: float = 0.02) -> None:
    """Draw convolution weights from N(0, std) and set their biases to zero, in place."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
