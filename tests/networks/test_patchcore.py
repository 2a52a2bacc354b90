"""Inference of PatchCore against anomalib's model; by hand in tests/methods/test_patchcore.py."""

from typing import Any

import pytest
import torch
from baselines import images

from cyclegan_ad.networks.embedding import normalise
from cyclegan_ad.networks.inference import build_inference
from cyclegan_ad.networks.patchcore import distances
from cyclegan_ad.pretrained.names import BACKBONES


@pytest.mark.parametrize("size_px", [64, 96])
@pytest.mark.parametrize(
    ("name", "layers", "n_neighbors", "bank"),
    [
        ("resnet18", ["layer1", "layer2", "layer3"], 9, 60),
        ("resnet18", ["layer2"], 1, 60),
        ("resnet18", ["layer2", "layer3"], 9, 5),  # fewer patches than neighbours
        ("resnet18", ["layer2", "layer3"], 9, 1),
        ("efficientnet_lite0", ["blocks.0", "blocks.2"], 3, 60),  # 2304 patches at 96 px
    ],
)
def test_equals_anomalib(
    name: str, layers: list[str], n_neighbors: int, bank: int, size_px: int
) -> None:
    pytest.importorskip("anomalib", reason="extra 'baselines'")
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    backbone = BACKBONES[name]
    stats: Any = (backbone.mean, backbone.std)
    torch.manual_seed(0)
    reference = PatchcoreModel(layers, backbone.timm_name, False, num_neighbors=n_neighbors)
    patches = reference.train()(normalise(images(6, size_px=size_px), *stats))
    reference.memory_bank = patches[torch.randperm(len(patches))[:bank]]
    reference.eval()
    network = {
        "channels": 1,
        "size_px": size_px,
        "backbone": name,
        "layers": layers,
        "mean": stats[0],
        "std": stats[1],
        "n_neighbors": n_neighbors,
    }
    scorer: Any = build_inference("patchcore", network, reference.state_dict())
    assert scorer.state_dict().keys() == reference.state_dict().keys()
    test = images(3, size_px=size_px, seed=1)
    got = scorer.embed(test)
    for i, image in enumerate(normalise(test, *stats)):
        expected = reference(image[None])
        assert got.scores[i] == expected.pred_score[0].double()
        assert torch.equal(got.maps[i], expected.anomaly_map[0, 0])
    assert not any(parameter.requires_grad for parameter in scorer.parameters())


def test_distances() -> None:
    x = torch.tensor([[[0.0, 0.0], [3.0, 4.0]]])
    bank = torch.tensor([[0.0, 0.0], [6.0, 8.0], [3.0, 0.0]])
    assert distances(x, bank).tolist() == [[[0, 10, 3], [5, 5, 4]]]
    batch = torch.randn(2, 5, 7, dtype=torch.float64)
    banks = torch.randn(2, 4, 7, dtype=torch.float64)
    torch.testing.assert_close(distances(batch, banks), torch.cdist(batch, banks))
