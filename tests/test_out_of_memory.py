"""Out of memory: one line that names the batch size and what to try; nothing on disk is lost."""

import errno
import gc
import json
import os
import signal
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from errors import assert_error, message_of, refuses
from tiny import changed_group, compose_settings, draw_folder, saved, settings, start_run

from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluate import evaluate
from cyclegan_ad.methods.cyclegan import CycleGAN
from cyclegan_ad.out_of_memory import (
    describe,
    explain_out_of_memory,
    is_out_of_memory,
    phase_of,
)
from cyclegan_ad.processes import launch, worker
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.scoring.scores import Scores
from cyclegan_ad.settings.commands import EvaluateSettings
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.settings.types import read_settings
from cyclegan_ad.train import run_training as train
from cyclegan_ad.training import train_run

ON_GPU = torch.OutOfMemoryError(
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB of "
    "which 1.10 GiB is free. Process 7 has 78.00 GiB memory in use."
)
ON_CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 400000000000000 bytes. Error code 12 (Cannot allocate memory)"
)


def test_what_counts_as_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as of_torch:
        torch.empty(10**14)
    with pytest.raises(MemoryError) as of_numpy:
        np.empty(10**15)
    for error in (
        of_torch.value,
        of_numpy.value,
        ON_GPU,
        ON_CPU,
        MemoryError(),
        RuntimeError("std::bad_alloc"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: out of memory"),
    ):
        assert is_out_of_memory(error), error
    for other in (
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ValueError("out of memory"),
        OSError(errno.ENOSPC, "No space left on device"),
        UserError("out of memory"),
        KeyError("memory"),
    ):
        assert not is_out_of_memory(other), other


def job_of(root: Path, *words: str, method: str = "cyclegan", **trainer: object) -> Settings:
    words = ("dataset.batch_size=16", *words)
    chosen = settings(root, root / "runs", *words, method=method)
    return changed_group(chosen, "trainer", {"precision": "32-true"} | trainer)


def assert_in_order(said: str, *remedies: str) -> None:
    places = [said.find(remedy) for remedy in remedies]
    assert -1 not in places and places == sorted(places), said


def test_training_names_the_batch_size_and_what_to_try_in_order(tmp_path: Path) -> None:
    job = job_of(tmp_path)
    said = describe(job, "training", "the GPU (79.10 GiB)")
    assert_error(said, setting="dataset.batch_size", value=16, facts="the GPU (79.10 GiB)")
    assert_in_order(
        said,
        "dataset.batch_size=8",
        "trainer.activation_checkpointing=true",
        "dataset.images_on=host",
        "trainer.precision=bf16-mixed",
        "resolution below 32",
    )


def test_what_is_in_use_already_is_not_advised(tmp_path: Path) -> None:
    words = ("dataset.batch_size=1", "dataset.images_on=host")
    tried = job_of(tmp_path, *words, activation_checkpointing=True)
    said = describe(tried, "training", "the GPU")
    assert_in_order(said, "trainer.precision=bf16-mixed", "resolution below 32")
    assert not any(tried in said for tried in ("batch_size=0", "checkpointing", "images_on"))
    said = describe(job_of(tmp_path, precision="auto"), "training", "the CPU")
    assert "precision" not in said and "images_on" not in said
    said = describe(job_of(tmp_path, method="patchcore"), "training", "the CPU")
    assert_in_order(
        said, "dataset.batch_size=8", "method.max_train_images=N", "resolution below 32"
    )
    said = describe(job_of(tmp_path, method="ganomaly"), "training", "the GPU")
    assert "checkpointing" not in said and "precision" not in said


def test_a_run_with_complete_epochs_goes_on(tmp_path: Path) -> None:
    job = job_of(tmp_path)
    run = start_run(job, finished=False)
    said = describe(job, "training", "the CPU")
    assert_error(said, facts="epoch 1", remedy="same command")
    assert_in_order(said, "dataset.batch_size=8 run_name=NAME")
    assert "overwrite" not in said
    assert phase_of(run) == "training"


def test_phases_follow_from_the_run_directory(tmp_path: Path) -> None:
    job = job_of(tmp_path)
    assert phase_of(RunDirectory.of(job)) == "reading"
    assert phase_of(start_run(job, finished=True)) == "scoring"


def told(job: dict[str, Any], phase: Any, error: Exception) -> str:
    with refuses(facts="out of memory") as caught, explain_out_of_memory(job, lambda: phase):
        raise error
    assert caught.value.__cause__ is error
    return message_of(caught.value)


def test_scoring_names_its_own_batch_size(tmp_path: Path) -> None:
    job = job_of(tmp_path, "score.names=[sse,peak]")
    said = told(job, "scoring", ON_GPU)
    assert_error(said, setting="score.batch_size", value=16, facts="the GPU (79.10 GiB)")
    assert_in_order(said, "score.batch_size=8", "trainer.accelerator=cpu", "score=sse")
    alone = job_of(tmp_path, "score.names=[sse]", "score.batch_size=1")
    said = told(alone, "scoring", ON_CPU)
    assert not any(name in said for name in ("score.batch_size=0", "accelerator", "score=sse"))


def test_reading_advises_the_disk(tmp_path: Path) -> None:
    said = told(job_of(tmp_path), "reading", MemoryError())
    assert_error(said, setting="resolution", value=32, facts="CPU", remedy="dataset.storage=disk")
    on_disk = job_of(tmp_path, "dataset.storage=disk")
    said = told(on_disk, "reading", MemoryError())
    assert said.count("dataset.storage=") <= 1  # it is named, and not advised


def test_other_errors_pass(tmp_path: Path) -> None:
    for other in (RuntimeError("a defect"), OSError(errno.ENOSPC, "full"), UserError("a remedy")):
        with pytest.raises(type(other)) as caught, explain_out_of_memory({}, lambda: "training"):
            raise other
        assert caught.value is other


def test_what_held_the_memory_is_let_go(tmp_path: Path) -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def step() -> None:
        activations = torch.ones(4)
        held.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with (
        refuses(facts="out of memory") as caught,
        explain_out_of_memory(job_of(tmp_path), lambda: "training"),
    ):
        step()
    assert caught.value.__cause__ is not None  # the error is still there, its tensors are not
    assert held[0]() is None
    assert gc.isenabled()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Data and metrics of a tiny job."""
    root = draw_folder(tmp_path_factory.mktemp("data"))
    return root, train(settings(root, tmp_path_factory.mktemp("runs"), "trainer.max_epochs=2"))


@pytest.mark.parametrize("error", [ON_GPU, ON_CPU, MemoryError()])
def test_a_training_that_ran_out_of_memory_goes_on_from_its_last_epoch(
    error: Exception,
    uninterrupted: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root, expected = uninterrupted
    job = settings(root, tmp_path / "runs", "trainer.max_epochs=2")
    run = RunDirectory.of(job)
    plain = CycleGAN.training_step

    def fail_in_second_epoch(self: CycleGAN, *arguments: Any, **named: Any) -> Any:
        if self.current_epoch == 1:
            raise error
        return plain(self, *arguments, **named)

    monkeypatch.setattr(CycleGAN, "training_step", fail_in_second_epoch)
    with refuses(setting="dataset.batch_size", value=2, facts="epoch 1"):
        train(job)
    monkeypatch.setattr(CycleGAN, "training_step", plain)
    assert train(job)["scores"] == expected["scores"]
    assert run.read_training()["finished"]


def test_scoring_that_ran_out_of_memory_keeps_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = settings(draw_folder(tmp_path / "data"), tmp_path / "runs", "trainer.max_epochs=1")
    run = RunDirectory.of(job)
    plain = Scores.forward

    def fail(self: Scores, *arguments: Any, **named: Any) -> Any:
        raise ON_GPU

    monkeypatch.setattr(Scores, "forward", fail)
    with refuses(remedy=("score.batch_size=8", "trainer.accelerator=cpu")):
        train(job)
    written = run.checkpoint.stat().st_mtime_ns
    words = [f"run={run.path}", "accelerator=cpu"]
    again = read_settings(EvaluateSettings, compose_settings("evaluate", words))
    with refuses(remedy=("score.batch_size=8", "accelerator=cpu")):
        evaluate(again)
    monkeypatch.setattr(Scores, "forward", plain)
    assert evaluate(again)["epochs"] == 1
    assert run.checkpoint.stat().st_mtime_ns == written


def test_a_training_process_leaves_the_message_to_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise ON_GPU

    monkeypatch.setattr(train_run, "train_run", fail)
    monkeypatch.setenv("WORLD_SIZE", "2")
    given = tmp_path / "settings.json"
    chosen = settings(draw_folder(tmp_path / "data"), tmp_path / "runs")
    RunDirectory.of(chosen).path.mkdir(parents=True)
    run = RunDirectory.of(chosen)
    job = {"task": "train", "run": str(run.path), "settings": saved(chosen)}
    given.write_text(json.dumps(job))
    with pytest.raises(SystemExit) as left:
        worker.work(given, os.getppid())
    assert left.value.code == 1
    said = (tmp_path / "error.txt").read_text()
    assert_error(said, setting="dataset.batch_size", facts="the GPU (79.10 GiB)")


def test_a_training_process_killed_for_its_memory_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher import api

    failure = SimpleNamespace(exitcode=-signal.SIGKILL)

    def elastic(config: object, entrypoint: str) -> Any:
        def fail(*arguments: str) -> None:
            error = ChildFailedError.__new__(ChildFailedError)
            error.get_first_failure = lambda: (1, failure)  # type: ignore[method-assign]
            raise error

        return fail

    monkeypatch.setattr(api, "elastic_launch", elastic)
    chosen = job_of(tmp_path)
    RunDirectory.of(chosen).path.mkdir(parents=True)
    with refuses(facts="process 1 of 2", remedy="dataset.batch_size=8"):
        launch.run_in_processes("train", RunDirectory.of(chosen), chosen, 2)
    failure.exitcode = 3
    with refuses(facts=("process 1 of 2", "exit code 3")):
        launch.run_in_processes("train", RunDirectory.of(chosen), chosen, 2)
