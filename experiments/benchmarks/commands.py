"""Whole commands as a user types them: start-up, the demo, its evaluation."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from cyclegan_ad.data.demo.dataset import FORMAT, draw_demo
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import read_scores
from experiments.benchmarks.timing import Samples, take_turns

ROOT = Path(__file__).resolve().parents[2]
DEMO_RUN = Path("cyclegan-64/demo/seed0")
EVALUATIONS = 3

# Settings that a job refuses, after its configuration has been composed.
_MISTAKE = "resolution=63"


def measure_start_up(
    *, jobs: int, words: Sequence[str] = (), device: torch.device, budget_s: float, at_least: int
) -> tuple[Samples, dict[str, Any]]:
    """Time what answers before it computes, and how long a job takes to its first step.

    Args:
        jobs: Jobs that are started to see how long each takes to its first step.
        words: Further settings of the job.
        device: Of no use here.
        budget_s: See :func:`experiments.benchmarks.timing.take_turns`.
        at_least: The same.

    Returns:
        Seconds: ``help``, ``mistake`` (a configuration error), ``python`` (an empty program),
        ``import_torch``, and ``first_step`` of a job on the demo data that are drawn already.
    """
    with tempfile.TemporaryDirectory() as folder:
        train = [sys.executable, "-m", "cyclegan_ad.train"]
        samples = take_turns(
            {
                "help": lambda: run([*train, "--help"]),
                "mistake": lambda: run([*train, _MISTAKE], fails=True),
                "python": lambda: run([sys.executable, "-c", "pass"]),
                "import_torch": lambda: run([sys.executable, "-c", "import torch"]),
            },
            budget_s=budget_s,
            at_least=at_least,
        )
        draw_demo(Path(folder) / "cache" / f"demo-v{FORMAT}")
        samples["first_step"] = [until_first_step(folder, words) for _ in range(jobs)]
    return samples, {}


def measure_demo(
    *, words: Sequence[str] = (), device: torch.device, budget_s: float, at_least: int
) -> tuple[Samples, dict[str, Any]]:
    """Time the demo, from an empty cache to its result table, and then its evaluation.

    Args:
        words: Further settings of the job.
        device: Of no use here.
        budget_s: Of no use here.
        at_least: Of no use here.

    Returns:
        Seconds: ``demo``, once, and ``evaluate``, several times; ``epochs`` and ``images`` (those
        of the test set).
    """
    with tempfile.TemporaryDirectory() as folder:
        runs = f"{folder}/runs"
        train = [sys.executable, "-m", "cyclegan_ad.train"]
        path = Path(runs) / DEMO_RUN
        evaluate = [sys.executable, "-m", "cyclegan_ad.evaluate", f"run={path}"]
        words = [f"runs={runs}", f"cache_dir={folder}/cache", *words]
        demo = partial(run, [*train, *words])
        samples = take_turns({"demo": demo}, budget_s=0.0, at_least=1, warm_up=0)
        again = partial(run, evaluate)
        samples |= take_turns({"evaluate": again}, budget_s=0.0, at_least=EVALUATIONS, warm_up=0)
        epochs = RunDirectory(path).read_training()["epochs"]
        return samples, {"epochs": epochs, "images": len(read_scores(path))}


def until_first_step(folder: str, words: Sequence[str]) -> float:
    """Seconds from the start of a job on the demo data to its first step, where it is ended.

    Args:
        folder: Where its run and its cache lie.
        words: Further settings of the job.
    """
    moment = Path(folder) / "first_step"
    start = time.time()
    run(
        [
            *(sys.executable, "-m", "experiments.benchmarks.first_step", str(moment)),
            *(f"runs={folder}/runs", f"cache_dir={folder}/cache", "overwrite=true", *words),
        ],
        fails=True,
    )
    return float(moment.read_text()) - start


def run(command: Sequence[str], *, fails: bool = False) -> None:
    """Run a command to its end, in the checkout, without a network for the logger.

    Args:
        command: Its words.
        fails: Whether it is meant to end with an error.

    Raises:
        RuntimeError: If it ends otherwise; with the last line that it wrote.
    """
    environment = os.environ | {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if (done.returncode != 0) != fails:
        lines = [*done.stdout.splitlines(), *done.stderr.splitlines()] or ["nothing was printed"]
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {lines[-1]}")
