"""The arithmetic that scores are computed with: float32 throughout, or bfloat16 in the networks."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def arithmetic(device: torch.device, precision: str) -> Iterator[None]:
    """Within it, networks compute as ``score.precision`` says, whatever is set around it.

    Args:
        device: Where they compute.
        precision: ``float32``, also where a GPU would round the factors of convolutions to TF32; or
            ``bf16``: the factors of convolutions are rounded to bfloat16, and added in float32.
    """
    if precision == "bf16":
        with torch.autocast(device.type, torch.bfloat16):
            yield
        return
    rounded = torch.backends.cudnn.allow_tf32
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        if device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = rounded
