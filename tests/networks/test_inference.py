"""Networks of all methods from what a file holds: the same results, no frameworks, exportable."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from baselines import batches, fit, images, padim, patchcore
from errors import refuses
from plain_networks import NETWORKS, random_images, random_state
from probes import fitted_probe, probe
from safetensors.torch import load_file, save_file
from small_cyclegan import small_cyclegan
from torch import Tensor

from cyclegan_ad.methods.interface import Embeds, Reconstructs
from cyclegan_ad.networks import fast_forwards
from cyclegan_ad.networks.inference import ExportedNetwork, build_inference

RECONSTRUCTS, EMBEDS = {"cyclegan", "ganomaly"}, {"ganomaly", "padim", "patchcore", "linear_probe"}


def results(method: Any, test: Tensor) -> list[Tensor]:
    """Everything that a trained method gives."""
    found = [method.reconstruct(test)] if isinstance(method, Reconstructs) else []
    if isinstance(method, Embeds):
        embedded = method.embed(test)
        given = (embedded.scores, embedded.peaks, embedded.maps)
        found += [values for values in given if values is not None]
    return [tensor.detach() for tensor in found]


def trained(name: str) -> Any:
    """A tiny trained method of images of 32 px."""
    if name == "cyclegan":
        return small_cyclegan().eval()
    if name == "ganomaly":
        pytest.importorskip("anomalib", reason="extra 'baselines'")
        from cyclegan_ad.methods.ganomaly import GANomaly

        module: Any = GANomaly(
            channels=1, size_px=32, base_channels=4, latent_size=8, lambda_adv=1.0, lambda_con=50.0,
            lambda_enc=1.0, learning_rate=2e-4, betas=(0.5, 0.999), seed=0,
        )  # fmt: skip
    elif name == "linear_probe":
        return fitted_probe()
    else:
        module = padim() if name == "padim" else patchcore()
    fit(module, batches(images(6)))
    return module


@pytest.mark.parametrize("name", NETWORKS)
def test_equals_the_method_through_a_file(name: str, tmp_path: Path) -> None:
    method, test = trained(name), images(3, seed=1)
    network, tensors = method.inference_state()
    save_file(tensors, tmp_path / "weights.safetensors")
    built = build_inference(
        name, json.loads(json.dumps(network)), load_file(tmp_path / "weights.safetensors")
    )
    assert not built.training
    assert isinstance(built, Reconstructs) == (name in RECONSTRUCTS)
    assert isinstance(built, Embeds) == (name in EMBEDS)
    for one, other in zip(results(built, test), results(method, test), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("build", [padim, patchcore, probe])
def test_a_method_that_is_not_fitted_has_nothing_to_save(build: Any) -> None:
    with pytest.raises(RuntimeError, match="is not fitted"):
        build().inference_state()


@pytest.mark.slow  # starts a process
def test_no_framework_is_loaded(tmp_path: Path) -> None:
    for name in NETWORKS:
        network, tensors = random_state(name)
        save_file(tensors, tmp_path / f"{name}.safetensors")
        (tmp_path / f"{name}.json").write_text(json.dumps(network))
    code = """
import json, pkgutil, sys
from importlib import import_module
from pathlib import Path
import torch
from safetensors.torch import load_file
import cyclegan_ad.networks
for module in pkgutil.iter_modules(cyclegan_ad.networks.__path__, "cyclegan_ad.networks."):
    import_module(module.name)
from cyclegan_ad.networks import fast_forwards
from cyclegan_ad.networks.inference import build_inference
for file in sorted(Path(sys.argv[1]).glob("*.json")):
    tensors = load_file(file.with_suffix(".safetensors"))
    method = build_inference(file.stem, json.loads(file.read_text()), tensors)
    infer = method.embed if hasattr(method, "embed") else method.reconstruct
    infer(torch.zeros(1, 1, 64, 64))
    print(file.stem)
heavy = "lightning pytorch_lightning anomalib timm hydra wandb torchmetrics torchvision kornia"
print(*{name.partition(".")[0] for name in sys.modules} & set(heavy.split()), "only")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [*sorted(NETWORKS), "only"]


@pytest.mark.parametrize("name", NETWORKS)
def test_what_does_not_fit_is_named_in_one_line(name: str) -> None:
    network, tensors = random_state(name)
    first = next(key for key in tensors if key != "memory_bank")  # which may have any size
    remedy = "saved together"
    with refuses(facts=(f"weights of method={name}", first), remedy=remedy):
        build_inference(name, network, {k: v for k, v in tensors.items() if k != first})
    with refuses(facts=f"weights of method={name}", remedy=remedy):
        build_inference(name, network, {})
    with refuses(facts=(f"weights of method={name}", first), remedy=remedy):
        build_inference(name, network, tensors | {first: torch.zeros(1, 2)})
    with refuses(facts=(f"weights of method={name}", "other"), remedy=remedy):
        build_inference(name, network, tensors | {"other": torch.zeros(1)})
    with refuses(facts=(f"network of method={name}", "width"), remedy=remedy):
        build_inference(name, network | {"width": 3}, tensors)
    with refuses(facts=(f"network of method={name}", "channels"), remedy=remedy):
        build_inference(name, {k: v for k, v in network.items() if k != "channels"}, tensors)
    with refuses(setting="method", value="linear", remedy=name):
        build_inference("linear", network, tensors)


def test_an_unknown_backbone_is_named() -> None:
    network, tensors = random_state("padim")
    with refuses(facts=("method=padim", "alexnet")):
        build_inference("padim", network | {"backbone": "alexnet"}, tensors)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_exported_gives_the_same(name: str) -> None:
    built, test = build_inference(name, *random_state(name)), random_images(3)
    before = {key: value.clone() for key, value in built.state_dict().items()}
    exported = ExportedNetwork(built)
    with torch.no_grad():
        got = exported(test)
    names = ["reconstruction"] * (name in RECONSTRUCTS) + ["score"] * (name in EMBEDS)
    names += ["peak"] * (name == "linear_probe")
    assert list(got) == names + ["map"] * (name not in ("cyclegan", "ganomaly"))
    for one, other in zip(got.values(), results(built, test), strict=True):
        torch.testing.assert_close(one.to(other.dtype), other, rtol=1e-4, atol=1e-5)
    kinds = {type(layer).__module__ for layer in exported.modules()}
    assert fast_forwards.__name__ not in kinds
    for key, value in built.state_dict().items():  # the copy leaves the original alone
        assert torch.equal(value, before[key]) and value.stride() == before[key].stride()


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_with_any_batch_size(name: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="extra 'export'")
    pytest.importorskip("onnxscript", reason="extra 'export'")
    exported = ExportedNetwork(build_inference(name, *random_state(name)))
    test = random_images(5)
    with torch.no_grad():
        names = list(exported(test))
    program = torch.onnx.export(
        exported,
        (test[:2],),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        input_names=["images"],
        output_names=names,
        verbose=False,
    )
    assert program is not None
    program.save(tmp_path / "network.onnx")
    session = onnxruntime.InferenceSession(
        tmp_path / "network.onnx", providers=["CPUExecutionProvider"]
    )
    for count in (1, 5):
        with torch.no_grad():
            expected = exported(test[:count])
        got = session.run(names, {"images": test[:count].numpy()})
        for one, other in zip(got, expected.values(), strict=True):
            largest = other.abs().max().item()
            assert one.shape == other.shape
            np.testing.assert_allclose(one, other.numpy(), rtol=1e-4, atol=1e-5 * largest)
