"""The machine that is measured, and the versions it is measured with."""

import datetime
import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

from cyclegan_ad import __version__
from cyclegan_ad.hardware import cpu_count

_PACKAGES = ("torch", "torchvision", "pytorch-lightning", "hydra-core", "numpy", "pillow")


def describe_machine() -> dict[str, Any]:
    """Processor, memory, GPUs and load of this machine.

    Returns:
        ``name`` as people read it, ``slug`` as file names have it, ``device`` (``cuda`` or
        ``cpu``), ``processor``, ``cores`` that this process may use, ``threads`` of torch,
        ``memory_gib``, ``gpus`` (names) and ``load`` (processes ready to run, means of 1, 5 and 15
        minutes; None where the system does not say).
    """
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    processor, cores = processor_name(), cpu_count()
    cpu = f"{processor}, {cores} core{'s' * (cores != 1)}"
    name = gpus[0] if gpus else cpu
    return {
        "name": name,
        "slug": slug(name),
        "device": "cuda" if gpus else "cpu",
        "processor": processor,
        "cores": cores,
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "memory_gib": _memory_gib(),
        "gpus": gpus,
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
    }


def describe_versions() -> dict[str, Any]:
    """Versions of the program and of what it computes with, and today's date."""
    import torch

    from cyclegan_ad.runs.begin import describe_environment

    commit = describe_environment()["commit"]
    cudnn = torch.backends.cudnn.version() if torch.cuda.is_available() else None
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cyclegan_ad": __version__,
        "commit": None if commit is None else commit.removesuffix("+changes"),
        "changed": commit is not None and commit.endswith("+changes"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "cuda": torch.version.cuda,
        "cudnn": cudnn,
    }


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Name of the processor, without trademarks and clock rate."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), flags=re.MULTILINE)
    except OSError:
        found = None
    name = found[1] if found else platform.processor() or platform.machine()
    return " ".join(re.sub(r"\((R|TM)\)|@.*|\bCPU\b|\d+-Core Processor", " ", name).split())


def slug(name: str) -> str:
    """Name for a file.

    >>> slug("NVIDIA H100 80GB HBM3")
    'nvidia-h100-80gb-hbm3'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
