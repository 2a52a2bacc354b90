"""Two processes train what one trains with twice the batch, and find what one finds."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from errors import assert_error
from tiny import draw_folder, overrides, settings

from cyclegan_ad.evaluation.evaluate_run import evaluate_run, prepare_data
from cyclegan_ad.job import run_job
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import read_metrics, read_scores

# float64: Adam makes steps of full size out of gradients that are zero up to rounding.
THREE_STEPS = ("trainer.max_epochs=1", "trainer.precision=64-true")


def command(words: list[str], timeout_s: int = 500) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cyclegan_ad.train", *words],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        stdin=subprocess.DEVNULL,
    )


def weights(run: RunDirectory) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run.checkpoint, weights_only=True)["state_dict"]
    return state


@pytest.mark.slow
def test_a_sweep_in_two_processes_equals_one_process(tmp_path: Path) -> None:
    """One with twice the batch. Both score the test set, each image once."""
    root = draw_folder(tmp_path / "data", normal=17, abnormal=10)  # 12 to train: 3 steps of 2 x 2
    (root / "normal" / "12.png").write_bytes((root / "normal" / "03.png").read_bytes())
    two, one = tmp_path / "two", tmp_path / "one"
    words = (*THREE_STEPS, "score=extensions", "protocol=calibrated")
    ddp = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    sweep = command(overrides(root, two, *words, *ddp, "dataset.batch_size=2", "-m", "seed=0,1"))
    assert sweep.returncode == 0, sweep.stderr
    assert "sync_dist" not in sweep.stderr
    found = []
    for seed in (0, 1):
        job = settings(root, one, *words, "dataset.batch_size=4", f"seed={seed}")
        run_job(job)
        run = RunDirectory.of(settings(root, two, *words, f"seed={seed}"))
        ours, theirs = weights(run), weights(RunDirectory.of(job))
        assert run.read_training()["steps"] == 3
        for name in theirs:
            torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=1e-6)
        assert run.metrics.is_file()
        found.append(ours["generator_to_normal.layers.1.weight"])
    assert not torch.equal(*found)

    assert len(read_scores(run.path)) + len(read_scores(run.path, "calibration.csv")) == 11
    names = ("scores.csv", "calibration.csv")
    files = {name: (run.path / name).read_bytes() for name in names}
    metrics = read_metrics(run.path)
    for name in (*names, "metrics.json"):
        (run.path / name).unlink()
    evaluate_run(run, run.read_config(), prepare_data(job))  # in this process alone
    assert {name: (run.path / name).read_bytes() for name in names} == files
    assert read_metrics(run.path) == metrics


@pytest.mark.slow
def test_failure_in_a_process_is_told_in_one_line(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "data")
    words = overrides(
        root,
        tmp_path / "runs",
        "trainer=ddp",
        "trainer.accelerator=cpu",
        "trainer.devices=2",
        "method.learning_rate=1e38",
    )
    failed = command(words)
    assert failed.returncode == 1
    errors = [line for line in failed.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert_error(errors[0], facts="training step")
    assert "Traceback" not in failed.stderr


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds processes through /proc")
def test_a_process_that_is_terminated_ends_the_command(tmp_path: Path) -> None:
    """The other one may wait for it, outside of Python, in a broadcast."""
    root, runs = draw_folder(tmp_path / "data"), tmp_path / "runs"
    chosen = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    words = overrides(root, runs, *chosen, "trainer.max_epochs=4000")
    process = subprocess.Popen(
        [sys.executable, "-m", "cyclegan_ad.train", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        deadline = time.monotonic() + 200
        while not (runs / "cyclegan-32" / "folder" / "seed0" / "training.json").is_file():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 2
        os.kill(int(children[1]), signal.SIGTERM)
        _, err = process.communicate(timeout=200)
    finally:
        process.kill()
    assert process.returncode == 1
    [error] = [line for line in err.splitlines() if line.startswith("error: ")]
    assert_error(error, facts=("process 1 of 2", "SIGTERM"), remedy="same command again")
    assert "Traceback" not in err
