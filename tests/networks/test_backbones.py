"""Backbones in plain torch against timm's."""

import pytest
import torch
from torch import nn

from cyclegan_ad.networks.backbones import build_backbone
from cyclegan_ad.pretrained.names import BACKBONES


def randomise(network: nn.Module) -> None:
    """Give batch norms what a training would."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("resnet18", ["layer1", "layer2", "layer3", "layer4"]),
        ("resnet18", ["layer2"]),
        ("wide_resnet50_2", ["layer2", "layer3"]),
        ("efficientnet_lite0", ["blocks.0", "blocks.2", "blocks.6"]),
        ("efficientnet_lite0", ["blocks.1", "blocks.4"]),
    ],
)
def test_equals_timm(name: str, layers: list[str]) -> None:
    timm = pytest.importorskip("timm", reason="extra 'baselines'")
    known = BACKBONES[name]
    torch.manual_seed(0)
    places = [i for i, layer in enumerate(("stem", *known.channels)) if layer in layers]
    if name == "efficientnet_lite0":  # timm does not count its stem
        places = [place - 1 for place in places]
    reference = timm.create_model(
        known.timm_name, pretrained=False, features_only=True, out_indices=places
    ).eval()
    randomise(reference)
    ours = build_backbone(name, layers).eval()
    # In the same order: weights of efficientnet_lite0 are found by it.
    assert list(ours.state_dict()) == list(reference.state_dict())
    ours.load_state_dict(reference.state_dict())
    for size_px in (64, 96, 65):
        images = torch.randn(2, 3, size_px, size_px)
        with torch.no_grad():
            got, expected = ours(images), reference(images)
        assert [maps.shape[1] for maps in got] == [known.channels[layer] for layer in layers]
        for one, other in zip(got, expected, strict=True):
            assert torch.equal(one, other)


def test_every_known_backbone_is_built() -> None:
    with torch.device("meta"):
        for name, known in BACKBONES.items():
            found = build_backbone(name, list(known.channels))(torch.empty(1, 3, 64, 64))
            assert [maps.shape[1] for maps in found] == list(known.channels.values())
            assert [maps.shape[3] for maps in found][-1] == 2
        with pytest.raises(ValueError, match="alexnet"):
            build_backbone("alexnet", ["layer1"])
