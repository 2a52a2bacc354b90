"""The fastest arithmetic of the machine: a large matrix product."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from experiments.benchmarks.timing import Samples, take_turns

# Large enough to fill the processor, small enough for a tenth of a second.
SIDE = {"cpu": 2048, "cuda": 8192}

_DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}

# Multiplications a call.
REPEATS = {"cpu": 4, "cuda": 10}

# Sample names of products, beside those of steps.
PREFIX = "product_"


def products(device: torch.device, precisions: list[str]) -> dict[str, Callable[[], object]]:
    """Calls that multiply two square matrices several times, by ``product_<precision>``.

    Args:
        device: Where to compute.
        precisions: ``float32``, ``bf16`` or both.
    """
    calls: dict[str, Callable[[], object]] = {}
    for precision in precisions:
        side = SIDE[device.type]
        a, b = (torch.randn(side, side, device=device).to(_DTYPES[precision]) for _ in range(2))
        calls[PREFIX + precision] = partial(_multiply, a, b, REPEATS[device.type])
    return calls


def product_flop(device_type: str) -> int:
    """FLOP of one such call.

    >>> product_flop("cpu") == 4 * 2 * 2048**3
    True
    """
    return int(REPEATS[device_type] * 2 * SIDE[device_type] ** 3)


def measure_products(
    *, precisions: list[str], device: torch.device, budget_s: float, at_least: int
) -> tuple[Samples, dict[str, Any]]:
    """Time the products alone; the training cases repeat them in their rounds.

    Returns:
        Samples, and ``product_flop`` of one call.
    """
    samples = take_turns(
        products(device, precisions),
        budget_s=budget_s,
        at_least=at_least,
        warm_up=2,
        wait=waiting(device),
    )
    return samples, {"product_flop": product_flop(device.type)}


def _multiply(a: torch.Tensor, b: torch.Tensor, repeats: int) -> None:
    for _ in range(repeats):
        torch.mm(a, b)


def waiting(device: torch.device) -> Callable[[], object]:
    """What waits until a device has done all it was given."""
    return torch.cuda.synchronize if device.type == "cuda" else lambda: None
