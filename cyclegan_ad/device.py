"""The processor a command computes on."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch

from cyclegan_ad.errors import UserError

_COMPILERS = ("g++", "clang++", "c++", "cl")


def prepare_process() -> None:
    """Treat denormal numbers as zero: Adam's moments become denormal and slow a CPU down.

    Must come before the first parallel work, whose threads take the setting over.
    """
    torch.set_flush_denormal(True)


def choose_device(accelerator: str) -> torch.device:
    """The device of ``auto`` (a GPU if there is one), ``cpu`` or ``gpu``.

    Raises:
        UserError: If a GPU is asked for and torch finds none.
    """
    gpu = torch.cuda.is_available()
    if accelerator == "gpu" and not gpu:
        raise UserError("a GPU was asked for, but torch finds none here; ask for auto or cpu")
    return torch.device("cuda" if gpu and accelerator != "cpu" else "cpu")


def describe_device(device: torch.device, processes: int = 1) -> str:
    """Say what computes: ``CPU (2 threads)``, ``NVIDIA H100``, ``4 x NVIDIA H100``.

    Args:
        device: As :func:`choose_device` gives it.
        processes: How many compute together.
    """
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return name if processes == 1 else f"{processes} x {name}"
    count, unit = (torch.get_num_threads(), "thread") if processes == 1 else (processes, "process")
    plural = {"thread": "s", "process": "es"}[unit] if count != 1 else ""
    return f"CPU ({count} {unit}{plural})"


def missing_compiler(device: torch.device) -> str | None:
    """What torch.compile lacks to compile for a device; None if it has all."""
    if device.type == "cpu":
        return None if any(map(shutil.which, _COMPILERS)) else f"C++ ({', '.join(_COMPILERS)})"
    return None if find_spec("triton") else "triton"


def choose_precision(precision: str, device: torch.device, *, mixed: bool = True) -> str:
    """The precision of ``auto``: bfloat16 where the processor computes in it, else float32.

    Args:
        precision: ``auto`` or Lightning's name of a precision, such as ``32-true``.
        device: Where the training runs.
        mixed: Whether the method may be trained in mixed precision.

    Returns:
        Lightning's name of a precision.

    Raises:
        UserError: If the device cannot compute in it.
    """
    if precision == "16-mixed" and device.type == "cpu":
        raise UserError("trainer.precision=16-mixed needs a GPU; use bf16-mixed or 32-true")
    if precision != "auto":
        return precision
    return "bf16-mixed" if mixed and has_bfloat16(device) else "32-true"


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices by itself, not by way of float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    # Before torch 2.12 there is no such list, and float32 is the safe choice.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


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
