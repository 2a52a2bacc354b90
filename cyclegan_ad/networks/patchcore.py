"""Inference of PatchCore (Roth et al., 2022) in plain torch."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cyclegan_ad.networks.embedding import EmbeddingScorer, FittedTensors

# Patches of an image that are compared with the memory bank at once, which bounds the memory.
_PATCHES_AT_ONCE = 1024


class PatchCoreScorer(FittedTensors, EmbeddingScorer):
    """Distance of patches to a memory bank, a selection of the patches of normal images.

    The score of an image is that of its most distant patch, reweighted by the neighbours of the
    nearest patch in the bank (Eq. 7 of the PatchCore paper). Its map holds the distances, upsampled
    to the size of the image and smoothed (Gaussian, 4 px). It computes what anomalib's
    ``PatchcoreModel`` does.

    Args:
        n_neighbors: Neighbours that determine the weight of a score; 1: no weight.
        common: Arguments of :class:`EmbeddingScorer`.
    """

    def __init__(self, *, n_neighbors: int, **common: Any) -> None:
        super().__init__(interpolation="nearest", **common)
        self.n_neighbors = n_neighbors
        self.memory_bank: Tensor  # (B, D)
        self.register_buffer("memory_bank", torch.empty(0))
        self.requires_grad_(False)

    def describe(self, images: Tensor) -> Tensor:
        """Compute the locally averaged features of each patch: (N, C, H, W) to (N, P, D)."""
        finest, *coarser = [
            functional.avg_pool2d(maps, 3, stride=1, padding=1)
            for maps in self.feature_extractor(images)
        ]
        size = finest.shape[-2:]
        enlarged = [functional.interpolate(maps, size, mode="bilinear") for maps in coarser]
        return torch.cat([finest, *enlarged], 1).permute(0, 2, 3, 1).flatten(1, 2)

    def is_fitted(self) -> bool:
        """Return whether there is a memory bank."""
        return self.memory_bank.numel() > 0

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute scores (N,) and maps (N, H, W): (N, C, H, W) in [-1, 1]."""
        patches = self.describe(images)
        nearest = [
            distances(part, self.memory_bank).min(2)
            for part in patches.split(_PATCHES_AT_ONCE, dim=1)
        ]
        to_bank, places = (torch.cat(parts, 1) for parts in zip(*nearest, strict=True))  # (N, P)
        side = math.isqrt(patches.shape[1])
        maps = self.anomaly_map_generator(to_bank.unflatten(1, (1, side, side)))
        return self._scores(patches, to_bank, places), maps

    def _scores(self, patches: Tensor, to_bank: Tensor, places: Tensor) -> Tensor:
        """Compute the score of each image (Eq. 7): (N, P, D), (N, P), (N, P) to (N,)."""
        farthest, worst = to_bank.max(1, keepdim=True)  # s*, (N, 1)
        if self.n_neighbors == 1:
            return farthest[:, 0]
        test_patch = patches.gather(1, worst[..., None].expand(-1, -1, patches.shape[2]))
        nearest = self.memory_bank[places.gather(1, worst)]  # m*, (N, 1, D)
        count = min(self.n_neighbors, len(self.memory_bank))
        neighbours = distances(nearest, self.memory_bank)[:, 0].topk(count, largest=False)[1]
        apart = distances(test_patch, self.memory_bank[neighbours])[:, 0]  # (N, count)
        weights = 1 - functional.softmax(apart, 1)[:, 0]
        return weights * farthest[:, 0]


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Compute the Euclidean distances of all pairs: (N, P, D) and (B, D) or (N, B, D) to (N, P, B).

    The product of matrices is faster than ``torch.cdist`` and can be exported. Its cancellation
    leaves about three digits of a distance near 0.
    """
    squares = torch.matmul(x, y.transpose(-2, -1)).mul_(-2)
    squares.add_(x.square().sum(-1, keepdim=True)).add_(y.square().sum(-1).unsqueeze(-2))
    return squares.clamp_min_(0).sqrt_()
