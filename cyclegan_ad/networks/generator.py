"""The generator: a residual encoder-decoder that keeps the size of its input."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cyclegan_ad.networks.initialise import initialise_weights
from cyclegan_ad.networks.layers import (
    FromImage,
    InstanceNorm,
    ReflectionPad,
    ToImage,
    UpConvolution,
)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with reflection padding and instance norm, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            ReflectionPad(1),
            nn.Conv2d(channels, channels, 3),
            InstanceNorm(channels),
            nn.ReLU(inplace=True),
            ReflectionPad(1),
            nn.Conv2d(channels, channels, 3),
            InstanceNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` plus what the block adds: (N, C, H, W) to (N, C, H, W)."""
        return x + self.layers(x)


class Generator(nn.Module):
    """Image-to-image network (Sec. 2.2): c7s1-64, d128, d256, R256 blocks, u128, u64, c7s1.

    Args:
        channels: Channels of the images, 1 (grey) or 3 (RGB).
        base_channels: Width of the first layer; 64 in the paper.
        residual_blocks: Number of residual blocks; 9 in the paper at 256 px, 6 at 64 px.

    Attributes:
        checkpoint_activations: Keep only what enters each segment of the network for the backward
            pass and compute the rest again: less than half the memory, a third more arithmetic.
    """

    def __init__(self, channels: int, base_channels: int, residual_blocks: int) -> None:
        super().__init__()
        width = base_channels
        self.layers = nn.Sequential(
            ReflectionPad(3),  # (N, C, H, W)
            FromImage(channels, width, 7),
            InstanceNorm(width),
            nn.ReLU(inplace=True),
            *_half_size(width, 2 * width),  # (N, 2w, H/2, W/2)
            *_half_size(2 * width, 4 * width),  # (N, 4w, H/4, W/4)
            *[ResidualBlock(4 * width) for _ in range(residual_blocks)],
            *_double_size(4 * width, 2 * width),  # (N, 2w, H/2, W/2)
            *_double_size(2 * width, width),  # (N, w, H, W)
            ReflectionPad(3),
            ToImage(width, channels, 7),  # (N, C, H, W)
            nn.Tanh(),
        )
        initialise_weights(self)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.checkpoint_activations = False
        self._segments = list(self._divide())  # a list, so that no layer is counted twice

    def forward(self, images: Tensor) -> Tensor:
        """Translate images: (N, C, H, W) in [-1, 1] to the same; H and W are multiples of 4."""
        if not (self.checkpoint_activations and torch.is_grad_enabled()):
            return self.layers(images)
        x = images
        for segment in self._segments:
            x = checkpoint(segment, x, use_reentrant=False, preserve_rng_state=False)
        return x

    def _divide(self) -> Iterator[nn.Module]:
        """The layers in groups that end behind an activation or a residual block."""
        start = 0
        for index, layer in enumerate(self.layers, start=1):
            if isinstance(layer, nn.ReLU | nn.Tanh | ResidualBlock):
                yield self.layers[start:index]
                start = index


def _half_size(channels_in: int, channels_out: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1),
        InstanceNorm(channels_out),
        nn.ReLU(inplace=True),
    ]


def _double_size(channels_in: int, channels_out: int) -> list[nn.Module]:
    return [
        UpConvolution(channels_in, channels_out, 3, stride=2, padding=1, output_padding=1),
        InstanceNorm(channels_out),
        nn.ReLU(inplace=True),
    ]
