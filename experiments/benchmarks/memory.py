"""Peak memory of training steps, in a process that does nothing else."""

import sys
from collections.abc import Sequence
from typing import Any

import torch

from experiments.benchmarks.jobs import compose_job
from experiments.benchmarks.timing import Samples
from experiments.benchmarks.training_step import build_steps, has_bf16


def measure_memory(
    *,
    size_px: int,
    batch_size: int,
    checkpointing: bool,
    words: Sequence[str] = (),
    device: torch.device,
    budget_s: float,
    at_least: int,
) -> tuple[Samples, dict[str, Any]]:
    """Make steps of our training, and see what memory they took.

    What one pair more costs is the difference of two such cases: networks, gradients and Adam's
    moments are in both.

    Args:
        size_px: Side of the images.
        batch_size: Pairs a step.
        checkpointing: With ``trainer.activation_checkpointing=true``.
        words: Further settings of the job.
        device: Where to compute.
        budget_s: Of no use here.
        at_least: Steps that are made: the first sees Adam without moments.

    Returns:
        No samples; ``before_mib`` and ``peak_mib``: of the process (its largest resident set) on a
        CPU, of torch's allocator on a GPU.
    """
    settings = compose_job(
        [
            "dataset=folder",
            f"resolution={size_px}",
            f"trainer.activation_checkpointing={str(checkpointing).lower()}",
            *words,
        ]
    )
    way = "bf16" if has_bf16(device) else "float32"
    step = build_steps(settings, size_px, batch_size, [way], device)[way]
    before_mib = peak_mib(device)
    for _ in range(at_least):
        step()
    return {}, {"before_mib": before_mib, "peak_mib": peak_mib(device), "precision": way}


def peak_mib(device: torch.device) -> float:
    """Most memory that this process has held until now, in MiB."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        return float(torch.cuda.max_memory_allocated() / 2**20)
    import resource  # not on Windows

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 2**10)
