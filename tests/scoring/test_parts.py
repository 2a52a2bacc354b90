"""What scores are made of: computed when a score asks for it, and only once."""

import pytest
import torch
from torch import Tensor

from cyclegan_ad.methods.interface import EmbeddingResult
from cyclegan_ad.pretrained.features import FeatureExtractor, Features
from cyclegan_ad.scoring.parts import View, anomaly_map

IMAGES = torch.linspace(-1, 1, 2 * 3 * 16).view(2, 3, 4, 4)


class Asked:
    """A method that notes what it is asked for; the map of its embedding is the first channel."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def embed(self, images: Tensor) -> EmbeddingResult:
        self.calls.append("embed")
        return EmbeddingResult(images[:, 0, 0, 0].double(), images[:, 0])


class Halves(Asked):
    """One that reconstructs too."""

    def reconstruct(self, images: Tensor) -> Tensor:
        self.calls.append("reconstruct")
        return images / 2


class Pixels(FeatureExtractor):
    """The pixels themselves are the features."""

    name = "inception"

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def _extract(self, images: Tensor) -> Features:
        self.calls += 1
        return Features(images.flatten(1), images)


def test_nothing_is_computed_before_it_is_asked_for() -> None:
    method, extractor = Halves(), Pixels()
    view = View(method, IMAGES, extractor=extractor)
    assert (method.calls, extractor.calls) == ([], 0)
    assert torch.equal(view.reconstructions, IMAGES / 2)
    assert torch.equal(view.anomaly_map, (IMAGES / 2).square().sum(1))
    assert (method.calls, extractor.calls) == (["reconstruct"], 0)
    assert torch.equal(view.features[1].pooled, IMAGES.flatten(1) / 2)
    assert (method.calls, extractor.calls) == (["reconstruct"], 2)
    assert torch.equal(view.embedding.maps, IMAGES[:, 0])
    assert method.calls == ["reconstruct", "embed"]
    assert view.variance is None


def test_nothing_is_computed_twice() -> None:
    method, extractor = Halves(), Pixels()
    view = View(method, IMAGES, extractor=extractor)
    for _ in range(2):
        assert view.features is view.features
        assert view.embedding is view.embedding
        assert view.anomaly_map is view.anomaly_map
    assert (sorted(method.calls), extractor.calls) == (["embed", "reconstruct"], 2)


def test_the_map_of_a_method_without_reconstructions_is_its_own() -> None:
    method = Asked()
    view = View(method, IMAGES)
    assert torch.equal(view.anomaly_map, IMAGES[:, 0])
    assert view.embedding.scores.tolist() == IMAGES[:, 0, 0, 0].tolist()
    assert method.calls == ["embed"]


def test_hand_worked_map() -> None:
    image = torch.tensor([[[[1.0, -1.0]], [[0.0, 0.5]]]])  # (1, 2, 1, 2)
    reconstruction = torch.tensor([[[[-1.0, -1.0]], [[0.5, 0.0]]]])
    assert anomaly_map(image, reconstruction).tolist() == [[[4.25, 0.25]]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_maps_are_float32_whatever_the_images_are(dtype: torch.dtype) -> None:
    maps = anomaly_map(torch.ones(1, 1, 2, 2, dtype=dtype), torch.zeros(1, 1, 2, 2, dtype=dtype))
    assert maps.dtype == torch.float32 and torch.equal(maps, torch.ones(1, 2, 2))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="for both"):
        anomaly_map(IMAGES, IMAGES[:1])
    with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
        anomaly_map(IMAGES[0], IMAGES[0])
