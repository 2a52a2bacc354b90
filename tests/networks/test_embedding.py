"""Inputs of the backbones, and what a scorer refuses."""

from typing import Any

import pytest
import torch
from plain_networks import random_state
from torch import Tensor

from cyclegan_ad.networks.embedding import normalise
from cyclegan_ad.networks.inference import build_inference
from cyclegan_ad.pretrained.names import BACKBONES


def normalised(images: Tensor, backbone: str) -> Tensor:
    return normalise(images, BACKBONES[backbone].mean, BACKBONES[backbone].std)


def test_images_are_scaled_as_in_the_training_on_imagenet() -> None:
    white, grey = torch.ones(1, 3, 1, 1), torch.zeros(1, 1, 1, 1)
    assert normalised(white, "resnet18").flatten().tolist() == pytest.approx(
        [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    )
    assert normalised(grey, "efficientnet_lite0").flatten().tolist() == pytest.approx(
        [(127.5 - 127) / 128] * 3
    )
    assert normalised(grey.double(), "resnet18").dtype == torch.float64


def built(method: str, **changes: Tensor) -> Any:
    network, tensors = random_state(method)
    return build_inference(method, network, tensors | changes)


@pytest.mark.parametrize("method", ["padim", "patchcore", "ganomaly"])
@pytest.mark.parametrize("shape", [(1, 1, 32, 32), (2, 3, 64, 64), (1, 64, 64)])
def test_images_of_another_shape_are_an_error(method: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(N, 1, 64, 64\)"):
        built(method).embed(torch.zeros(shape))


@pytest.mark.parametrize(
    ("method", "name"), [("padim", "gaussian.mean"), ("patchcore", "memory_bank")]
)
def test_a_model_that_is_not_fitted_is_an_error(method: str, name: str) -> None:
    assert built(method).is_fitted()
    with pytest.raises(RuntimeError, match="not fitted"):
        built(method, **{name: torch.empty(0)}).embed(torch.zeros(1, 1, 64, 64))


@pytest.mark.parametrize("method", ["padim", "patchcore"])
def test_an_image_is_scored_independently_of_its_batch(method: str) -> None:
    scorer = built(method)
    images = torch.rand(3, 1, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    together = scorer.embed(images)
    assert (together.scores.dtype, together.maps.dtype) == (torch.float64, torch.float32)
    for i in range(3):
        alone = scorer.embed(images[i : i + 1])
        assert torch.equal(alone.scores, together.scores[i : i + 1])
        assert torch.equal(alone.maps, together.maps[i : i + 1])
    scores, maps = scorer(images)  # all at once
    torch.testing.assert_close(scores.double(), together.scores, rtol=1e-4, atol=0)
    torch.testing.assert_close(maps, together.maps, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(scorer.embed(images).scores, together.scores)
