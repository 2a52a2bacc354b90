import subprocess
import sys
from typing import Any

import pytest
from errors import refuses
from tiny import compose_settings, setting

from cyclegan_ad.pretrained.names import BACKBONES, check_embedding_settings, check_features


def settings(method: str, **changes: Any) -> dict[str, Any]:
    return setting(compose_settings("train", [f"method={method}"]), "method") | changes


@pytest.mark.parametrize("method", ["padim", "patchcore"])
def test_defaults_are_possible(method: str) -> None:
    check_embedding_settings(settings(method))
    for backbone in BACKBONES:
        check_embedding_settings(settings(method, backbone=backbone))
    check_embedding_settings(settings(method, max_train_images=100, layers=["layer1", "layer2"]))


@pytest.mark.parametrize(
    ("method", "changes", "told"),
    [
        ("padim", {"backbone": "vgg"}, ("backbone=vgg", "resnet18")),
        ("padim", {"layers": []}, "method.layers=[]"),
        ("padim", {"layers": ["layer2", "layer1"]}, ("method.layers=", "order")),
        ("padim", {"layers": ["layer1", "layer1"]}, ("method.layers=", "order")),
        ("padim", {"layers": "layer1"}, "method.layers=layer1"),
        ("padim", {"layers": ["blocks.1"]}, ("method.layers=", "layer1,layer2,layer3,layer4")),
        ("padim", {"n_features": 0}, "method.n_features=0"),
        ("padim", {"n_features": 449}, ("method.n_features=449", "448")),
        ("padim", {"pretrained": "no"}, ("method.pretrained=no", "true", "false")),
        ("padim", {"backbone": ["resnet18"]}, ("backbone=", "resnet18")),
        ("padim", {"weights_path": 5}, "method.weights_path=5"),
        (
            "padim",
            {"weights_path": "a.pth", "pretrained": False},
            ("method.weights_path", "method.pretrained"),
        ),
        ("patchcore", {"max_train_images": 0}, "method.max_train_images=0"),
        ("patchcore", {"n_neighbors": None}, "method.n_neighbors=None"),
        ("patchcore", {"n_neighbors": True}, "method.n_neighbors=True"),
        ("patchcore", {"coreset_ratio": 0}, ("method.coreset_ratio=0", "1")),
        ("patchcore", {"coreset_ratio": 1.5}, "method.coreset_ratio=1.5"),
    ],
)
def test_impossible_settings_are_named(
    method: str, changes: dict[str, Any], told: str | tuple[str, ...]
) -> None:
    with refuses(facts=told):
        check_embedding_settings(settings(method, **changes))


def test_features_of_the_papers() -> None:
    for name, expected in (
        ("resnet18", 100),
        ("wide_resnet50_2", 550),
        ("efficientnet_lite0", 100),
    ):
        backbone = BACKBONES[name]
        assert check_features(backbone, backbone.padim_layers, None) == expected


def test_names_load_nothing_slow() -> None:
    code = (
        "import sys, cyclegan_ad.pretrained.names; assert not {'torch', 'timm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
