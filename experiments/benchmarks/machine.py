"""Description of the machine, and its fastest arithmetic: a large matrix product."""

import os
import platform
import re
from functools import partial
from pathlib import Path
from typing import Any

import torch

from cyclegan_ad.hardware import cpu_count
from experiments.benchmarks.row import Row, spread
from experiments.benchmarks.timing import Call, Samples, Timer

# Side of the matrices: large enough to fill the processor, small enough for a tenth of a second.
SIDE = {"cpu": 2048, "cuda": 8192}
REPEATS = {"cpu": 4, "cuda": 10}
_DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}

# Before the names of samples of matrix products.
PREFIX = "product_"


def describe_machine() -> dict[str, Any]:
    """Describe the hardware and its load.

    Returns:
        ``name`` for people, ``slug`` for file names, ``device`` (``cuda`` or ``cpu``),
        ``processor``, ``cores`` that this process may use, ``gpus`` (names) and ``load`` (runnable
        processes, means over 1, 5 and 15 minutes; None if unknown).
    """
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    processor, cores = processor_name(), cpu_count()
    name = gpus[0] if gpus else f"{processor}, {cores} core{'s' * (cores != 1)}"
    return {
        "name": name,
        "slug": re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"),
        "device": "cuda" if gpus else "cpu",
        "processor": processor,
        "cores": cores,
        "gpus": gpus,
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
    }


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the name of the processor, without trademarks and clock rate."""
    text = cpuinfo.read_text() if cpuinfo.is_file() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE)
    name = found[1] if found else platform.processor() or platform.machine()
    return " ".join(re.sub(r"\((R|TM)\)|@.*|\bCPU\b|\d+-Core Processor", " ", name).split())


def products(device: torch.device, precisions: list[str]) -> dict[str, Call]:
    """Return calls that multiply two square matrices several times, by ``product_<precision>``."""
    calls: dict[str, Call] = {}
    for precision in precisions:
        shape, dtype = (2, SIDE[device.type], SIDE[device.type]), _DTYPES[precision]
        a, b = torch.randn(shape, device=device).to(dtype)
        calls[PREFIX + precision] = partial(_multiply, a, b, REPEATS[device.type])
    return calls


def _multiply(a: torch.Tensor, b: torch.Tensor, repeats: int) -> None:
    for _ in range(repeats):
        torch.mm(a, b)


def product_flop(device_type: str) -> int:
    """Return the FLOP of such a call; a multiplication and an addition count as two."""
    return int(REPEATS[device_type] * 2 * SIDE[device_type] ** 3)


def measure_products(timer: Timer, *, precisions: list[str]) -> tuple[Samples, dict[str, Any]]:
    """Return seconds by ``product_<precision>``, and ``product_flop`` of one call."""
    samples = timer.alternate(products(timer.device, precisions), warm_up=2)
    return samples, {"product_flop": product_flop(timer.device.type)}


def rows(cases: dict[str, Any], machine: dict[str, Any]) -> list[Row]:
    """Return the rows of the matrix products."""
    case = cases.get("matrix_product", {"samples": {}})
    return [
        Row(
            "Machine",
            f"matrix product, {name.removeprefix(PREFIX)}",
            "TFLOP/s",
            ours=case["facts"]["product_flop"] / 1e12 / spread(seconds).median,
        )
        for name, seconds in case["samples"].items()
    ]
