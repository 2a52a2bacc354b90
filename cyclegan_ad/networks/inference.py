"""The network of a trained method, taken apart for a file and put together again.

Nothing here needs Lightning, anomalib or timm: it is what a saved detector computes with.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan_ad.errors import UserError
from cyclegan_ad.networks import fast_forwards
from cyclegan_ad.networks.embedding import EmbeddingScorer
from cyclegan_ad.networks.ganomaly import GANomalyGenerator
from cyclegan_ad.networks.generator import Generator
from cyclegan_ad.networks.padim import PaDiMScorer
from cyclegan_ad.networks.patchcore import PatchCoreScorer
from cyclegan_ad.networks.probe import ProbeScorer


class CycleGANReconstructor(Generator):
    """``generator_to_normal`` of a trained CycleGAN."""

    def reconstruct(self, images: Tensor) -> Tensor:
        """Reconstruct images as normal: (N, C, H, W) in [-1, 1] to the same."""
        return self(images)


_NETWORKS: Mapping[str, Callable[..., nn.Module]] = {
    "cyclegan": CycleGANReconstructor,
    "ganomaly": GANomalyGenerator,
    "padim": PaDiMScorer,
    "patchcore": PatchCoreScorer,
    "linear_probe": ProbeScorer,
}


def portable_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a network, contiguous and on the CPU, ready for safetensors.

    They share memory with the network where they can.
    """
    return {name: value.cpu().contiguous() for name, value in network.state_dict().items()}


def build_inference(
    method: str, network: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> nn.Module:
    """Build what a method infers with, in eval mode.

    Args:
        method: Name of the method.
        network: Arguments of its network, from ``inference_state`` of the method.
        tensors: Tensors of its network, likewise. They are used without a copy.

    Returns:
        Module with ``reconstruct`` (cyclegan, ganomaly) and ``embed`` (the others), which computes
        the same as the method itself.

    Raises:
        UserError: If the method is unknown, or arguments and tensors do not fit.
    """
    if method not in _NETWORKS:
        raise UserError(f"invalid method={method}: expected one of {', '.join(_NETWORKS)}")
    remedy = "use arguments and weights that were saved together, by this version or an older one"
    try:
        with torch.device("meta"):  # no memory, and no time for random weights
            built = _NETWORKS[method](**network)
    except (TypeError, ValueError) as error:
        raise UserError(f"invalid network of method={method}: {error}; {remedy}") from error
    try:
        built.load_state_dict(dict(tensors), assign=True)
    except RuntimeError as error:
        reason = shorten(str(error).partition("\n")[2] or str(error), 150, placeholder=" ...")
        raise UserError(f"invalid weights of method={method}: {reason}; {remedy}") from error
    if isinstance(built, Generator):
        fast_forwards.use_fast_forwards(built)
    if isinstance(built, ProbeScorer):  # about a third faster on a CPU
        built.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return built.eval()


def plain(network: nn.Module) -> nn.Module:
    """Copy a network with torch's own layers in place of those of ``use_fast_forwards``.

    Their forward methods can be exported. Weights get the default memory format.
    """
    copied = copy.deepcopy(network)
    for layer in copied.modules():
        if type(layer).__module__ == fast_forwards.__name__:
            layer.__class__ = type(layer).__bases__[0]
    copied.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return copied


class ExportedNetwork(nn.Module):
    """A network with plain layers and one ``forward``, for ``torch.export`` and ONNX.

    For a dynamic batch, export it with an example of two images or more. PaDiM and PatchCore
    compare all images of a batch at once, which changes results by rounding.

    Args:
        network: Result of :func:`build_inference`; it is copied.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = plain(network).eval().requires_grad_(False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute everything that the network gives.

        Args:
            images: (N, C, H, W) in [-1, 1], of the dtype of the weights.

        Returns:
            ``reconstruction`` (N, C, H, W) in [-1, 1], ``score`` (N,), ``peak`` (N,) and ``map``
            (N, H, W); those which the network has, in this order.
        """
        if isinstance(self.network, ProbeScorer):
            return dict(zip(("score", "peak", "map"), self.network(images), strict=True))
        if isinstance(self.network, EmbeddingScorer):
            score, maps = self.network(images)
            return {"score": score, "map": maps}
        if isinstance(self.network, GANomalyGenerator):
            reconstruction, score = self.network.judge(images)
            return {"reconstruction": reconstruction, "score": score}
        return {"reconstruction": self.network(images)}
