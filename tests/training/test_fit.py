"""Interrupted trainings end with the weights of uninterrupted ones, bit for bit."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from errors import refuses
from small_cyclegan import SMALL
from states import RESUMED
from tiny import draw_folder, overrides, settings

from cyclegan_ad import device
from cyclegan_ad.build import build_data, build_method
from cyclegan_ad.endings import Terminated, raise_on_signals
from cyclegan_ad.errors import UserError
from cyclegan_ad.job import run_job
from cyclegan_ad.methods.cyclegan import CycleGAN
from cyclegan_ad.networks.fast_forwards import InstanceNorm, ReflectionPad, ToImage
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.training import fit
from cyclegan_ad.training.resolve_auto import resolve_auto
from cyclegan_ad.training.speed import compile_networks, prepare_networks


class Interrupt(Exception):
    """Stands for a killed process."""


class InterruptAt(pl.Callback):
    """Raises at the start of a step, counted over the whole training from 0."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step // 2 == self.step:
            raise Interrupt


def train(run: RunDirectory, chosen: Settings, *callbacks: pl.Callback) -> None:
    chosen = resolve_auto(chosen)
    data = build_data(chosen)
    data.setup()
    fit.fit(
        build_method(chosen),
        data,
        run,
        chosen,
        loggers=[],
        callbacks=callbacks,
    )


def final_state(run: RunDirectory) -> dict[str, Any]:
    return torch.load(run.checkpoint, weights_only=True)


def assert_same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    else:
        assert a == b


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A data folder and the final checkpoint of a training that was never interrupted."""
    root = draw_folder(tmp_path_factory.mktemp("data"))
    run = RunDirectory(tmp_path_factory.mktemp("run"))
    # Pools of 4 are full after two steps, so that past fakes matter.
    train(run, settings(root, run.path, "method.pool_size=4"))
    return root, final_state(run)


@pytest.mark.parametrize("step", [1, 3, 4, 8])
def test_resumed_training_ends_with_the_same_weights(
    step: int, uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    root, expected = uninterrupted
    run, chosen = RunDirectory(tmp_path), settings(root, tmp_path, "method.pool_size=4")
    with pytest.raises(Interrupt):
        train(run, chosen, InterruptAt(step))
    assert run.read_training()["epochs"] == step // 3
    train(run, chosen)
    ours = final_state(run)
    for part in ("state_dict", "optimizer_states", "pools", "lr_schedulers", "epoch"):
        assert_same(ours[part], expected[part])


def test_resumed_training_with_augmentation_and_averages(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "data")
    words = ("method=cyclegan_plus", "method.pool_size=4", "trainer.max_epochs=2")
    states = []
    for name, stops in (("whole", ()), ("resumed", (InterruptAt(4),))):
        run = RunDirectory(tmp_path / name)
        chosen = settings(root, run.path, *words)
        with contextlib.suppress(Interrupt):
            train(run, chosen, *stops)
        train(run, chosen)
        states.append(final_state(run))
    for part in ("state_dict", "optimizer_states", "pools", "lr_schedulers", "epoch"):
        assert_same(states[0][part], states[1][part])
    assert any(name.startswith("averages.") for name in states[0]["state_dict"])


def test_other_seed_gives_other_weights(
    uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    root, expected = uninterrupted
    run = RunDirectory(tmp_path)
    train(run, settings(root, tmp_path, "method.pool_size=4", "seed=1"))
    key = "generator_to_normal.layers.1.weight"
    assert not torch.equal(final_state(run)["state_dict"][key], expected["state_dict"][key])


def test_a_checkpoint_that_is_being_written_does_not_replace_the_last(
    uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, expected = uninterrupted
    run, chosen = RunDirectory(tmp_path), settings(root, tmp_path, "method.pool_size=4")
    write, wholes = Path.write_bytes, []

    def half_written(path: Path, content: Any) -> int:
        assert path.parent == run.checkpoint.parent  # no other disk, no other folder
        wholes.append(len(content))
        if len(wholes) == 2:
            write(path, content[: len(content) // 2])
            raise Interrupt
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half_written)
        with pytest.raises(Interrupt):
            train(run, chosen)
    assert os.listdir(run.checkpoint.parent) == [run.checkpoint.name]
    assert run.read_training()["epochs"] == 1
    train(run, chosen)
    assert_same(final_state(run)["state_dict"], expected["state_dict"])


def test_a_kill_before_the_note_of_the_last_epoch_is_made_good(
    uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, expected = uninterrupted
    run, chosen = RunDirectory(tmp_path), settings(root, tmp_path, "method.pool_size=4")
    note = fit.SaveLast.write_progress

    def killed(self: fit.SaveLast, trainer: pl.Trainer, epochs: int) -> None:
        if epochs == 3:
            raise Interrupt
        note(self, trainer, epochs)

    with monkeypatch.context() as patch:
        patch.setattr(fit.SaveLast, "write_progress", killed)
        with pytest.raises(Interrupt):
            train(run, chosen)
    assert not run.read_training()["finished"]
    train(run, chosen)
    assert run.read_training()["finished"]
    assert run.read_training()["steps"] == 9
    assert_same(final_state(run)["state_dict"], expected["state_dict"])


def test_ctrl_c_is_passed_on(
    uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class PressCtrlC(pl.Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(RunDirectory(tmp_path), settings(uninterrupted[0], tmp_path), PressCtrlC())
    finally:
        signal.signal(signal.SIGINT, handler)
    assert f"{tmp_path}: no checkpoint yet" in capsys.readouterr().out


def test_a_run_that_is_deleted_while_it_is_trained_stops(
    uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    class DeleteRun(pl.Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            shutil.rmtree(tmp_path / "run", ignore_errors=True)

    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    run.config.touch()
    with refuses(file=run.path, remedy="same command"):
        train(run, settings(uninterrupted[0], tmp_path), DeleteRun())
    assert not run.checkpoint.exists()


@pytest.mark.parametrize("handled_elsewhere", [False, True])
def test_sigterm_is_passed_on_with_its_status(
    handled_elsewhere: bool,
    uninterrupted: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class SendSigterm(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
            if trainer.current_epoch == 1:
                os.kill(os.getpid(), signal.SIGTERM)

    root, expected = uninterrupted
    run, chosen = RunDirectory(tmp_path), settings(root, tmp_path, "method.pool_size=4")
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        if handled_elsewhere:  # as by submitit
            signal.signal(signal.SIGTERM, lambda *_: None)
        around = contextlib.nullcontext() if handled_elsewhere else raise_on_signals()
        with pytest.raises(Terminated) as ended, around:
            train(run, chosen, SendSigterm())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert ended.value.code == 143
    assert run.read_training()["epochs"] == 1
    printed = capsys.readouterr().out
    assert (
        f"{tmp_path}: the last checkpoint is after epoch 1 of {chosen.trainer.max_epochs}"
        in printed
    )
    train(run, chosen)
    assert_same(final_state(run)["state_dict"], expected["state_dict"])


def test_a_checkpoint_that_is_not_where_its_note_says(
    uninterrupted: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An older one was put back, or none: the one resumes where it is, the other is said."""
    root, expected = uninterrupted
    run, chosen = RunDirectory(tmp_path), settings(root, tmp_path, "method.pool_size=4")
    with pytest.raises(Interrupt):
        train(run, chosen, InterruptAt(3))
    progress = json.loads(run.training.read_text())
    run.training.write_text(json.dumps(progress | {"epochs": 2}))
    older = run.checkpoint.read_bytes()
    run.checkpoint.unlink()
    with refuses(file=run.checkpoint):
        train(run, chosen)
    run.checkpoint.write_bytes(older)
    train(run, chosen)
    assert f"{run.checkpoint}: resuming after epoch 1\n" in capsys.readouterr().out
    assert_same(final_state(run)["state_dict"], expected["state_dict"])


@pytest.mark.slow
def test_killed_command_is_continued_by_typing_it_again(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "data")
    epochs = "trainer.max_epochs=40"
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    run = RunDirectory.of(settings(root, killed, epochs))

    command = [sys.executable, "-m", "cyclegan_ad.train", *overrides(root, killed, epochs)]
    process = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 120
    while run.read_training()["epochs"] < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 2 <= run.read_training()["epochs"] < 40

    again = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert RESUMED in again.stdout
    assert again.stdout.splitlines()[-1].endswith(f"predict detector={run.path} images=FOLDER")
    run_job(settings(root, straight, epochs))
    other = RunDirectory.of(settings(root, straight, epochs))
    for part in ("state_dict", "optimizer_states", "pools"):
        assert_same(final_state(run)[part], final_state(other)[part])
    assert run.scores.read_text() == other.scores.read_text()


def test_non_finite_loss_keeps_the_last_good_checkpoint(
    uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    root, _ = uninterrupted

    class Poison(pl.Callback):
        def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
            if trainer.current_epoch == 1:
                module.generator_to_normal.layers[1].weight.data[0, 0, 0, 0] = float("nan")

    run, chosen = RunDirectory(tmp_path), settings(root, tmp_path)
    with refuses(facts=("step 4", "epoch 2", "epoch 1")):
        train(run, chosen, Poison())
    weights = final_state(run)["state_dict"]["generator_to_normal.layers.1.weight"]
    assert torch.isfinite(weights).all()


def assert_close(state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """The same names, and weights that differ by rounding."""
    assert list(state) == list(expected)
    for name, value in state.items():
        # Adam turns the rounding of gradients that are zero into steps of the learning rate.
        if not name.endswith("bias"):
            torch.testing.assert_close(value, expected[name], rtol=0, atol=5e-4, msg=name)


def weights_with(word: str, root: Path, folder: Path) -> dict[str, torch.Tensor]:
    """Weights of the training of ``uninterrupted`` with one more setting."""
    run = RunDirectory(folder)
    train(run, settings(root, folder, "method.pool_size=4", word))
    state: dict[str, torch.Tensor] = final_state(run)["state_dict"]
    assert all(torch.isfinite(value).all() for value in state.values())
    return state


def test_channels_last_is_the_order_of_the_weights(
    uninterrupted: tuple[Path, dict[str, Any]],
) -> None:
    # Where there is one channel or one pixel, both orders are the same.
    kernels = [
        value
        for value in uninterrupted[1]["state_dict"].values()
        if value.ndim == 4 and value.shape[1] > 1
    ]
    assert len(kernels) > 20
    for kernel in kernels:
        assert kernel.is_contiguous(memory_format=torch.channels_last)
        assert not kernel.is_contiguous()


def test_bf16_computes_otherwise_and_keeps_float32_weights(
    uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    root, expected = uninterrupted
    state = weights_with("trainer.precision=bf16-mixed", root, tmp_path)
    assert state.keys() == expected["state_dict"].keys()
    for name, value in state.items():
        assert value.dtype == torch.float32
        if name.endswith("weight"):
            assert not torch.equal(value, expected["state_dict"][name]), name


@pytest.mark.parametrize("compiler", [True, False])
def test_compile_is_asked_of_each_network_where_there_is_a_compiler(
    compiler: bool,
    uninterrupted: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, expected = uninterrupted
    compiled: list[str] = []
    which = SimpleNamespace(which=lambda name: name if compiler else None)
    monkeypatch.setattr(device, "shutil", which)
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda self, mode: compiled.append(type(self).__name__)
    )
    state = weights_with("trainer.compile=true", root, tmp_path)
    assert_close(state, expected["state_dict"])
    assert compiled.count("Generator") == compiled.count("Discriminator") == 2 * compiler
    printed = capsys.readouterr().out
    assert ("missing compiler C++" in printed) is not compiler
    assert ("a minute or two before the first step" in printed) is compiler


@pytest.mark.parametrize("choice", ["auto", "false"])
def test_compile_is_off_on_a_cpu_unless_asked(
    choice: str,
    uninterrupted: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, mode: pytest.fail("compiled"))
    weights_with(f"trainer.compile={choice}", uninterrupted[0], tmp_path)


def test_checkpointing_computes_the_same(
    uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    root, expected = uninterrupted
    state = weights_with("trainer.activation_checkpointing=true", root, tmp_path)
    assert_close(state, expected["state_dict"])


def test_domains_in_parallel_are_for_one_process_on_several_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with torch.device("meta"):
        method = CycleGAN(**SMALL)
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    given = {"compile": False, "compile_mode": "default", "activation_checkpointing": False}
    prepare_networks(method, cpu, **given, processes=1)
    assert method.parallel_step
    prepare_networks(method, cpu, **given, processes=2)
    assert not method.parallel_step
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    prepare_networks(method, cpu, **given, processes=1)
    assert not method.parallel_step


def test_a_network_that_cannot_be_compiled_is_told_in_a_line(
    uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise torch._dynamo.exc.TorchDynamoException("no such operator\nin a long trace")

    monkeypatch.setattr(device, "shutil", SimpleNamespace(which=str))
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda self, mode: setattr(self, "_compiled_call_impl", fail)
    )
    with pytest.raises(UserError, match=r"failed \(no such operator\); .* trainer.compile=false$"):
        weights_with("trainer.compile=true", uninterrupted[0], tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_compiled_networks_compute_the_same() -> None:
    torch.manual_seed(0)
    method = torch.nn.Module()
    method.network = torch.nn.Sequential(
        ReflectionPad(1), torch.nn.Conv2d(1, 2, 3), InstanceNorm(2), ToImage(2, 1, 3)
    )
    images = torch.rand(2, 1, 8, 8)
    names, expected = list(method.state_dict()), method.network(images)
    assert compile_networks(method, torch.device("cpu"), "default")
    assert method.network._compiled_call_impl is not None
    torch.testing.assert_close(method.network(images), expected)
    assert list(method.state_dict()) == names
