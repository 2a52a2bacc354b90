"""The discriminator: a PatchGAN, which classifies overlapping 70x70 patches."""

import torch
from torch import Tensor, nn

from cyclegan_ad.networks.initialise import initialise_weights
from cyclegan_ad.networks.layers import InstanceNorm


class Discriminator(nn.Module):
    """70x70 PatchGAN with instance norm (Sec. 2.2).

    Args:
        channels: Channels of the images, 1 (grey) or 3 (RGB).
        base_channels: Width of the first layer; 64 in the paper.
    """

    def __init__(self, channels: int, base_channels: int) -> None:
        super().__init__()
        width = base_channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),  # (N, w, H/2, W/2)
            nn.LeakyReLU(0.2, inplace=True),
            *_patch_layer(width, 2 * width, stride=2),  # (N, 2w, H/4, W/4)
            *_patch_layer(2 * width, 4 * width, stride=2),  # (N, 4w, H/8, W/8)
            *_patch_layer(4 * width, 8 * width, stride=1),  # (N, 8w, H/8 - 1, W/8 - 1)
            nn.Conv2d(8 * width, 1, 4, padding=1),  # (N, 1, H/8 - 2, W/8 - 2)
        )
        initialise_weights(self)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        """Classify patches: (N, C, H, W) in [-1, 1] to (N, 1, H/8 - 2, W/8 - 2), high = real."""
        return self.layers(images)


def _patch_layer(channels_in: int, channels_out: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels_in, channels_out, 4, stride=stride, padding=1),
        InstanceNorm(channels_out),
        nn.LeakyReLU(0.2, inplace=True),
    ]
