"""Times of whole commands: start-up, the demo, training on several devices."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from cyclegan_ad.data.demo.dataset import FORMAT, draw_demo
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import read_scores
from experiments.benchmarks.row import Row, Spread, Target, spread
from experiments.benchmarks.timing import Samples, Timer

ROOT = Path(__file__).resolve().parents[2]
DEMO_RUN = Path("cyclegan-64/demo/seed0")

_TRAIN = (sys.executable, "-m", "cyclegan_ad.train")
# A training whose process ends with the first call of its step.
_UNTIL_FIRST_STEP = (
    sys.executable,
    "-c",
    "import os; from cyclegan_ad.cli.command_line import run_command;"
    "from cyclegan_ad.methods.cyclegan import CycleGAN; from cyclegan_ad.train import run_training;"
    "CycleGAN.training_step = lambda *_: os._exit(0); run_command(run_training, 'train')",
)
# Case, sample, heading and name in the table, and the target in seconds.
_TIMES = (
    ("start_up", "help", "Start-up", "--help", 1.0),
    ("start_up", "mistake", "Start-up", "a configuration error", 1.0),
    ("start_up", "import_torch", "Start-up", "import of torch, for comparison", None),
    ("start_up", "first_step", "Start-up", "a training, to its first step", 10.0),
    ("demo", "demo", "Demo", "training (epochs: {epochs})", 120.0),
    ("demo", "evaluate", "Demo", "evaluation of {images} images", None),
)
# Epochs of two trainings; their difference excludes the overhead of the first epoch.
_SCALING_EPOCHS = (1, 3)


def measure_start_up(timer: Timer, *, jobs: int) -> tuple[Samples, dict[str, Any]]:
    """Time answers without computation, and trainings on existing demo data to the first step.

    Returns:
        Seconds of ``help``, ``mistake`` (a configuration error), ``import_torch``, ``first_step``.
    """
    ways = {
        "help": partial(run, *_TRAIN, "--help"),
        "mistake": partial(run, *_TRAIN, "resolution=63", fails=True),
        "import_torch": partial(run, sys.executable, "-c", "import torch"),
    }
    samples = timer.alternate(ways)
    with tempfile.TemporaryDirectory() as folder:
        draw_demo(Path(folder) / "cache" / f"demo-v{FORMAT}")
        job = partial(run, *_UNTIL_FIRST_STEP, *_places(folder), "overwrite=true")
        samples["first_step"] = [timer.seconds(job) for _ in range(jobs)]
    return samples, {}


def measure_demo(timer: Timer, *, words: Sequence[str]) -> tuple[Samples, dict[str, Any]]:
    """Time the demo from an empty cache to its result table, and its evaluation.

    Returns:
        Seconds of ``demo`` and ``evaluate``; ``epochs``, and ``images`` of the test set.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs" / DEMO_RUN
        evaluate = partial(run, sys.executable, "-m", "cyclegan_ad.evaluate", f"run={path}")
        samples = {
            "demo": [timer.seconds(partial(run, *_TRAIN, *_places(folder), *words))],
            "evaluate": [timer.seconds(evaluate) for _ in range(3)],
        }
        epochs = RunDirectory(path).read_training()["epochs"]
        return samples, {"epochs": epochs, "images": len(read_scores(path))}


def measure_scaling(
    timer: Timer, *, devices: int, batch_size: int
) -> tuple[Samples, dict[str, Any]]:
    """Train on the demo data with ``trainer=ddp``, on one device and on all.

    Returns:
        No samples; ``pairs_a_second`` by number of devices.
    """
    speeds = {}
    for number in (1, devices):
        pairs, seconds = [], []
        for epochs in _SCALING_EPOCHS:
            words = (
                *("trainer=ddp", f"trainer.devices={number}", f"trainer.max_epochs={epochs}"),
                *("dataset.copies_per_epoch=9", f"dataset.batch_size={batch_size}", "logger=none"),
                *("dataset.base_channels=64", "trainer.snapshot_every_n_epochs=0"),
            )
            with tempfile.TemporaryDirectory() as folder:
                run(*_TRAIN, *_places(folder), *words)
                progress = RunDirectory(Path(folder) / "runs" / DEMO_RUN).read_training()
            pairs.append(progress["steps"] * number * batch_size)
            seconds.append(progress["seconds"])
        speeds[str(number)] = (pairs[1] - pairs[0]) / (seconds[1] - seconds[0])
    return {}, {"pairs_a_second": speeds}


def run(*command: str, fails: bool = False) -> None:
    """Run a command in the checkout, without a network for the logger.

    Raises:
        RuntimeError: If it succeeds or fails unexpectedly; with the last line of its output.
    """
    environment = os.environ | {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if (done.returncode != 0) != fails:
        lines = [*done.stdout.splitlines(), *done.stderr.splitlines()] or ["no output"]
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {lines[-1]}")


def _places(folder: str) -> tuple[str, str]:
    return f"runs={folder}/runs", f"cache_dir={folder}/cache"


def rows(cases: dict[str, Any], machine: dict[str, Any]) -> list[Row]:
    """Return the rows of the start-up, the demo and the scaling."""
    found = []
    for case, sample, group, what, at_most_s in _TIMES:
        if case in cases:
            ours = spread(cases[case]["samples"][sample]).median
            targets = () if at_most_s is None else (Target("ours", at_most_s, at_least=False),)
            title = what.format(**cases[case]["facts"])
            found.append(Row(group, title, "s", ours=ours, targets=targets))
    row = Row("Several devices", "training with trainer=ddp", "pairs/s")
    if "scaling" not in cases:
        note = "one device" if len(machine["gpus"]) < 2 else "not measured"
        return [*found, replace(row, note=note)]
    one, every = cases["scaling"]["facts"]["pairs_a_second"].values()
    return [*found, replace(row, reference=one, ours=every, ratio=Spread(*[every / one] * 3))]
