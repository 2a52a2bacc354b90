"""What the scorers of PaDiM and PatchCore share: features, smoothed maps, one image at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan_ad.networks.backbones import build_backbone

_SMOOTHED_OVER_PX = 33  # width of the Gaussian kernel of 4 px, cut at 4 standard deviations


@dataclass(frozen=True)
class EmbeddingResult:
    """Distances of N images to what a method has learnt, or values of its decision function.

    Attributes:
        scores: (N,) float64, higher is more abnormal; distances are >= 0.
        maps: (N, H, W) float32, anomaly maps, of distances >= 0; None if the method has none.
        peaks: (N,) float64, decision values by the highest positions of the maps alone; None if
            the method has none.
    """

    scores: Tensor
    maps: Tensor | None
    peaks: Tensor | None = None


class EmbeddingScorer(nn.Module):
    """Compare features of images with those of normal ones; only for inference.

    All tensors are loaded, see :func:`cyclegan_ad.networks.inference.build_inference`. Their names
    are those of anomalib's models.

    Args:
        channels: Channels of the images, 1 or 3.
        size_px: Height and width of the images.
        backbone: Name of the backbone, see :func:`cyclegan_ad.networks.backbones.build_backbone`.
        layers: Layers whose features are used, from fine to coarse.
        mean: Mean of the backbone's inputs for each colour, on images in [0, 1].
        std: Standard deviation of the backbone's inputs for each colour, on images in [0, 1].
        interpolation: How distances are upsampled to the size of the image.
    """

    def __init__(
        self,
        *,
        channels: int,
        size_px: int,
        backbone: str,
        layers: Sequence[str],
        mean: Sequence[float],
        std: Sequence[float],
        interpolation: str,
    ) -> None:
        super().__init__()
        self.image_shape = (channels, size_px, size_px)
        self.feature_extractor = _FeatureExtractor(backbone, layers, mean, std)
        self.anomaly_map_generator = _MapGenerator(size_px, interpolation)

    @abstractmethod
    def describe(self, images: Tensor) -> Tensor:
        """Compute the embedding of each image: (N, C, H, W) in [-1, 1] to (N, ...)."""

    @abstractmethod
    def is_fitted(self) -> bool:
        """Return whether there is anything to compare with."""

    @abstractmethod
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compare images with normal ones, all at once, as in an exported graph.

        Args:
            images: (N, C, H, W) in [-1, 1], of the dtype of the weights.

        Returns:
            Scores (N,) and maps (N, H, W), of the same dtype.
        """

    @torch.no_grad()
    def embed(self, images: Tensor) -> EmbeddingResult:
        """Compare images with normal ones, each independently of its batch.

        Images are scored one at a time: otherwise the batch could affect the choice between patches
        at almost equal distances.

        Args:
            images: (N, C, H, W) in [-1, 1], with size and channels of the training images.

        Returns:
            Scores and maps.

        Raises:
            ValueError: If the images have another shape.
            RuntimeError: If the model is not fitted.
        """
        check_images(images, self.image_shape)
        if not self.is_fitted():
            raise RuntimeError("the model is not fitted to normal images")
        with torch.autocast(images.device.type, enabled=False):
            results = [self(image[None]) for image in images.to(self.dtype)]
        scores, maps = (torch.cat(tensors) for tensors in zip(*results, strict=True))
        return EmbeddingResult(scores.double(), maps.float())

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return next(self.parameters()).dtype


class FittedTensors(nn.Module):
    """Module whose own buffers have the shapes of the tensors that are loaded into them."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name, buffer in self.named_buffers(recurse=False):
            loaded = state_dict.get(prefix + name)
            if loaded is not None and loaded.shape != buffer.shape:
                setattr(self, name, buffer.new_empty(loaded.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)


def check_images(images: Tensor, shape: tuple[int, int, int]) -> None:
    """Raise a ValueError if images are not (N, C, H, W) with this (C, H, W)."""
    if images.shape[1:] != shape:
        expected = ", ".join(map(str, shape))
        raise ValueError(f"invalid images of shape {tuple(images.shape)}: expected (N, {expected})")


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Normalise images as for the training of a backbone.

    Args:
        images: (N, 1 or 3, H, W) in [-1, 1]; grey is repeated to RGB.
        mean: Mean for each colour, on images in [0, 1].
        std: Standard deviation for each colour, on images in [0, 1].

    Returns:
        (N, 3, H, W) real, of the dtype of ``images``.
    """
    centre, scale = (images.new_tensor(values)[:, None, None] for values in (mean, std))
    return ((images.expand(-1, 3, -1, -1) + 1) / 2 - centre) / scale


class _FeatureExtractor(nn.Module):
    """Backbone with the normalisation of its inputs: (N, C, H, W) in [-1, 1] to feature maps."""

    def __init__(
        self, backbone: str, layers: Sequence[str], mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        self.feature_extractor = build_backbone(backbone, layers)
        self.mean, self.std = list(mean), list(std)

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.feature_extractor(normalise(images, self.mean, self.std))


class _MapGenerator(nn.Module):
    """Upsample distances to the size of the image and smooth them (Gaussian, 4 px)."""

    def __init__(self, size_px: int, interpolation: str) -> None:
        super().__init__()
        self.size_px, self.interpolation = size_px, interpolation
        self.blur = _Blur()

    def forward(self, distances: Tensor) -> Tensor:
        size = (self.size_px, self.size_px)  # (N, 1, h, w) to (N, H, W)
        return self.blur(functional.interpolate(distances, size, mode=self.interpolation))[:, 0]


class _Blur(nn.Module):
    """Convolution of maps, (N, 1, H, W), with a kernel, reflected at the borders."""

    def __init__(self) -> None:
        super().__init__()
        kernel = torch.empty(1, 1, _SMOOTHED_OVER_PX, _SMOOTHED_OVER_PX)
        self.kernel: Tensor
        self.register_buffer("kernel", kernel)

    def forward(self, maps: Tensor) -> Tensor:
        around = (_SMOOTHED_OVER_PX // 2,) * 4
        return functional.conv2d(functional.pad(maps, around, mode="reflect"), self.kernel)
