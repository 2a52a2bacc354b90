"""Each measurement on sizes that take a moment; no time is asserted."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from cyclegan_ad.files import write_json, write_text
from cyclegan_ad.runs.directory import RunDirectory
from experiments.benchmarks import commands, detector, input_pipeline, machine, scoring, training
from experiments.benchmarks.timing import Timer

TIMER = Timer(torch.device("cpu"))
BF16 = training.has_bf16(TIMER.device)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    compose_job = training.compose_job

    def compose_tiny(words: Sequence[str]) -> dict[str, Any]:
        sizes = ("method.generator.base_channels=4", "method.generator.residual_blocks=1")
        return compose_job([*words, *sizes])

    for module in (training, input_pipeline, scoring, detector):
        monkeypatch.setattr(module, "compose_job", compose_tiny)
    monkeypatch.setitem(machine.SIDE, "cpu", 32)


def test_training_steps_and_matrix_products(tiny: None) -> None:
    ways = ["reference", "float32", "bf16"]
    samples, facts = training.measure_training(TIMER, size_px=32, batch_size=2, ways=ways)
    assert set(samples) == {*ways, "product_bf16", "product_float32"}
    assert all(len(seconds) == 1 and seconds[0] > 0 for seconds in samples.values())
    assert facts["precision"] == {"reference": "float32", "float32": "float32", "bf16": "bf16"}
    assert facts["product_flop"] == 4 * 2 * 32**3
    assert machine.measure_products(TIMER, precisions=["bf16"])[0].keys() == {"product_bf16"}


def test_arithmetic_of_the_networks_of_the_paper() -> None:
    assert training.pair_flop(64) / 1e9 == pytest.approx(84.09, abs=0.01)


def test_arithmetic_by_hand(tiny: None) -> None:
    """Width 4, one block, 32 px: multiplications of each convolution, forward."""
    ends, halves, quarters = 49 * 3 * 4 * 32**2, 9 * 4 * 8 * 16**2, 9 * 8 * 16 * 8**2
    generator = 2 * (2 * (ends + halves + quarters) + 2 * 9 * 16 * 16 * 8**2)
    layers = [16 * 3 * 4 * 16**2, 16 * 4 * 8 * 8**2, 16 * 8 * 16 * 4**2, 16 * 16 * 32 * 3**2]
    discriminator = 2 * (sum(layers) + 16 * 32 * 2**2)
    # Six passes of generators, of which four need no gradient of their input; six of
    # discriminators, of which two need none of the weights and four none of their input.
    needed = 6 * 3 * generator - 4 * 2 * ends
    needed += 2 * 2 * discriminator + 4 * (3 * discriminator - 2 * layers[0])
    assert training.pair_flop(32) == needed


@pytest.mark.parametrize("checkpointing", [False, True])
def test_memory(tiny: None, checkpointing: bool) -> None:
    samples, facts = training.measure_memory(
        TIMER, size_px=32, batch_size=1, checkpointing=checkpointing
    )
    assert samples == {} and facts["peak_mib"] > 10


def test_input(tiny: None) -> None:
    samples, facts = input_pipeline.measure_input(
        TIMER, files=8, file_px=48, size_px=32, batch_size=2, copies=3
    )
    # Of 4 + 4 images half are for the test: 2 x 3 pairs an epoch.
    assert facts["images"] == {"reference": 2, "batches": 12, "first_epoch": 8}
    assert samples.keys() == facts["images"].keys()


def test_photographs_have_the_noise_of_a_camera(tmp_path: Path) -> None:
    paths = input_pipeline.write_photographs(tmp_path, 6, 256)
    assert [path.parent.name for path in paths] == ["normal", "abnormal"] * 3
    assert paths[4].read_bytes() == paths[0].read_bytes() != paths[1].read_bytes()
    assert 0.3 < paths[0].stat().st_size / (3 * 256**2) < 0.9


def test_scoring(tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    address = "pytorch_fid.inception.FID_WEIGHTS_URL"
    monkeypatch.setattr(address, "https://localhost/none-0000.pth")  # given back at the end
    for score, ways in (("sse", {"batched"}), ("fid", {"batched", "cached"})):
        samples, facts = scoring.measure_scoring(TIMER, score=score, images=1, size_px=32)
        bf16 = {f"{way}_bf16" for way in ways} if BF16 else set()
        assert samples.keys() == {"reference"} | ways | bf16
    assert facts["weights"] == "random"


@pytest.mark.slow
def test_detector(tiny: None) -> None:
    samples, _ = detector.measure_detector(TIMER, images=3, file_px=40, size_px=32)
    assert samples.keys() == {"reference", "predict", "onnx", "import", "load", "load_onnx"}
    assert all(value > 0 for values in samples.values() for value in values)
    case = {"samples": samples, "settings": {"file_px": 40, "size_px": 32}}
    assert [row.unit for row in detector.rows({"detector": case}, {})] == [
        *("images/s", "images/s", "s", "s", "s")
    ]


def test_commands_that_end_otherwise_than_expected() -> None:
    fails = (sys.executable, "-c", "import sys; print('no disk'); sys.exit(3)")
    commands.run(*fails, fails=True)
    with pytest.raises(RuntimeError, match="ended with 3: no disk"):
        commands.run(*fails)
    with pytest.raises(RuntimeError, match="ended with 0: no output"):
        commands.run(sys.executable, "-c", "pass", fails=True)


@pytest.fixture
def commands_run(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Instead of running commands, collect them and leave behind what a training does."""
    typed: list[tuple[str, ...]] = []

    def pretend(*command: str, fails: bool = False) -> None:
        typed.append(command)
        given = dict(word.split("=", 1) for word in command[3:] if "=" in word)
        if "runs" in given:
            run = RunDirectory(Path(given["runs"]) / commands.DEMO_RUN)
            devices = int(given.get("trainer.devices", 1))
            epochs = int(given.get("trainer.max_epochs", 12))
            # 7 s to start, then 100 steps of 0.1 s an epoch, shared by the devices.
            seconds = 7 + 10.0 * epochs / devices
            progress = {"epochs": epochs, "steps": 100 * epochs // devices, "seconds": seconds}
            write_json(run.training, progress | {"finished": True})
            rows = "".join(f"{i}.png,{i % 2},{i}.0\n" for i in range(60))
            write_text(run.path / "scores.csv", f"path,label,sse\n{rows}")

    monkeypatch.setattr(commands, "run", pretend)
    return typed


def test_the_demo_and_its_evaluation(commands_run: list[tuple[str, ...]]) -> None:
    samples, facts = commands.measure_demo(TIMER, words=[])
    modules = [command[2] for command in commands_run]
    assert modules == ["cyclegan_ad.train", *["cyclegan_ad.evaluate"] * 3]
    assert {name: len(seconds) for name, seconds in samples.items()} == {"demo": 1, "evaluate": 3}
    assert facts == {"epochs": 12, "images": 60}


def test_start_up(commands_run: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "draw_demo", lambda root: root)
    samples, _ = commands.measure_start_up(TIMER, jobs=2)
    assert list(samples) == ["help", "mistake", "import_torch", "first_step"]
    assert len(samples["first_step"]) == 2


def test_scaling(commands_run: list[tuple[str, ...]]) -> None:
    _, facts = commands.measure_scaling(TIMER, devices=2, batch_size=4)
    speeds = {"1": pytest.approx(40.0), "2": pytest.approx(80.0)}
    assert facts["pairs_a_second"] == speeds


@pytest.mark.slow
def test_a_training_is_stopped_at_its_first_step(tmp_path: Path) -> None:
    places = (f"runs={tmp_path}/runs", f"cache_dir={tmp_path}/cache", "logger=none")
    commands.run(*commands._UNTIL_FIRST_STEP, *places)
    assert list(tmp_path.rglob("config.yaml")) and not list(tmp_path.rglob("*.ckpt"))


def test_machine(tmp_path: Path) -> None:
    found = machine.describe_machine()
    assert (found["cores"] >= 1 and found["processor"] in found["name"]) or found["gpus"]
    assert set(found["slug"]) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    cpuinfo = tmp_path / "cpuinfo"
    for written, read in (
        ("Intel(R) Xeon(R) Platinum 8480+ CPU @ 2.00GHz", "Intel Xeon Platinum 8480+"),
        ("AMD EPYC 9654 96-Core Processor", "AMD EPYC 9654"),
    ):
        cpuinfo.write_text(f"processor\t: 0\nmodel name\t: {written}\n")
        assert machine.processor_name(cpuinfo) == read
    assert machine.processor_name(tmp_path / "nothing")
