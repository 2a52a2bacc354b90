"""The generator of GANomaly against anomalib's."""

from typing import Any

import pytest
import torch
from baselines import images

from cyclegan_ad.networks.inference import build_inference

pytest.importorskip("anomalib", reason="extra 'baselines'")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("size_px", "padded_px"), [(33, 64), (64, 64), (96, 128)])
def test_equals_anomalib(size_px: int, padded_px: int, channels: int) -> None:
    from anomalib.data.utils.image import pad_nextpow2
    from anomalib.models.image.ganomaly.torch_model import GanomalyModel

    torch.manual_seed(0)
    reference = GanomalyModel((padded_px, padded_px), channels, 4, 8)
    with torch.no_grad():
        reference(torch.rand(4, channels, padded_px, padded_px))  # means of the batch norms
    reference.eval()
    network = {"channels": channels, "size_px": size_px, "base_channels": 4, "latent_size": 8}
    tensors = reference.generator.state_dict()
    generator: Any = build_inference("ganomaly", network, tensors)
    assert list(generator.state_dict()) == list(tensors)
    test = images(3, channels, size_px=size_px, seed=1)
    with torch.no_grad():
        expected = reference(test).pred_score
        padded = reference.generator(pad_nextpow2(test))[0]
        reconstructions = generator.reconstruct(test)
    got = generator.embed(test)
    assert got.maps is None
    torch.testing.assert_close(got.scores.float(), expected, rtol=1e-6, atol=0)
    first = -((size_px - padded_px) // 2)
    inside = slice(first, first + size_px)
    assert torch.equal(reconstructions, padded[..., inside, inside])
