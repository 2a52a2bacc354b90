"""Inference of PaDiM against anomalib's model; by hand in tests/methods/test_padim.py."""

from typing import Any

import pytest
import torch
from baselines import images

from cyclegan_ad.networks.embedding import normalise
from cyclegan_ad.networks.inference import build_inference
from cyclegan_ad.pretrained.names import BACKBONES

pytest.importorskip("anomalib", reason="extra 'baselines'")


@pytest.mark.parametrize("size_px", [64, 96])
@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("resnet18", ["layer1", "layer2", "layer3"]),
        ("resnet18", ["layer2"]),
        ("efficientnet_lite0", ["blocks.1", "blocks.2", "blocks.4"]),
    ],
)
def test_equals_anomalib(name: str, layers: list[str], size_px: int) -> None:
    from anomalib.models.image.padim.torch_model import PadimModel

    backbone = BACKBONES[name]
    stats: Any = (backbone.mean, backbone.std)
    torch.manual_seed(0)
    reference = PadimModel(backbone.timm_name, layers, False, n_features=12)
    reference.train()(normalise(images(6, size_px=size_px), *stats))
    reference.fit()
    reference.eval()
    network = {
        "channels": 1,
        "size_px": size_px,
        "backbone": name,
        "layers": layers,
        "mean": stats[0],
        "std": stats[1],
        "n_features": 12,
    }
    scorer: Any = build_inference("padim", network, reference.state_dict())
    assert scorer.state_dict().keys() == reference.state_dict().keys()
    test = images(3, size_px=size_px, seed=1)
    got = scorer.embed(test)
    for i, image in enumerate(normalise(test, *stats)):
        expected = reference(image[None])
        assert got.scores[i] == expected.pred_score[0].double()
        assert torch.equal(got.maps[i], expected.anomaly_map[0, 0])
    assert not any(parameter.requires_grad for parameter in scorer.parameters())
