"""Each measurement on sizes that take a moment; no time is asserted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tiny import draw_folder, overrides

from cyclegan_ad.files import write_json, write_text
from cyclegan_ad.runs.directory import RunDirectory
from experiments.benchmarks import commands, matrix_product, scaling
from experiments.benchmarks.commands import DEMO_RUN, measure_demo, run, until_first_step
from experiments.benchmarks.input_side import DecodedOnAccess, measure_input
from experiments.benchmarks.machine import describe_machine, describe_versions, processor_name
from experiments.benchmarks.matrix_product import measure_products
from experiments.benchmarks.memory import measure_memory
from experiments.benchmarks.photographs import draw_photograph, write_photographs
from experiments.benchmarks.scaling import measure_scaling
from experiments.benchmarks.scoring import demo_images, measure_scoring
from experiments.benchmarks.training_step import has_bf16, measure_training

CPU = torch.device("cpu")
TINY = ("method.generator.base_channels=4", "method.generator.residual_blocks=1")
SOON: dict[str, Any] = {"device": CPU, "budget_s": 0.0, "at_least": 1}


@pytest.fixture(autouse=True)
def small_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(matrix_product.SIDE, "cpu", 32)


def test_matrix_products() -> None:
    samples, facts = measure_products(precisions=["bf16", "float32"], **SOON)
    assert set(samples) == {"product_bf16", "product_float32"}
    assert facts == {"product_flop": 4 * 2 * 32**3}


def test_training_steps() -> None:
    ways = ["textbook", "float32", "bf16"]
    samples, facts = measure_training(size_px=32, batch_size=2, ways=ways, words=TINY, **SOON)
    assert set(samples) == {*ways, "product_bf16", "product_float32"}
    assert all(len(seconds) == 1 and seconds[0] > 0 for seconds in samples.values())
    assert facts["precision"] == {"textbook": "float32", "float32": "float32", "bf16": "bf16"}
    assert facts["product_flop"] == 4 * 2 * 32**3
    _, small = measure_training(
        size_px=64, batch_size=1, ways=["float32"], warm_up_px=32, words=TINY, **SOON
    )
    assert small["pair_flop"] > 3 * facts["pair_flop"]


@pytest.mark.parametrize("checkpointing", [False, True])
def test_memory(checkpointing: bool) -> None:
    samples, facts = measure_memory(
        size_px=32, batch_size=1, checkpointing=checkpointing, words=TINY, **SOON
    )
    assert samples == {}
    assert facts["peak_mib"] >= facts["before_mib"] > 10


def test_input_side() -> None:
    samples, facts = measure_input(
        files=8, file_px=48, size_px=32, batch_size=2, copies=3, words=TINY, **SOON
    )
    assert set(samples) == {"textbook", "batches", "first_epoch"}
    # Of 4 + 4 images half are for the test: 2 x 3 pairs an epoch.
    assert facts["images"] == {"textbook": 2, "batches": 12, "first_epoch": 8}
    assert list(facts["decoding"]) == ["2", "4", "8"]


def test_photographs(tmp_path: Path) -> None:
    paths = write_photographs(tmp_path, 6, 32)
    assert [path.parent.name for path in paths] == ["normal", "abnormal"] * 3
    assert paths[4].read_bytes() == paths[0].read_bytes() != paths[1].read_bytes()
    assert (draw_photograph(0, 16) == draw_photograph(0, 16)).all()
    # Noise of a camera: about half of the bytes of the pixels are left.
    large = write_photographs(tmp_path, 1, 256)[0]
    assert 0.3 < large.stat().st_size / (3 * 256**2) < 0.9
    image = DecodedOnAccess([large], 32)[0]
    assert image.shape == (3, 32, 32) and -1 <= image.min() < image.max() <= 1
    with Image.open(large) as file:
        assert file.size == (256, 256)


def test_scoring_by_sse() -> None:
    samples, facts = measure_scoring(score="sse", images=4, size_px=32, words=TINY, **SOON)
    bf16 = {"batched_bf16"} if has_bf16(torch.device("cpu")) else set()
    assert set(samples) == {"textbook", "batched"} | bf16
    assert list(facts["growth"]) == ["1", "4", "16"]


@pytest.mark.slow
def test_scoring_by_fid_without_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    address = "pytorch_fid.inception.FID_WEIGHTS_URL"
    monkeypatch.setattr(address, "https://localhost/none-0000.pth")  # given back at the end
    samples, facts = measure_scoring(score="fid", images=1, size_px=32, words=TINY, **SOON)
    bf16 = {"batched_bf16", "cached_bf16"} if has_bf16(torch.device("cpu")) else set()
    assert set(samples) == {"textbook", "batched", "cached"} | bf16
    assert facts["weights"] == "random"


def test_demo_images() -> None:
    images = demo_images(3, 32)
    assert images.shape == (3, 3, 32, 32) and images.is_contiguous()
    assert -1 <= images.min() < images.max() <= 1


@pytest.mark.slow
def test_a_job_to_its_first_step(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "data")
    words = overrides(root, tmp_path / "runs")
    assert until_first_step(str(tmp_path), words) > 0
    assert not list(tmp_path.rglob("last.ckpt"))


def test_commands_that_end_otherwise_than_meant() -> None:
    run([commands.sys.executable, "-c", "pass"])
    program = "import sys; print('no disk'); sys.exit(3)"
    run([commands.sys.executable, "-c", program], fails=True)
    with pytest.raises(RuntimeError, match="ended with 3: no disk"):
        run([commands.sys.executable, "-c", program])
    with pytest.raises(RuntimeError, match="ended with 0: nothing was printed"):
        run([commands.sys.executable, "-c", "pass"], fails=True)


def finish(command: Sequence[str], epochs: int, steps: int, seconds: float) -> None:
    """Leave behind what a training or an evaluation does."""
    given = dict(word.split("=", 1) for word in command if "=" in word)
    if "runs" not in given:
        return
    found = RunDirectory(Path(given["runs"]) / DEMO_RUN)
    progress = {"epochs": epochs, "steps": steps, "seconds": seconds, "finished": True}
    write_json(found.training, progress)
    rows = "".join(f"{i}.png,{i % 2},{i}.0\n" for i in range(60))
    write_text(found.path / "scores.csv", f"path,label,sse\n{rows}")


def test_the_demo_and_its_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    typed: list[Sequence[str]] = []

    def pretend(command: Sequence[str], *, fails: bool = False) -> None:
        typed.append(command)
        finish(command, 12, 420, 60.0)

    monkeypatch.setattr(commands, "run", pretend)
    samples, facts = measure_demo(words=[], **SOON)
    assert [command[2] for command in typed] == ["cyclegan_ad.train", *["cyclegan_ad.evaluate"] * 3]
    assert {name: len(seconds) for name, seconds in samples.items()} == {"demo": 1, "evaluate": 3}
    assert facts == {"epochs": 12, "images": 60}


def test_scaling(monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(command: Sequence[str], *, fails: bool = False) -> None:
        given = dict(word.split("=", 1) for word in command if "=" in word)
        devices, epochs = int(given["trainer.devices"]), int(given["trainer.max_epochs"])
        # 7 s to start, then 100 steps of 0.1 s; twice as many devices, 5 % slower each.
        seconds = 7 + 10.0 * epochs * (1 if devices == 1 else 1.05 / devices)
        finish(command, epochs, 100 * epochs // devices, seconds)

    monkeypatch.setattr(scaling, "run", pretend)
    _, facts = measure_scaling(devices=2, batch_size=4, **SOON)
    assert facts["pairs_a_second"] == {
        "1": pytest.approx(40.0), "2": pytest.approx(80 / 1.05)
    }  # fmt: skip


def test_machine_and_versions(tmp_path: Path) -> None:
    machine = describe_machine()
    assert (machine["cores"] >= 1 and machine["processor"] in machine["name"]) or machine["gpus"]
    assert set(machine["slug"]) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    versions = describe_versions()
    assert versions["packages"]["torch"] == torch.__version__
    assert isinstance(versions["changed"], bool)
    cpuinfo = tmp_path / "cpuinfo"
    for written, read in (
        ("Intel(R) Xeon(R) Platinum 8480+ CPU @ 2.00GHz", "Intel Xeon Platinum 8480+"),
        ("AMD EPYC 9654 96-Core Processor", "AMD EPYC 9654"),
    ):
        cpuinfo.write_text(f"processor\t: 0\nmodel name\t: {written}\n")
        assert processor_name(cpuinfo) == read
    assert processor_name(tmp_path / "nothing")
