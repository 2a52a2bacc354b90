"""What scores are made of: images, what a method makes of them, and how far the two are apart."""

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
    """A property computed when first asked for.

    Until Python 3.12, ``functools.cached_property`` has one lock for all instances: images that are
    scored side by side would wait for each other.
    """

    def __init__(self, function: Callable[[Any], Result]) -> None:
        self.function, self.name = function, function.__name__
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> Result:
        value = self.function(instance)
        instance.__dict__[self.name] = value  # found first from now on
        return value


def anomaly_map(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Squared difference of images and reconstructions, summed over the channels.

    Args:
        images: (N, C, H, W) real in [-1, 1].
        reconstructions: (N, C, H, W) real in [-1, 1].

    Returns:
        (N, H, W) float32 in [0, 4 C]. Its sum over the pixels of an image is the ``sse``.

    Raises:
        ValueError: if the shapes differ or are not (N, C, H, W).
    """
    check_shapes(images, reconstructions)
    return (images.float() - reconstructions.float()).square().sum(dim=1)


class View:
    """A batch of images as a method sees it: what scores are made of, each computed once.

    A new score reads what it needs from here; what no score asks for is not computed.

    Args:
        method: a trained method in eval mode.
        images: (N, C, H, W) real in [-1, 1].
        extractor: network behind ``fid`` and ``fid_spatial``, or None.
        feature_cache: where pooled features of images are kept, or None.
        variance: (C, H, W) variance of the method's reconstruction errors, or None.
        precision: arithmetic of the reconstruction, ``float32`` or ``bf16``.
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
        """The images as they would be if they were normal, (N, C, H, W) in [-1, 1]."""
        assert isinstance(self.method, Reconstructs)
        with arithmetic(self.images.device, self.precision):
            reconstructions = self.method.reconstruct(self.images)
        return reconstructions.to(torch.promote_types(reconstructions.dtype, torch.float32))

    @_once
    def anomaly_map(self) -> Tensor:
        """(N, H, W) float32 >= 0: the squared difference, or the map of an embedding."""
        if isinstance(self.method, Reconstructs):
            return anomaly_map(self.images, self.reconstructions)
        assert self.embedding.maps is not None
        return self.embedding.maps

    @_once
    def embedding(self) -> EmbeddingResult:
        """The images compared with normal ones."""
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
    """Refuse images and reconstructions that are not (N, C, H, W) of one shape.

    Raises:
        ValueError: if they are not.
    """
    if images.ndim != 4 or images.shape != reconstructions.shape:
        raise ValueError(
            f"images and reconstructions must be (N, C, H, W) of one shape, not "
            f"{tuple(images.shape)} and {tuple(reconstructions.shape)}"
        )
