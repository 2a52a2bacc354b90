"""Choice of the device and of the precision of its arithmetic."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch

from cyclegan_ad.errors import UserError

_COMPILERS = ("g++", "clang++", "c++", "cl")


def prepare_process() -> None:
    """Flush denormal numbers to zero: denormal moments of Adam slow a CPU down.

    Call it before the first parallel operation, whose threads inherit the setting.
    """
    torch.set_flush_denormal(True)


def choose_device(accelerator: str) -> torch.device:
    """Return the device for ``auto`` (a GPU if there is one), ``cpu`` or ``gpu``.

    Raises:
        UserError: If ``gpu`` is requested and torch finds none.
    """
    gpu = torch.cuda.is_available()
    if accelerator == "gpu" and not gpu:
        raise UserError("accelerator=gpu: torch finds no GPU on this machine; use auto or cpu")
    return torch.device("cuda" if gpu and accelerator != "cpu" else "cpu")


def describe_device(device: torch.device, processes: int = 1) -> str:
    """Describe the device: ``CPU (2 threads)``, ``NVIDIA H100``, ``4 x NVIDIA H100``."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return name if processes == 1 else f"{processes} x {name}"
    count, unit = (torch.get_num_threads(), "thread") if processes == 1 else (processes, "process")
    plural = {"thread": "s", "process": "es"}[unit] if count != 1 else ""
    return f"CPU ({count} {unit}{plural})"


def missing_compiler(device: torch.device) -> str | None:
    """Name the compiler that torch.compile lacks for a device; None if it is installed."""
    if device.type == "cpu":
        return None if any(map(shutil.which, _COMPILERS)) else f"C++ ({', '.join(_COMPILERS)})"
    return None if find_spec("triton") else "triton"


def choose_precision(precision: str, device: torch.device, *, mixed: bool = True) -> str:
    """Resolve ``auto`` to bfloat16 mixed precision where the device supports it, else float32.

    Args:
        precision: ``auto`` or a precision of Lightning, such as ``32-true``.
        device: Device of the training.
        mixed: Whether the method supports mixed precision.

    Returns:
        A precision of Lightning.
    """
    if precision != "auto":
        return precision
    return "bf16-mixed" if mixed and has_bfloat16(device) else "32-true"


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices natively, without emulation."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    # torch < 2.12 has no such function; float32 is then the safe choice.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


@contextmanager
def arithmetic(device: torch.device, precision: str) -> Iterator[None]:
    """Run networks in the precision of ``score.precision``, regardless of the global settings.

    Args:
        device: Device of the networks.
        precision: ``float32`` (without TF32 convolutions on a GPU) or ``bf16`` (convolutions with
            bfloat16 inputs and float32 accumulation).
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
