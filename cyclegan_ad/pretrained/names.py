"""The pretrained networks behind PaDiM and PatchCore, and what is wrong with a setting of theirs.

No torch here: a command checks its settings before it loads anything slow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cyclegan_ad.errors import UserError


@dataclass(frozen=True)
class Backbone:
    """A network trained on ImageNet.

    Attributes:
        timm_name: What timm calls the architecture.
        channels: Layer -> its channels; layers after the stem, from fine to coarse. Each halves
            the resolution of the one before; the first of a ResNet is at stride 4.
        padim_layers: Layers that PaDiM takes.
        padim_features: Channels that PaDiM keeps of them, drawn at random.
        patchcore_layers: Layers that PatchCore takes.
        mean: Of its inputs, a number a colour, on images in [0, 1].
        std: Likewise.
        weights_url: The ImageNet weights, or None where they come with a package. The file's name
            ends with the beginning of its SHA-256.
        hub_name: The same weights on the HuggingFace hub, in timm's packing.
        weights_megabytes: Size of the file.
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

EXTRACTOR_NAMES = ("inception", "efficientnet_lite0")

# Features of PaDiM as in its paper for the ResNets. The ImageNet weights are those that the papers
# of PaDiM and PatchCore used, torchvision's first.
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


def check_backbone_name(name: Any) -> Backbone:
    """Look up a backbone.

    Raises:
        UserError: If there is none of this name.
    """
    if not isinstance(name, str) or name not in BACKBONES:
        raise UserError(f"backbone={name} is not possible; choose one of {', '.join(BACKBONES)}")
    return BACKBONES[name]


def check_embedding_settings(method: Mapping[str, Any]) -> None:
    """Check the settings of PaDiM or PatchCore, all that need no file.

    Args:
        method: ``method.*``, resolved.

    Raises:
        UserError: Naming the first wrong setting, its value and what it may be.
    """
    backbone = check_backbone_name(method["backbone"])
    layers = method["layers"]
    if layers is not None:
        check_layers(backbone, layers)
    pretrained, path = method["pretrained"], method["weights_path"]
    if not isinstance(pretrained, bool):
        raise UserError(f"method.pretrained={pretrained} is not possible; use true or false")
    if path is not None and not isinstance(path, str):
        raise UserError(f"method.weights_path={path} is not possible; it names a file")
    if path is not None and not pretrained:
        raise UserError(
            f"method.weights_path={path} and method.pretrained=false exclude each other; "
            "leave one of them out"
        )
    for name, null in (("max_train_images", True), ("n_features", True), ("n_neighbors", False)):
        value = method.get(name, 1)
        if not (_is_whole(value) and value >= 1) and not (null and value is None):
            least = "null or a whole number" if null else "a whole number"
            raise UserError(f"method.{name}={value} is not possible; it is {least} >= 1")
    if method["name"] == "padim":
        check_features(backbone, layers or backbone.padim_layers, method["n_features"])
    ratio = method.get("coreset_ratio", 1.0)
    if not (isinstance(ratio, int | float) and not isinstance(ratio, bool) and 0 < ratio <= 1):
        raise UserError(
            f"method.coreset_ratio={ratio} is not possible; it is a number above 0, at most 1"
        )


def check_layers(backbone: Backbone, layers: Any) -> None:
    """Check that layers exist and go from fine to coarse, each once.

    Raises:
        UserError: If not.

    >>> check_layers(BACKBONES["resnet18"], ["layer1", "layer3"])
    """
    known = list(backbone.channels)
    in_order = isinstance(layers, Sequence) and [name for name in known if name in layers]
    if not in_order or in_order != list(layers):
        raise UserError(
            f"method.layers={layers} is not possible; for this backbone it is null or some of "
            f"[{','.join(known)}], in this order"
        )


def check_features(backbone: Backbone, layers: Sequence[str], n_features: int | None) -> int:
    """Give the number of channels that PaDiM keeps of the layers.

    Args:
        backbone: The network.
        layers: Its layers.
        n_features: As set; None for the backbone's own number, or all channels if that is fewer.

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
            f"method.n_features={n_features} is not possible; method.layers={list(layers)} have "
            f"{total} channels together"
        )
    return n_features


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def check_extractor_name(extractor: str) -> str:
    """Check the name of the feature extractor and give it back.

    Raises:
        UserError: if the name is unknown.

    Example:
        >>> check_extractor_name("inception")
        'inception'
    """
    if extractor not in EXTRACTOR_NAMES:
        raise UserError(
            f"unknown feature extractor '{extractor}': score.extractor is one of "
            f"{', '.join(EXTRACTOR_NAMES)}"
        )
    return extractor
