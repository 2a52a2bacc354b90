"""Inference of PaDiM (Defard et al., 2020) in plain torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cyclegan_ad.networks.embedding import EmbeddingScorer, FittedTensors


class PaDiMScorer(EmbeddingScorer):
    """Mahalanobis distance of the features at each position to those of normal images.

    The score of an image is the maximum of its map: the distances upsampled to the size of the
    image (bilinear) and smoothed (Gaussian, 4 px). It computes what anomalib's ``PadimModel`` does.

    Args:
        n_features: Channels of the layers that are used.
        common: Arguments of :class:`EmbeddingScorer`.
    """

    def __init__(self, *, n_features: int, **common: Any) -> None:
        super().__init__(interpolation="bilinear", **common)
        self.idx: Tensor  # numbers of the channels, drawn at random
        self.register_buffer("idx", torch.empty(n_features, dtype=torch.int64))
        self.gaussian = _Gaussians()
        self.requires_grad_(False)

    def describe(self, images: Tensor) -> Tensor:
        """Compute the features at each position: (N, C, H, W) to (N, n_features, h, w)."""
        finest, *coarser = self.feature_extractor(images)
        size = finest.shape[-2:]
        enlarged = [functional.interpolate(maps, size, mode="nearest") for maps in coarser]
        return torch.cat([finest, *enlarged], 1).index_select(1, self.idx)

    def is_fitted(self) -> bool:
        """Return whether the Gaussians are fitted."""
        return self.gaussian.mean.numel() > 0

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute scores (N,) and maps (N, H, W): (N, C, H, W) in [-1, 1]."""
        maps = self.anomaly_map_generator(self.gaussian(self.describe(images)))
        return maps.amax((-2, -1)), maps


class _Gaussians(FittedTensors):
    """A Gaussian at each of P positions; distance from it (Eq. 2 of the PaDiM paper)."""

    def __init__(self) -> None:
        super().__init__()
        self.mean: Tensor  # (n_features, P)
        self.inv_covariance: Tensor  # (P, n_features, n_features)
        self.register_buffer("mean", torch.empty(0))
        self.register_buffer("inv_covariance", torch.empty(0))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Compute Mahalanobis distances: (N, n_features, h, w) to (N, 1, h, w)."""
        delta = (embeddings.flatten(2) - self.mean).permute(2, 0, 1)  # (P, N, n_features)
        squares = (torch.matmul(delta, self.inv_covariance) * delta).sum(2)  # (P, N)
        return squares.permute(1, 0).unflatten(1, (1, *embeddings.shape[2:])).clamp(0).sqrt()
