"""Measures one case in a process of its own.

python -m experiments.benchmarks.worker REQUEST ANSWER: the request is a JSON file with ``kind``,
``settings``, ``device``, ``budget_s`` and ``at_least``; the answer is one with ``samples`` and
``facts``.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cyclegan_ad.files import write_json
from cyclegan_ad.hardware import cpu_count

Measure = Callable[..., tuple[dict[str, list[float]], dict[str, Any]]]


def main() -> None:
    """Read the request, measure, write the answer."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    # Before torch starts its threads.
    os.environ["OMP_NUM_THREADS"] = str(cpu_count())
    import torch

    from cyclegan_ad.device import prepare_process

    torch.set_num_threads(cpu_count())
    prepare_process()
    if request["kind"] == "machine":
        answer = _describe()
    else:
        samples, facts = _measure(request["kind"])(
            **request["settings"],
            device=torch.device(request["device"]),
            budget_s=request["budget_s"],
            at_least=request["at_least"],
        )
        answer = {"samples": samples, "facts": facts}
    write_json(Path(sys.argv[2]), answer)


def _describe() -> dict[str, Any]:
    import torch

    from cyclegan_ad.device import choose_device
    from experiments.benchmarks.machine import describe_machine, describe_versions
    from experiments.benchmarks.training_step import has_bf16

    return {
        "machine": describe_machine(),
        "versions": describe_versions(),
        "bf16": has_bf16(choose_device("auto")),
        "devices": max(1, torch.cuda.device_count()),
    }


def _measure(kind: str) -> Measure:
    """What measures the cases of a kind; only what it needs is imported."""
    match kind:
        case "matrix_product":
            from experiments.benchmarks.matrix_product import measure_products

            return measure_products
        case "training":
            from experiments.benchmarks.training_step import measure_training

            return measure_training
        case "memory":
            from experiments.benchmarks.memory import measure_memory

            return measure_memory
        case "input":
            from experiments.benchmarks.input_side import measure_input

            return measure_input
        case "scoring":
            from experiments.benchmarks.scoring import measure_scoring

            return measure_scoring
        case "start_up":
            from experiments.benchmarks.commands import measure_start_up

            return measure_start_up
        case "demo":
            from experiments.benchmarks.commands import measure_demo

            return measure_demo
        case "scaling":
            from experiments.benchmarks.scaling import measure_scaling

            return measure_scaling
    raise ValueError(f"there is no case of the kind {kind}")


if __name__ == "__main__":
    main()
