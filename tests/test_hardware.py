"""How jobs share a machine: how many at a time, which GPUs, how many threads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from errors import refuses

from cyclegan_ad import hardware
from cyclegan_ad.hardware import (
    available_bytes,
    claim_gpus,
    gpus_per_job,
    jobs_at_once,
    share_threads,
)


def test_memory_of_this_machine_is_known() -> None:
    assert available_bytes(torch.device("cpu")) > 1e6


@pytest.mark.parametrize(
    ("cpus", "jobs"), [(1, 1), (2, 2), (3, 2), (8, 2), (12, 3), (64, 16)], ids=str
)
def test_jobs_at_once_on_a_cpu(cpus: int, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "cpu_count", lambda: cpus)
    assert jobs_at_once("cpu", "auto", 1) == jobs
    monkeypatch.setattr(hardware, "visible_gpus", list)
    assert jobs_at_once("auto", "auto", 1) == jobs


@pytest.mark.parametrize(
    ("strategy", "devices", "each", "jobs"),
    [
        ("auto", 1, 1, 4),
        ("ddp", 2, 2, 2),
        ("ddp", 3, 3, 1),
        ("ddp", 8, 8, 1),
        ("ddp", "auto", 1, 4),
    ],
)
def test_jobs_at_once_on_four_gpus(
    strategy: str, devices: object, each: int, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "visible_gpus", lambda: ["0", "1", "2", "3"])
    assert gpus_per_job("auto", strategy, devices) == each
    assert jobs_at_once("auto", strategy, devices) == jobs


@pytest.mark.parametrize(
    ("chosen", "count", "names"),
    [(None, 3, ["0", "1", "2"]), ("2, GPU-5f", 2, ["2", "GPU-5f"]), ("0,1", 0, []), ("", 0, [])],
)
def test_gpus_are_named_as_the_environment_names_them(
    chosen: str | None, count: int, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if chosen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert hardware.visible_gpus() == names


CLAIM = """
import sys
from cyclegan_ad.hardware import claim_gpus
import os
for _ in range(2):  # what it has it keeps
    print(*claim_gpus(["3", "5", "6"], int(sys.argv[1]), wait_s=0.05), flush=True)
print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
sys.stdin.read()
"""


def test_processes_claim_gpus_of_their_own_and_wait_for_them(tmp_path: Path) -> None:
    def claim(count: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(count)],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def lines(process: subprocess.Popen[str]) -> list[str]:
        assert process.stdout is not None
        return [process.stdout.readline().strip() for _ in range(3)]

    started = []
    try:
        started.append(two := claim(2))
        assert lines(two) == ["3 5", "3 5", "3,5"]
        started.append(one := claim(1))
        assert lines(one) == ["6", "6", "6"]
        started.append(late := claim(2))
        with pytest.raises(subprocess.TimeoutExpired):
            late.wait(timeout=2)
        one.kill()  # one is free, and it needs two
        with pytest.raises(subprocess.TimeoutExpired):
            late.wait(timeout=1)
        two.kill()
        assert lines(late) == ["3 5", "3 5", "3,5"]
    finally:
        for process in started:
            process.kill()
            process.communicate()


def test_more_gpus_than_there_are() -> None:
    with refuses(facts=("4", "2"), remedy="trainer.devices"):
        claim_gpus(["0", "1"], 4)


@pytest.mark.parametrize(
    ("environment", "processes", "threads"),
    [
        ({}, 1, None),
        ({"SLURM_CPUS_PER_TASK": "6"}, 1, "6"),
        ({"SLURM_CPUS_PER_TASK": "6"}, 4, "1"),
        ({"SLURM_CPUS_PER_TASK": "6"}, "auto", "6"),
        ({"SLURM_CPUS_PER_TASK": "2"}, 4, "1"),
        ({hardware.JOB_CPUS: "8"}, 2, "4"),
        ({"SLURM_CPUS_PER_TASK": "6", "OMP_NUM_THREADS": "3"}, 1, "3"),
    ],
)
def test_threads_of_a_job(
    environment: dict[str, str],
    processes: int | str,
    threads: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "environ", dict(environment))
    share_threads(processes)
    assert os.environ.get("OMP_NUM_THREADS") == threads
