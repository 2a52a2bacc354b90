"""CPUs, GPUs and memory of this machine, and how the jobs of a sweep share them.

torch is imported only where GPUs are queried: the share of a job is set before torch starts.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from cyclegan_ad.errors import UserError
from cyclegan_ad.text import counted

if TYPE_CHECKING:
    import torch

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

# With small images, several jobs with few threads each have a higher throughput.
_THREADS_PER_JOB = 4

# Number of CPUs of a job, set by the launcher; SLURM sets SLURM_CPUS_PER_TASK instead.
JOB_CPUS = "CYCLEGAN_AD_JOB_CPUS"

# Set in the process of a job of a sweep, whose other jobs run at the same time.
_IN_SWEEP = "CYCLEGAN_AD_BESIDE_OTHERS"

# Lock files of the claimed GPUs, kept open until the process ends.
_held: list[TextIO] = []


def enter_sweep() -> None:
    """Mark this process as a job of a sweep whose other jobs run in parallel."""
    os.environ[_IN_SWEEP] = "1"


def is_in_sweep() -> bool:
    """Whether this process, or the one that started it, called :func:`enter_sweep`."""
    return _IN_SWEEP in os.environ


def visible_gpus() -> list[str]:
    """Return the names of the available GPUs, in the form of ``CUDA_VISIBLE_DEVICES``."""
    import torch

    count = torch.cuda.device_count()
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(i) for i in range(count)] if chosen is None else chosen.split(",")
    return [name.strip() for name in names[:count]]


def cpu_count() -> int:
    """Count the CPUs of this process, which a container or batch system may limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_bytes(device: torch.device) -> float:
    """Return the free memory of a device in bytes; infinite where it is not reported."""
    if device.type == "cuda":
        import torch

        return float(torch.cuda.mem_get_info(device)[0])
    free = float("inf")
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":") for line in meminfo.read_text().splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024.0
    limit, used = (Path("/sys/fs/cgroup") / f"memory.{name}" for name in ("max", "current"))
    if limit.exists() and used.exists() and limit.read_text().strip() != "max":
        free = min(free, float(limit.read_text()) - float(used.read_text()))  # container limit
    return free


def gpus_per_job(accelerator: str, strategy: str, devices: object) -> int:
    """Count the GPUs that a job with these ``trainer.*`` settings uses if there are any."""
    if accelerator == "cpu":
        return 0
    return devices if strategy == "ddp" and isinstance(devices, int) else 1


def jobs_at_once(accelerator: str, strategy: str, devices: object) -> int:
    """Count the jobs with these ``trainer.*`` settings that run at a time on this machine.

    With GPUs, as many as there are GPUs for; else one job per four CPUs, but two jobs on two or
    three CPUs.
    """
    each = gpus_per_job(accelerator, strategy, devices)
    gpus = visible_gpus() if each else []
    if gpus:
        return max(1, len(gpus) // each)
    cpus = cpu_count()
    return max(min(2, cpus), cpus // _THREADS_PER_JOB)


def claim_gpus(names: Sequence[str], count: int, wait_s: float = 1.0) -> list[str]:
    """Reserve GPUs for this process until it ends, hide the others from torch, return the names.

    Later calls return the same GPUs. Reservations are locks on files of this user, so that two
    sweeps can share the GPUs of a machine.

    Args:
        names: GPUs to choose from, in the form of ``CUDA_VISIBLE_DEVICES``.
        count: Number of GPUs; the call waits while fewer are free.
        wait_s: Seconds between two attempts.

    Raises:
        UserError: If there are fewer GPUs, or the system has no file locks.
    """
    if fcntl is None:
        raise UserError("hydra/launcher=local_parallel supports GPUs on Linux and macOS only")
    if count > len(names):
        raise UserError(
            f"invalid trainer.devices={count}: this machine has {counted(len(names), 'GPU')}; use "
            f"trainer.devices={len(names)} or fewer"
        )
    if not _held:
        try:
            folder = Path(tempfile.gettempdir()) / f"cyclegan_ad_gpus_{os.getuid()}"
            folder.mkdir(exist_ok=True)
            while not (taken := _lock_some(folder, names, count)):
                time.sleep(wait_s)
        except OSError as error:
            raise UserError(
                f"the folder for temporary files is not writable ({error.strerror}); set the "
                "environment variable TMPDIR to another folder"
            ) from error
        _held.extend(taken)
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(Path(file.name).stem for file in _held)
    return [Path(file.name).stem for file in _held]


def _lock_some(folder: Path, names: Sequence[str], count: int) -> list[TextIO]:
    taken: list[TextIO] = []
    for name in names:
        file = (folder / f"{name}.lock").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        taken.append(file)
        if len(taken) == count:
            return taken
    for lock in taken:  # another job may take them meanwhile
        lock.close()
    return []


def share_threads(processes: int | str) -> None:
    """Divide the CPUs of a job among its processes, by setting ``OMP_NUM_THREADS``.

    By default OpenMP starts a thread per CPU of the machine in each process, and oversubscribed
    CPUs make training many times slower. ``OMP_NUM_THREADS`` is kept if it is set.

    Args:
        processes: Number of processes of the job; ``auto`` counts as one.
    """
    cpus = os.environ.get("SLURM_CPUS_PER_TASK") or os.environ.get(JOB_CPUS)
    if cpus is not None:
        count = processes if isinstance(processes, int) else 1
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, int(cpus) // count)))
