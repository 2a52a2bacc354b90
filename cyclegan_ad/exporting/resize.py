"""Pillow's bicubic resize as operations of a graph, equal in every pixel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Pillow computes with integers: a weight is rounded to a multiple of 2**-22. Split in two, the
# products with pixels are exact in float32, whose matrix products every runtime has.
_BITS, _LOW_BITS = 22, 11


class BicubicResize(nn.Module):
    """Resize images to a square as ``Image.resize(..., Image.Resampling.BICUBIC)`` does.

    Pillow resizes each row, rounds to 8 bits, then each column; an image that is much higher than
    wide the other way round (Pillow 13: if ``H > 2 max(W, S) - S``). Each pass is a product with a
    matrix of weights, which depends on the size of the image and is computed in the graph.

    Args:
        size_px: Side of the result.
    """

    def __init__(self, size_px: int) -> None:
        super().__init__()
        self.size_px = size_px

    def forward(self, images: Tensor) -> Tensor:
        """Resize images: (N, H, W, C) uint8 to (N, C, S, S) float32, whole numbers in 0..255."""
        _, height, width, _ = images.shape
        excess = height - 2 * torch.sym_max(width, self.size_px) + self.size_px
        turned = torch.sym_max(torch.sym_min(excess, 1), 0)  # 1: columns first
        first, second = width + turned * (height - width), height + turned * (width - height)
        # By an index instead of a branch of the graph: the side of the first pass becomes the last.
        along, across = 1 + turned * (width - 1), width - turned * (width - 1)
        source = torch.arange(second)[:, None] * across + torch.arange(first) * along
        x = images.flatten(1, 2)[:, source.flatten()]  # (N, H * W, C)
        x = x.unflatten(1, (second, first)).permute(0, 3, 1, 2).float()
        x = self._pass(self._pass(x).transpose(2, 3))  # (N, C, S, S)
        is_turned = torch.scalar_tensor(turned) > 0
        return torch.where(is_turned, x, x.transpose(2, 3))

    def _pass(self, x: Tensor) -> Tensor:
        """Resize the last dimension: (..., L) to (..., S)."""
        weights = pass_weights(x.shape[-1], self.size_px).T  # (L, S)
        high = torch.round(weights / 2**_LOW_BITS)
        low = weights - high * 2**_LOW_BITS
        total = (x @ high.float()).int() * 2**_LOW_BITS + (x @ low.float()).int()
        # Pillow rounds down by a shift, which differs from this only below 0.
        return ((total + 2 ** (_BITS - 1)).clamp(min=0) // 2**_BITS).clamp(max=255).float()


def pass_weights(length: int, size_px: int) -> Tensor:
    """Compute the weights of one pass of Pillow's bicubic resize.

    Args:
        length: Pixels of a row before.
        size_px: Pixels of a row after.

    Returns:
        (size_px, length) float64, whole numbers: multiples of 2**-22 that sum up to about 2**22.
    """
    # Positions of the old pixels (centres at j + 0.5) seen from each new one, in units of the
    # filter. As a fraction of whole numbers they are exact also where a runtime has no float64.
    old = 2 * torch.arange(length) + 1
    new = 2 * torch.arange(size_px) + 1
    x = (old * size_px - new[:, None] * length).double().abs()
    x = x / (2.0 * torch.scalar_tensor(length, dtype=torch.float64).clamp(min=size_px))
    # Keys' cubic with a = -0.5, in Pillow's order of operations.
    near = (1.5 * x - 2.5) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * -0.5
    kernel = torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))
    weights = kernel / kernel.sum(1, keepdim=True) * 2**_BITS
    return torch.sign(weights) * torch.floor(weights.abs() + 0.5)
