"""The reference scores equal ours: the benchmark compares times of the same numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cyclegan_ad.networks.generator import Generator
from cyclegan_ad.pretrained.inception_weights import inception_weights_path
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.scoring.scores import build_scores
from experiments.random_inception import address_of, write_random_inception
from experiments.reference_scores import reference_fid, reference_inception, reference_sse

COLUMNS = (ScoreColumn("sse"), ScoreColumn("fid", "inception"))


class Method:
    def __init__(self, channels: int) -> None:
        torch.manual_seed(0)
        self.reconstruct = Generator(channels, base_channels=8, residual_blocks=1).eval()


def images(n: int, channels: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n, channels, 32, 32, generator=generator) * 2 - 1


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_ours_are_the_references(channels: int, torch_home: Path, tmp_path: Path) -> None:
    method, x = Method(channels), images(3, channels)
    with torch.inference_mode():
        for _ in range(2):  # the second time with the features of the images from disk
            found = build_scores(COLUMNS, tmp_path / "features")(method, x).scores
            expected = {
                "sse": reference_sse(method.reconstruct, x),
                "fid": reference_fid(method.reconstruct, x, reference_inception()),
            }
            assert list(found) == list(expected)
            for name, values in expected.items():
                assert values.dtype == np.float64 and values.min() > 0
                np.testing.assert_allclose(found[name].numpy(), values, rtol=2e-4)


def test_random_weights_are_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_random_inception(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("pytorch_fid.inception.FID_WEIGHTS_URL", address_of(path))
    assert path == inception_weights_path()
    features = reference_inception()(torch.rand(2, 3, 16, 16))[0].flatten(1)
    assert features.shape == (2, 2048) and torch.isfinite(features).all()
    assert not torch.equal(features[0], features[1])
