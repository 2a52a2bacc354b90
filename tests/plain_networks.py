"""Networks of all methods with random tensors, as a trained method would give them; no anomalib."""

from typing import Any

import torch
from torch import Tensor, nn

from cyclegan_ad.networks.ganomaly import GANomalyGenerator
from cyclegan_ad.networks.generator import Generator
from cyclegan_ad.networks.padim import PaDiMScorer
from cyclegan_ad.networks.patchcore import PatchCoreScorer
from cyclegan_ad.networks.probe import ProbeScorer

SIZE_PX = 64
_FEATURES = {
    "channels": 1,
    "size_px": SIZE_PX,
    "backbone": "resnet18",
    "layers": ["layer1", "layer2", "layer3"],
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}
NETWORKS: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "cyclegan": (Generator, {"channels": 1, "base_channels": 4, "residual_blocks": 1}),
    "ganomaly": (
        GANomalyGenerator,
        {"channels": 1, "size_px": SIZE_PX, "base_channels": 4, "latent_size": 8},
    ),
    "padim": (PaDiMScorer, _FEATURES | {"n_features": 10}),
    "patchcore": (PatchCoreScorer, _FEATURES | {"n_neighbors": 3}),
    "linear_probe": (
        ProbeScorer,
        {
            "channels": 1,
            "size_px": SIZE_PX,
            "backbone": "efficientnet_lite0",
            "input_px": 224,
            "antialias": True,
            "mean": [127 / 255] * 3,
            "std": [128 / 255] * 3,
            "peak_fraction": 0.1,
        },
    ),
}


def random_state(method: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What ``inference_state`` of a fitted method might give: arguments and tensors."""
    network_class, arguments = NETWORKS[method]
    torch.manual_seed(0)
    tensors = network_class(**arguments).state_dict()
    for name, value in tensors.items():
        if name.endswith("kernel"):
            tensors[name] = torch.rand(value.shape).flatten().softmax(0).view(value.shape)
        elif name.endswith("running_mean"):
            value.normal_(0, 0.1)
        elif name.endswith("idx"):
            tensors[name] = torch.randperm(64 + 128 + 256)[: len(value)]
    positions = (SIZE_PX // 4) ** 2
    if method == "padim":
        roots = torch.randn(positions, 10, 10)
        tensors["gaussian.mean"] = torch.rand(10, positions)
        tensors["gaussian.inv_covariance"] = roots @ roots.mT + torch.eye(10)
    if method == "patchcore":
        tensors["memory_bank"] = torch.rand(40, 64 + 128 + 256)
    if method == "linear_probe":
        tensors["probe.weight"] = torch.randn(1280)
        tensors["probe.centre"] = torch.tensor([0.2])
        tensors["probe.intercept"] = torch.tensor([-0.3])
    return arguments, tensors


def random_images(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 1, SIZE_PX, SIZE_PX, generator=generator) * 2 - 1
