"""Inputs of scores, each computed once: reconstructions, anomaly maps and features of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from cyclegan_ad.device import arithmetic
from cyclegan_ad.methods.interface import EmbeddingResult, Embeds, Reconstructs, TrainedMethod
from cyclegan_ad.pretrained.feature_cache import FeatureCache
from cyclegan_ad.pretrained.features import FeatureExtractor, Features

Result = TypeVar("Result")


class _once(Generic[Result]):
    """A property computed on first access.

    Before Python 3.12, ``functools.cached_property`` has one lock for all instances, which would
    serialise images that are scored in parallel.
    """

    def __init__(self, function: Callable[[Any], Result]) -> None:
        self.function, self.name = function, function.__name__
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> Result:
        value = self.function(instance)
        instance.__dict__[self.name] = value  # takes precedence over the descriptor
        return value


def anomaly_map(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Compute the squared difference of images and reconstructions, summed over channels.

    Args:
        images: (N, C, H, W) real in [-1, 1].
        reconstructions: Likewise.

    Returns:
        (N, H, W) float32 in [0, 4 C]. Its sum over the pixels of an image is the ``sse``.

    Raises:
        ValueError: If the shapes differ or are not (N, C, H, W).
    """
    check_shapes(images, reconstructions)
    return (images.float() - reconstructions.float()).square().sum(dim=1)


class View:
    """A batch of images with the inputs of its scores, each computed once on first access.

    Args:
        method: A trained method in eval mode.
        images: (N, C, H, W) real in [-1, 1].
        extractor: Feature extractor of ``fid`` and ``fid_spatial``; None if not needed.
        feature_cache: Cache of the pooled features of images; None for no cache.
        variance: (C, H, W) variance of the method's reconstruction errors; None if not needed.
        precision: Precision of the reconstruction, ``float32`` or ``bf16``.
    """

    def __init__(
        self,
        method: TrainedMethod,
        images: Tensor,
        *,
        extractor: FeatureExtractor | None = None,
        feature_cache: FeatureCache | None = None,
        variance: Tensor | None = None,
        precision: str = "float32",
    ) -> None:
        self.method, self.images = method, images
        self.extractor, self.variance = extractor, variance
        self.feature_cache, self.precision = feature_cache, precision

    @_once
    def reconstructions(self) -> Tensor:
        """Reconstructions of the images as normal, (N, C, H, W) in [-1, 1]."""
        assert isinstance(self.method, Reconstructs)
        with arithmetic(self.images.device, self.precision):
            reconstructions = self.method.reconstruct(self.images)
        return reconstructions.to(torch.promote_types(reconstructions.dtype, torch.float32))

    @_once
    def anomaly_map(self) -> Tensor:
        """Squared difference (>= 0), or the map of an embedding, (N, H, W) float32."""
        if isinstance(self.method, Reconstructs):
            return anomaly_map(self.images, self.reconstructions)
        assert self.embedding.maps is not None
        return self.embedding.maps

    @_once
    def embedding(self) -> EmbeddingResult:
        """Distances of the images to normal ones, or decision values."""
        assert isinstance(self.method, Embeds)
        return self.method.embed(self.images)

    @_once
    def features(self) -> tuple[Features, Features]:
        """Deep features of the images and of their reconstructions."""
        assert self.extractor is not None
        return self.extractor(self.images), self.extractor(self.reconstructions)

    @_once
    def pooled(self) -> tuple[Tensor, Tensor]:
        """Pooled features of the images and of their reconstructions, (N, D) float32 each."""
        if self.feature_cache is None:
            before, after = self.features
            return before.pooled, after.pooled
        assert self.extractor is not None
        after = self.extractor(self.reconstructions)
        return self.feature_cache.pooled(self.images), after.pooled


def check_shapes(images: Tensor, reconstructions: Tensor) -> None:
    """Check that images and reconstructions are (N, C, H, W) of equal shape.

    Raises:
        ValueError: If they are not.
    """
    if images.ndim != 4 or images.shape != reconstructions.shape:
        raise ValueError(
            f"invalid images and reconstructions of shapes {tuple(images.shape)} and "
            f"{tuple(reconstructions.shape)}: expected (N, C, H, W) for both"
        )
