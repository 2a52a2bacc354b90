"""Inference of the linear probe: a frozen backbone and one weight for each of its features."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan_ad.networks.backbones import EfficientNetLite0, ResNet, build_backbone
from cyclegan_ad.networks.embedding import (
    EmbeddingResult,
    FittedTensors,
    check_images,
    normalise,
)
from cyclegan_ad.networks.inception import Inception
from cyclegan_ad.pretrained.features import fold_batch_norms


class ProbeBackbone(nn.Module):
    """A network trained on ImageNet up to its last layer of interest, in two parts.

    The first part ends with the first layer of interest: it is what a cache keeps, as all others
    follow from it quickly.

    Args:
        name: ``efficientnet_lite0``, ``inception``, ``resnet18`` or ``wide_resnet50_2``.
        layers: Names of layers, from fine to coarse, see
            :data:`cyclegan_ad.pretrained.names.PROBE_LAYERS`.
    """

    def __init__(self, name: str, layers: Sequence[str]) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.network: EfficientNetLite0 | Inception | ResNet
        match name:
            case "efficientnet_lite0":
                self.network = EfficientNetLite0(["blocks.6"], head=True)
            case "inception":
                self.network = Inception()
            case _:
                self.network = cast(ResNet, build_backbone(name, [layers[-1]]))
        names = [step for step, _ in self.network.steps()]
        self._last = names.index(layers[-1])
        self._cut = names.index(layers[0])
        if layers[0] == "head":  # four times as large as what it is computed from
            self._cut -= 1

    def trunk(self, images: Tensor) -> Tensor:
        """Compute the first part: (N, 3, H, W), normalised, to (N, C, h, w)."""
        x = images
        for _, stage in self.network.steps()[: self._cut + 1]:
            x = stage(x)
        return x

    def maps(self, trunk: Tensor) -> list[Tensor]:
        """Compute the layers from the result of :meth:`trunk`: (N, C, h, w) each."""
        stages = self.network.steps()
        found = {stages[self._cut][0]: trunk}
        x = trunk
        for name, stage in stages[self._cut + 1 : self._last + 1]:
            found[name] = x = stage(x)
        return [found[name] for name in self.layers]


class ProbeScorer(nn.Module):
    """Logistic regression on the features of a frozen network; only for inference.

    The features of an image are the means over the positions of each layer and, but for the last
    layer, the means of their squares, which tell how a texture varies. The response at a position
    of the first layer is the weighted sum of the features there (coarser layers enlarged), less
    that of the mean features of the training images: 0 is an average position, above it what speaks
    for abnormal. The decision value of an image, its score, is the mean of its responses plus the
    intercept.

    Batch norms are folded into the convolutions before them. All tensors are loaded, see
    :func:`cyclegan_ad.networks.inference.build_inference`.

    Args:
        channels: Channels of the images, 1 or 3.
        size_px: Height and width of the images.
        backbone: Name of the network, see :class:`ProbeBackbone`.
        layers: Names of its layers, likewise; each is as fine as the next or a multiple of it.
        input_px: Height and width to which images are resized (bilinear) for the network.
        antialias: Whether all pixels of a larger image contribute.
        mean: Mean of the network's inputs for each colour, on images in [0, 1].
        std: Standard deviation of these inputs for each colour.
        peak_fraction: Fraction, in (0, 1], of the positions that the peak is the mean of.

    Attributes:
        stored_trunk: Gives the result of the backbone's first part for images, from a cache; None
            to compute it.
    """

    stored_trunk: Callable[[Tensor], Tensor] | None = None
    _kept: dict[bytes, list[Tensor]] | None = None

    def __init__(
        self,
        *,
        channels: int,
        size_px: int,
        backbone: str,
        layers: Sequence[str],
        input_px: int,
        antialias: bool,
        mean: Sequence[float],
        std: Sequence[float],
        peak_fraction: float,
    ) -> None:
        super().__init__()
        self.image_shape, self.name = (channels, size_px, size_px), backbone
        self.input_px, self.antialias = input_px, antialias
        self.mean, self.std, self.peak_fraction = list(mean), list(std), peak_fraction
        self.backbone = ProbeBackbone(backbone, layers).eval().requires_grad_(False)
        fold_batch_norms(self.backbone)  # nothing is left that depends on the mode
        self.probe = _Probe()

    def parts(self) -> tuple[int, ...]:
        """Return the number of features of the parts that are fitted by themselves.

        They are the finer layers with their squares, and the last layer: textures and objects.
        """
        with torch.device("meta"):  # shapes only
            empty = torch.empty(1, 3, self.input_px, self.input_px)
            maps = copy.deepcopy(self.backbone).to("meta")
            *others, last = maps.maps(maps.trunk(empty))
        finer = sum(2 * layer.shape[1] for layer in others)
        return (finer, last.shape[1]) if others else (last.shape[1],)

    def is_fitted(self) -> bool:
        """Return whether there is a probe."""
        return self.probe.weight.numel() > 0

    def set_probe(self, weight: Tensor, centre: float, intercept: float) -> None:
        """Set the fitted probe.

        Args:
            weight: (D,) weight of each feature.
            centre: Weighted sum of the mean features of the training images.
            intercept: Decision value of an image with these mean features.
        """
        device = next(self.parameters()).device
        self.probe.weight = weight.to(device, self.dtype)
        self.probe.centre = torch.tensor([centre], dtype=self.dtype, device=device)
        self.probe.intercept = torch.tensor([intercept], dtype=self.dtype, device=device)

    def trunk(self, images: Tensor) -> Tensor:
        """Compute the first part of the backbone, (N, C, H, W) in [-1, 1] to (N, c, h, w)."""
        size = (self.input_px, self.input_px)
        resized = functional.interpolate(images, size, mode="bilinear", antialias=self.antialias)
        ready = normalise(resized, self.mean, self.std)
        return self.backbone.trunk(ready.contiguous(memory_format=torch.channels_last))

    def features(self, images: Tensor) -> Tensor:
        """Compute the features, (N, C, H, W) in [-1, 1] to (N, D) float32."""
        moments = self.moments(self.trunk(images))
        return torch.cat([moment.float().mean(dim=(2, 3)) for moment in moments], dim=1)

    def responses(self, moments: list[Tensor]) -> Tensor:
        """Compute the probe at each position, from :meth:`moments` to (N, h, w)."""
        weights = self.probe.weight.split([moment.shape[1] for moment in moments])
        found = -self.probe.centre[:, None, None]
        for moment, weight in zip(moments, weights, strict=True):
            own = functional.conv2d(moment, weight[None, :, None, None])
            # Each value is repeated, so that the mean stays.
            found = found + functional.interpolate(own, moments[0].shape[2:], mode="nearest")[:, 0]
        return found

    def moments(self, trunk: Tensor) -> list[Tensor]:
        """Compute what is averaged, from :meth:`trunk`, (N, C, h, w) each, finer ones first.

        These are the layers and, but for the last one, their squares.
        """
        # One memory layout, so that rounding does not tell a cached trunk from a computed one.
        *others, last = self.backbone.maps(trunk.contiguous(memory_format=torch.channels_last))
        return [moment for layer in others for moment in (layer, layer.square())] + [last]

    def judge(self, responses: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pool responses: (N, h, w) to scores (N,), peaks (N,) and maps (N, H, W).

        The peak is the mean of the highest responses plus the intercept. Maps are the responses,
        upsampled to the size of the image (bilinear).
        """
        found = responses.double().flatten(1)
        intercept = self.probe.intercept.double()
        count = max(1, round(self.peak_fraction * found.shape[1]))
        maps = functional.interpolate(
            responses[:, None], self.image_shape[1:], mode="bilinear", align_corners=False
        )
        scores = found.mean(dim=1) + intercept
        peaks = found.topk(count, dim=1).values.mean(dim=1) + intercept
        return scores, peaks, maps[:, 0]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Judge images all at once, as in an exported graph.

        Args:
            images: (N, C, H, W) in [-1, 1], of the dtype of the weights.

        Returns:
            Scores (N,) and peaks (N,), float64, and maps (N, H, W).
        """
        return self.judge(self.responses(self.moments(self.trunk(images))))

    @torch.no_grad()
    def embed(self, images: Tensor) -> EmbeddingResult:
        """Judge images, each independently of its batch.

        Args:
            images: (N, C, H, W) in [-1, 1], with size and channels of the training images.

        Returns:
            Scores, peaks and maps.

        Raises:
            ValueError: If the images have another shape.
            RuntimeError: If the probe is not fitted.
        """
        check_images(images, self.image_shape)
        if not self.is_fitted():
            raise RuntimeError("the probe is not fitted")
        with torch.autocast(images.device.type, enabled=False):
            results = [
                self.judge(self.responses(self._moments_of(image[None])))
                for image in images.to(self.dtype)
            ]
        scores, peaks, maps = (torch.cat(tensors) for tensors in zip(*results, strict=True))
        return EmbeddingResult(scores, maps.float(), peaks)

    @contextlib.contextmanager
    def keeping_moments(self) -> Iterator[None]:
        """Compute the moments of an image once in the block, for several probes to judge it.

        They stay in memory up to its end, 5 MB for an image in 8 symmetries with
        ``efficientnet_lite0``.
        """
        self._kept = {}
        try:
            yield
        finally:
            self._kept = None

    def _moments_of(self, image: Tensor) -> list[Tensor]:
        """Return the moments of one image, (1, C, H, W)."""
        trunk = self.trunk if self.stored_trunk is None else self.stored_trunk
        if self._kept is None:
            return self.moments(trunk(image).to(self.dtype))
        key = image.cpu().numpy().tobytes()
        if key not in self._kept:
            self._kept[key] = self.moments(trunk(image).to(self.dtype))
        return self._kept[key]

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return next(self.parameters()).dtype


class _Probe(FittedTensors):
    """Weights (D,), their sum for the mean features (1,) and intercept (1,); empty until fitted."""

    weight: Tensor
    centre: Tensor
    intercept: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("weight", "centre", "intercept"):
            self.register_buffer(name, torch.empty(0))
