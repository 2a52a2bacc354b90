import subprocess
import sys

from errors import refuses

from cyclegan_ad.pretrained.names import BACKBONES, check_features


def test_features_of_the_papers() -> None:
    for name, expected in (
        ("resnet18", 100),
        ("wide_resnet50_2", 550),
        ("efficientnet_lite0", 100),
    ):
        backbone = BACKBONES[name]
        assert check_features(backbone, backbone.padim_layers, None) == expected


def test_more_features_than_channels_are_refused() -> None:
    with refuses(setting="method.n_features", value=193, facts="192"):
        check_features(BACKBONES["resnet18"], ["layer1", "layer2"], 193)


def test_names_load_nothing_slow() -> None:
    code = (
        "import sys, cyclegan_ad.pretrained.names; assert not {'torch', 'timm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
