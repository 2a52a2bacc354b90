"""PaDiM (Defard et al., 2020): a Gaussian at each position, fitted to features of normal images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor

from cyclegan_ad.errors import UserError
from cyclegan_ad.methods.embedding import EmbeddingMethod, seeded
from cyclegan_ad.networks.padim import PaDiMScorer
from cyclegan_ad.pretrained.backbones import importing_anomalib


class PaDiM(EmbeddingMethod):
    """Mahalanobis distance of the features at each position to those of normal images.

    The score of an image is the maximum of its map: the distances upsampled to the size of the
    image (bilinear) and smoothed (Gaussian, 4 px).

    Args:
        n_features: Channels of the layers to draw at random (100 of resnet18 in the paper).
        common: Arguments of :class:`EmbeddingMethod`.

    Raises:
        UserError: If anomalib is not installed.
    """

    method_name = "padim"

    def __init__(self, *, n_features: int, **common: Any) -> None:
        super().__init__(**common)
        self.save_hyperparameters()
        with importing_anomalib():
            from anomalib.models.image.padim.torch_model import PadimModel
        with seeded(self.seed):
            initial = PadimModel(
                backbone=self.backbone.timm_name,
                layers=self.layers,
                pre_trained=False,
                n_features=n_features,
            )
        self.begin_with(initial, n_features=n_features)

    def fit_embeddings(self, embeddings: list[Tensor]) -> None:
        """Compute mean and inverse covariance at each position (Sec. III-B of the PaDiM paper).

        Raises:
            UserError: If there is only one image, which has no covariance.
        """
        if len(embeddings) < 2:
            raise UserError(
                "invalid method=padim for 1 normal training image: expected at least 2; add images "
                "or use method=patchcore"
            )
        bank = torch.stack(embeddings)
        embeddings.clear()
        with importing_anomalib():
            from anomalib.models.components import MultiVariateGaussian
        fitted = MultiVariateGaussian()
        with _default_dtype(bank.dtype):
            fitted.fit(bank)
        gaussian = cast(PaDiMScorer, self.model).gaussian
        gaussian.mean = fitted.mean
        # The memory layout affects the last digits; this is the one of a loaded checkpoint.
        gaussian.inv_covariance = fitted.inv_covariance.contiguous()

    def peak_bytes(self, n_images: int, embedding: Tensor) -> float:
        """Return the size of two copies of the embeddings and four of the covariance matrices."""
        n_features, height, width = embedding.shape
        covariances = height * width * n_features**2
        return (2.0 * n_images * embedding.numel() + 4.0 * covariances) * embedding.itemsize


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Set torch's default dtype, in which anomalib computes covariance matrices."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
