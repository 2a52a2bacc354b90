"""The probe at each position: pooled, it is the score; the backbones are those of others."""

from typing import Any

import pytest
import torch
from plain_networks import random_images, random_state

from cyclegan_ad.networks.inception import Inception
from cyclegan_ad.networks.inference import build_inference
from cyclegan_ad.networks.probe import ProbeBackbone, ProbeScorer
from cyclegan_ad.pretrained.features import EfficientNetLite0Features, InceptionFeatures


@pytest.fixture(scope="module")
def scorer() -> Any:
    return build_inference("linear_probe", *random_state("linear_probe"))


def test_the_mean_of_the_map_plus_the_intercept_is_the_score(scorer: Any) -> None:
    test = random_images(2)
    with torch.no_grad():
        responses = scorer.responses(scorer.moments(scorer.trunk(test)))
        features = scorer.features(test)
    found = scorer.embed(test)
    assert responses.shape == (2, 14, 14)
    intercept = scorer.probe.intercept.item()
    pooled = responses.double().mean(dim=(1, 2)) + intercept
    torch.testing.assert_close(pooled, found.scores, rtol=1e-5, atol=1e-6)
    # And it is the linear function of the pooled features.
    by_features = (features * scorer.probe.weight).sum(1) - scorer.probe.centre + intercept
    torch.testing.assert_close(by_features.double(), found.scores, rtol=1e-4, atol=1e-5)
    assert found.scores.dtype == torch.float64 and found.maps.dtype == torch.float32


def test_pooling_by_hand(scorer: Any) -> None:
    responses = torch.arange(40.0).view(1, 5, 8)
    scores, peaks, maps = scorer.judge(responses)  # 10 % of 40 positions
    intercept = scorer.probe.intercept.item()
    assert scores.item() == pytest.approx(19.5 + intercept)
    assert peaks.item() == pytest.approx((39 + 38 + 37 + 36) / 4 + intercept)
    # At least one position.
    assert scorer.judge(torch.tensor([[[1.0, 5.0]]]))[1].item() == pytest.approx(5 + intercept)
    assert maps.shape == (1, 64, 64) and maps[0, 0, 0] == 0 and maps[0, -1, -1] == 39
    # Below the average of the training images a map is negative.
    assert (scorer.judge(-responses - 1)[2] < 0).all()


def test_lite0_has_the_features_of_the_extractor() -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="extra 'efficientnet'")
    from cyclegan_ad.methods.probe_weights import load_probe_weights

    arguments, _ = random_state("linear_probe")
    built = ProbeScorer(**arguments)
    load_probe_weights("efficientnet_lite0", None, built.backbone)
    test = random_images(2)
    with torch.no_grad():
        found = built.features(test)
    extracted = EfficientNetLite0Features()(test)
    mid = extracted.spatial  # blocks.4
    for part, expected in (
        (found[:, :112], mid.mean(dim=(2, 3))),
        (found[:, 112:224], mid.square().mean(dim=(2, 3))),
        (found[:, -1280:], extracted.pooled),
    ):
        torch.testing.assert_close(part, expected, rtol=1e-4, atol=1e-4)
    assert found.shape[1] == 2 * 112 + 2 * 192 + 1280


def test_inception_has_the_features_of_the_extractor(torch_home: object) -> None:
    from cyclegan_ad.methods.probe_weights import ensure_probe_weights, load_probe_weights

    ensure_probe_weights("inception", None)
    arguments, _ = random_state("linear_probe")
    half = [0.5] * 3
    changes = {"backbone": "inception", "layers": ["Mixed_7c"], "input_px": 299, "antialias": False}
    built = ProbeScorer(**(arguments | changes | {"mean": half, "std": half}))
    load_probe_weights("inception", None, built.backbone)
    test = random_images(1)
    with torch.no_grad():
        found = built.features(test)
    torch.testing.assert_close(found, InceptionFeatures()(test).pooled, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("name", "channels"), [("resnet18", 512), ("wide_resnet50_2", 2048)])
def test_resnets_end_with_their_last_layer(name: str, channels: int) -> None:
    with torch.device("meta"):
        backbone = ProbeBackbone(name, ["layer3", "layer4"]).eval()
        trunk = backbone.trunk(torch.empty(1, 3, 224, 224))
        finer, last = backbone.maps(trunk)
    assert finer.shape == trunk.shape == (1, channels // 2, 14, 14)
    assert last.shape == (1, channels, 7, 7)


def test_the_last_layer_alone_is_computed_from_the_smaller_one_before() -> None:
    with torch.device("meta"):
        backbone = ProbeBackbone("efficientnet_lite0", ["head"]).eval()
        trunk = backbone.trunk(torch.empty(1, 3, 224, 224))
        [maps] = backbone.maps(trunk)
    assert trunk.shape == (1, 320, 7, 7) and maps.shape == (1, 1280, 7, 7)


def test_inception_has_its_last_map() -> None:
    with torch.device("meta"):
        [maps] = Inception().eval()(torch.empty(1, 3, 299, 299))
    assert maps.shape == (1, 2048, 8, 8)


def test_wrong_images_and_no_probe_are_errors(scorer: Any) -> None:
    with pytest.raises(ValueError, match=r"expected \(N, 1, 64, 64\)"):
        scorer.embed(torch.zeros(1, 1, 32, 32))
    with pytest.raises(RuntimeError, match="not fitted"):
        ProbeScorer(**random_state("linear_probe")[0]).embed(random_images(1))
