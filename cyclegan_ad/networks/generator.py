"""The generator: a residual encoder-decoder that keeps the size of its input."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate
from torch.utils.checkpoint import checkpoint

from cyclegan_ad.networks.layers import ResidualBlock, initialise_weights, normalised


class Generator(nn.Module):
    """Image-to-image network (Sec. 2.2): c7s1-64, d128, d256, R256 blocks, u128, u64, c7s1-3.

    Args:
        channels: Channels of the images, 1 (grey) or 3 (RGB).
        base_channels: Width of the first layer; 64 in the paper.
        residual_blocks: Number of residual blocks; 9 in the paper at 256 px, 6 at 64 px.
        downsampling: Factor by which the layers see a smaller image. What they change of it is
            enlarged (bilinear) and added to the image, which keeps its own detail. 1: no change of
            size, as in the paper.

    Attributes:
        checkpoint_activations: Whether to keep only the input of each segment of the network for
            the backward pass and recompute the rest: less than half the memory, a third more
            compute.
    """

    def __init__(
        self, channels: int, base_channels: int, residual_blocks: int, downsampling: int = 1
    ) -> None:
        super().__init__()
        self.downsampling = downsampling
        w = base_channels
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(3),  # (N, C, H + 6, W + 6)
            *normalised(nn.Conv2d(channels, w, 7), nn.ReLU(True)),  # c7s1-64: (N, w, H, W)
            *normalised(_half_size(w, 2 * w), nn.ReLU(True)),  # d128: (N, 2w, H/2, W/2)
            *normalised(_half_size(2 * w, 4 * w), nn.ReLU(True)),  # d256: (N, 4w, H/4, W/4)
            *[ResidualBlock(4 * w) for _ in range(residual_blocks)],  # R256: the same
            *normalised(_double_size(4 * w, 2 * w), nn.ReLU(True)),  # u128: (N, 2w, H/2, W/2)
            *normalised(_double_size(2 * w, w), nn.ReLU(True)),  # u64: (N, w, H, W)
            nn.ReflectionPad2d(3),  # (N, w, H + 6, W + 6)
            nn.Conv2d(w, channels, 7),  # c7s1-3: (N, C, H, W)
            nn.Tanh(),
        )
        initialise_weights(self)
        self.checkpoint_activations = False
        self._segments = list(self._divide())  # a list, so that no layer is counted twice

    def forward(self, images: Tensor) -> Tensor:
        """Translate images: (N, C, H, W) in [-1, 1] to the same.

        H and W are multiples of 4 times the downsampling.
        """
        if self.downsampling == 1:
            return self._translate(images)
        small = avg_pool2d(images, self.downsampling)
        change = interpolate(
            self._translate(small) - small, scale_factor=float(self.downsampling), mode="bilinear"
        )
        return (images + change).clamp(-1, 1)

    def _translate(self, images: Tensor) -> Tensor:
        if not (self.checkpoint_activations and torch.is_grad_enabled()):
            return self.layers(images)
        x = images
        for segment in self._segments:
            x = checkpoint(segment, x, use_reentrant=False, preserve_rng_state=False)
        return x

    def _divide(self) -> Iterator[nn.Module]:
        """Yield the layers in segments that end with an activation or a residual block."""
        start = 0
        for index, layer in enumerate(self.layers, start=1):
            if isinstance(layer, nn.ReLU | nn.Tanh | ResidualBlock):
                yield self.layers[start:index]
                start = index


def _half_size(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1)


def _double_size(channels_in: int, channels_out: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels_in, channels_out, 3, stride=2, padding=1, output_padding=1)
