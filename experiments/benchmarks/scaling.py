"""Training on several devices: pairs a second with one and with all of them."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cyclegan_ad.runs.directory import RunDirectory
from experiments.benchmarks.commands import DEMO_RUN, run
from experiments.benchmarks.timing import Samples

# What the first epoch costs beside training (start of the processes, compilation) is in both.
EPOCHS = (1, 3)


def measure_scaling(
    *,
    devices: int,
    batch_size: int,
    words: Sequence[str] = (),
    device: torch.device,
    budget_s: float,
    at_least: int,
) -> tuple[Samples, dict[str, Any]]:
    """Train on the demo data with ``trainer=ddp``, on one device and on all.

    Args:
        devices: How many there are.
        batch_size: Pairs a step and device.
        words: Further settings of the jobs.
        device: Of no use here.
        budget_s: Of no use here.
        at_least: Of no use here.

    Returns:
        No samples; ``pairs_a_second`` by number of devices.
    """
    speeds = {str(n): pairs_a_second(n, batch_size, words) for n in (1, devices)}
    return {}, {"pairs_a_second": speeds}


def pairs_a_second(devices: int, batch_size: int, words: Sequence[str]) -> float:
    """Speed of a training between its first and its last epoch."""
    pairs, seconds = [], []
    for epochs in EPOCHS:
        with tempfile.TemporaryDirectory() as folder:
            run(
                [
                    *(sys.executable, "-m", "cyclegan_ad.train", "trainer=ddp", "logger=none"),
                    *(f"trainer.devices={devices}", f"trainer.max_epochs={epochs}"),
                    *("dataset.copies_per_epoch=9", f"dataset.batch_size={batch_size}"),
                    *("dataset.base_channels=64", "trainer.snapshot_every_n_epochs=0"),
                    *(f"runs={folder}/runs", f"cache_dir={folder}/cache", *words),
                ]
            )
            progress = RunDirectory(Path(folder) / "runs" / DEMO_RUN).read_training()
        pairs.append(progress["steps"] * devices * batch_size)
        seconds.append(progress["seconds"])
    return (pairs[1] - pairs[0]) / (seconds[1] - seconds[0])
