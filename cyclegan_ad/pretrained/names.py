"""The pretrained networks: backbones of PaDiM and PatchCore, and feature extractors.

Without torch: settings are checked before anything slow is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from cyclegan_ad.errors import UserError
from cyclegan_ad.text import as_typed


@dataclass(frozen=True)
class Backbone:
    """A network trained on ImageNet.

    Attributes:
        timm_name: Name of the architecture in timm.
        channels: Layer -> number of channels, for the layers after the stem, from fine to coarse.
            Each halves the resolution of the one before; the first of a ResNet is at stride 4.
        padim_layers: Default layers of PaDiM.
        padim_features: Default number of their channels that PaDiM draws at random.
        patchcore_layers: Default layers of PatchCore.
        mean: Mean of the inputs for each colour, on images in [0, 1].
        std: Standard deviation of the inputs for each colour, on images in [0, 1].
        weights_url: URL of the ImageNet weights, None if they are part of a package. The name of
            the file ends with the first digits of its SHA-256.
        hub_name: Name of the same weights on the Hugging Face hub, in timm's format.
        weights_megabytes: Size of the file in MB.
    """

    timm_name: str
    channels: Mapping[str, int]
    padim_layers: tuple[str, ...]
    padim_features: int
    patchcore_layers: tuple[str, ...]
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    weights_url: str | None = None
    hub_name: str | None = None
    weights_megabytes: int = 0


_RESNET_LAYERS = ("layer1", "layer2", "layer3", "layer4")

Extractor = Literal["inception", "efficientnet_lite0"]
INCEPTION = "inception"
"""The extractor that the linear probe can use beside the backbones."""
EXTRACTOR_NAMES: tuple[str, ...] = get_args(Extractor)

# Numbers of features of PaDiM as in its paper for the ResNets. The ImageNet weights are those of
# the PaDiM and PatchCore papers: the first ones of torchvision.
BACKBONES: Mapping[str, Backbone] = {
    "resnet18": Backbone(
        timm_name="resnet18",
        channels=dict(zip(_RESNET_LAYERS, (64, 128, 256, 512), strict=True)),
        padim_layers=("layer1", "layer2", "layer3"),
        padim_features=100,
        patchcore_layers=("layer2", "layer3"),
        weights_url="https://download.pytorch.org/models/resnet18-f37072fd.pth",
        hub_name="timm/resnet18.tv_in1k",
        weights_megabytes=45,
    ),
    "wide_resnet50_2": Backbone(
        timm_name="wide_resnet50_2",
        channels=dict(zip(_RESNET_LAYERS, (256, 512, 1024, 2048), strict=True)),
        padim_layers=("layer1", "layer2", "layer3"),
        padim_features=550,
        patchcore_layers=("layer2", "layer3"),
        weights_url="https://download.pytorch.org/models/wide_resnet50_2-95faca4d.pth",
        hub_name="timm/wide_resnet50_2.tv_in1k",
        weights_megabytes=132,
    ),
    # Its weights were trained on (x - 127) / 128 of 0..255. Strides 2, 4, 8, 16, 32.
    "efficientnet_lite0": Backbone(
        timm_name="tf_efficientnet_lite0",
        channels={"blocks.0": 16, "blocks.1": 24, "blocks.2": 40, "blocks.4": 112, "blocks.6": 320},
        padim_layers=("blocks.1", "blocks.2", "blocks.4"),
        padim_features=100,
        patchcore_layers=("blocks.2", "blocks.4"),
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
    ),
}


def check_layers(backbone: Backbone, layers: Any) -> None:
    """Check that layers exist and are listed from fine to coarse, each once.

    Raises:
        UserError: If they are not.

    >>> check_layers(BACKBONES["resnet18"], ["layer1", "layer3"])
    """
    known = list(backbone.channels)
    in_order = isinstance(layers, Sequence) and [name for name in known if name in layers]
    if not in_order or in_order != list(layers):
        raise UserError(
            f"invalid method.layers={as_typed(layers)}: expected null or some of "
            f"[{','.join(known)}] in this order, for this backbone"
        )


def check_features(backbone: Backbone, layers: Sequence[str], n_features: int | None) -> int:
    """Return the number of channels that PaDiM keeps of the layers.

    Args:
        backbone: Backbone of PaDiM.
        layers: Layers that are used.
        n_features: Requested number; None for the default of the backbone, or all channels if
            there are fewer.

    Raises:
        UserError: If the layers have fewer channels.

    >>> check_features(BACKBONES["resnet18"], ["layer1"], None)
    64
    """
    total = sum(backbone.channels[layer] for layer in layers)
    if n_features is None:
        return min(backbone.padim_features, total)
    if n_features > total:
        raise UserError(
            f"invalid method.n_features={n_features}: expected at most {total}, the channels of "
            f"method.layers={as_typed(layers)}"
        )
    return n_features
