"""PaDiM (Defard et al., 2020): a Gaussian at each position, fitted to features of normal images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from cyclegan_ad.errors import UserError
from cyclegan_ad.methods.embedding import EmbeddingMethod, seeded
from cyclegan_ad.pretrained.backbones import importing_anomalib
from cyclegan_ad.pretrained.names import check_backbone_name, check_features


class PaDiM(EmbeddingMethod):
    """Mahalanobis distance of the features at each position to those of normal images.

    The score of an image is the maximum of its map: the distances upsampled to the size of the
    image (bilinear) and smoothed (Gaussian, 4 px).

    Args:
        channels: Channels of the images, 1 or 3.
        size_px: Height and width of the images.
        backbone: Name of the pretrained network (resnet18 in the paper).
        layers: Layers whose features are used; None for the backbone's default (strides 4, 8, 16).
        n_features: Channels of the layers to draw at random; None for the backbone's default (100
            of resnet18).
        pretrained: Whether to use ImageNet weights instead of random ones.
        weights_path: File with the ImageNet weights; None for the default of the backbone.
        max_train_images: Number of training images to draw at random; None for all.
        seed: Seed of every random choice.

    Raises:
        UserError: If anomalib is not installed or a setting does not fit the backbone.
    """

    def __init__(
        self,
        *,
        channels: int,
        size_px: int,
        backbone: str,
        layers: Sequence[str] | None,
        n_features: int | None,
        pretrained: bool,
        weights_path: str | None,
        max_train_images: int | None,
        seed: int,
    ) -> None:
        known = check_backbone_name(backbone)
        used = list(known.padim_layers if layers is None else layers)
        super().__init__(
            "padim",
            channels=channels,
            size_px=size_px,
            backbone=backbone,
            layers=used,
            pretrained=pretrained,
            weights_path=weights_path,
            max_train_images=max_train_images,
            seed=seed,
        )
        self.save_hyperparameters()
        with importing_anomalib():
            from anomalib.models.image.padim.torch_model import PadimModel
        with seeded(seed):
            self.model = PadimModel(
                backbone=known.timm_name,
                layers=used,
                pre_trained=False,
                n_features=check_features(known, used, n_features),
            )
        self.model.requires_grad_(False)

    def embed_patches(self, images: Tensor) -> Tensor:
        """Compute the features at each position: (N, 3, H, W) to (N, n_features, h, w)."""
        self.model.train()  # anomalib returns features in train mode, and stores them
        embeddings: Tensor = self.model(images)
        self.model.memory_bank = []
        return embeddings

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
        gaussian = self.model.gaussian
        with _default_dtype(bank.dtype):
            gaussian.fit(bank)
        # The memory layout affects the last digits; this is the one of a loaded checkpoint.
        gaussian.inv_covariance = gaussian.inv_covariance.contiguous()

    def peak_bytes(self, n_images: int, embedding: Tensor) -> float:
        """Return the size of two copies of the embeddings and four of the covariance matrices."""
        n_features, height, width = embedding.shape
        covariances = height * width * n_features**2
        return (2.0 * n_images * embedding.numel() + 4.0 * covariances) * embedding.itemsize

    def is_fitted(self) -> bool:
        """Return whether the Gaussians are fitted."""
        return bool(self.model.gaussian.mean.numel())


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Set torch's default dtype, in which anomalib computes covariance matrices."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
