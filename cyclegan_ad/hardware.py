"""CPUs, GPUs and memory of this machine, and how the jobs of a sweep share them.

No torch here unless there may be GPUs: a job must get its share before torch starts in it.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from cyclegan_ad.errors import UserError

if TYPE_CHECKING:
    import torch

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

# Small images keep few threads busy: more jobs with few threads each get more done.
_THREADS_A_JOB = 4

# CPUs of one job, told to it by the launcher; SLURM has a variable of its own.
JOB_CPUS = "CYCLEGAN_AD_JOB_CPUS"

# Set in a process that a launcher started for a job: others of the sweep run at the same time.
_BESIDE_OTHERS = "CYCLEGAN_AD_BESIDE_OTHERS"

# GPUs are held as long as these are open, which is as long as the process lives.
_held: list[TextIO] = []


def enter_sweep() -> None:
    """Note that other jobs of this process's sweep may run beside it, in processes of their own."""
    os.environ[_BESIDE_OTHERS] = "1"


def runs_beside_others() -> bool:
    """Whether this process, or the one that started it, has entered a sweep."""
    return _BESIDE_OTHERS in os.environ


def visible_gpus() -> list[str]:
    """Names of the GPUs that this command may use, as ``CUDA_VISIBLE_DEVICES`` spells them."""
    import torch

    count = torch.cuda.device_count()
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(i) for i in range(count)] if chosen is None else chosen.split(",")
    return [name.strip() for name in names[:count]]


def cpu_count() -> int:
    """CPUs that this process may run on, which a container or a batch system may have limited."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_bytes(device: torch.device) -> float:
    """Return the free memory of a device; infinite where the system does not report it."""
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
        free = min(free, float(limit.read_text()) - float(used.read_text()))  # of a container
    return free


def gpus_per_job(accelerator: str, strategy: str, devices: object) -> int:
    """How many GPUs a job of these ``trainer.*`` settings uses where there are some.

    >>> (
    ...     gpus_per_job("auto", "auto", 1),
    ...     gpus_per_job("gpu", "ddp", 4),
    ...     gpus_per_job("cpu", "ddp", 4),
    ... )
    (1, 4, 0)
    """
    if accelerator == "cpu":
        return 0
    return devices if strategy == "ddp" and isinstance(devices, int) else 1


def jobs_at_once(accelerator: str, strategy: str, devices: object) -> int:
    """How many jobs of these ``trainer.*`` settings this machine takes at a time.

    With GPUs as many as have GPUs of their own, else one for every four CPUs, but two on a
    machine with two or three.
    """
    each = gpus_per_job(accelerator, strategy, devices)
    gpus = visible_gpus() if each else []
    if gpus:
        return max(1, len(gpus) // each)
    cpus = cpu_count()
    return max(min(2, cpus), cpus // _THREADS_A_JOB)


def claim_gpus(names: Sequence[str], count: int, wait_s: float = 1.0) -> list[str]:
    """Take GPUs for this process alone until it ends, and hide the others from torch.

    A process that has GPUs keeps them. The claims are locks on files of this user, so that two
    sweeps on one machine share its GPUs as well.

    Args:
        names: The GPUs to choose from, as ``CUDA_VISIBLE_DEVICES`` spells them.
        count: How many; while fewer are free, this waits.
        wait_s: Time between two attempts.

    Returns:
        The names of those taken.

    Raises:
        UserError: If there are not so many, or the system has no file locks.
    """
    if fcntl is None:
        raise UserError("hydra/launcher=local_parallel shares out GPUs on Linux and macOS only")
    if count > len(names):
        raise UserError(
            f"too few GPUs for a job: {count} asked for, {len(names)} on this machine; give "
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
                f"the system's folder for temporary files cannot be written ({error.strerror}); "
                "name another one, with room, in the environment variable TMPDIR"
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
    for lock in taken:  # others may get theirs meanwhile
        lock.close()
    return []


def share_threads(processes: int | str) -> None:
    """Give each process of a job its part of the CPUs that the job was given.

    OpenMP would otherwise start a thread for each CPU of the machine in each of them; threads that
    take turns on a CPU make training many times slower. ``OMP_NUM_THREADS`` wins where it is set.

    Args:
        processes: How many the job has; ``auto`` counts as one.
    """
    cpus = os.environ.get("SLURM_CPUS_PER_TASK") or os.environ.get(JOB_CPUS)
    if cpus is not None:
        count = processes if isinstance(processes, int) else 1
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, int(cpus) // count)))
