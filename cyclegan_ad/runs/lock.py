"""Locks: one command at a time in a folder, and the processes of a training."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from cyclegan_ad.errors import UserError
from cyclegan_ad.files import remove_abandoned
from cyclegan_ad.hardware import is_in_sweep

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked_by_command(run: Path) -> Iterator[None]:
    """Lock a run against other commands until the block ends or the process dies.

    A job of a sweep waits for the lock, as another job may use the same run (``score=sse,fid
    -m``); what was read of the run before may then be outdated. Temporary files of killed
    processes are removed.

    Raises:
        UserError: If another command holds the lock, or the folder is not writable.
    """
    # Next to the run directory, which may be deleted.
    with _open_lock(run.with_name(f".{run.name}.lock"), "runs=PATH") as file:
        if fcntl is not None:
            if not _take(file):
                if not is_in_sweep():
                    raise UserError(
                        f"{run} is in use by another process; wait until it finishes or use "
                        "run_name=NAME"
                    )
                print(f"{run} is in use by another job; waiting until it finishes", flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
            _wait_for_processes(run)
            remove_abandoned(run)
        yield


@contextmanager
def locked_folder(folder: Path, setting: str) -> Iterator[None]:
    """Lock a folder, created if absent, against other commands until the block ends.

    Args:
        folder: The folder.
        setting: Setting that names it.

    Raises:
        UserError: If another process holds the lock, or the folder is not writable.
    """
    with _open_lock(folder / ".lock", f"{setting}=PATH") as file:
        if fcntl is not None and not _take(file):
            raise UserError(
                f"invalid {setting}={folder}: it is in use by another process; end that one or "
                f"use another {setting}=PATH"
            )
        yield


@contextmanager
def locked_by_process(run: Path) -> Iterator[None]:
    """Mark a run as in use by one of several processes of a command.

    A killed command loses its lock at once, while its processes live on for a moment; the next
    command waits for them.
    """
    with _processes_file(run).open("w") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_SH)
        yield


def _wait_for_processes(run: Path) -> None:
    if not _processes_file(run).exists():
        return
    with _processes_file(run).open("w") as file:
        if not _take(file):
            print(f"{run}: waiting until the processes of a killed command end", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)


def _take(file: TextIO) -> bool:
    """Lock a file for this process alone, if no other process has it; return whether it did."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _processes_file(run: Path) -> Path:
    return run.with_name(f".{run.name}.processes.lock")


def _open_lock(lock: Path, setting: str) -> TextIO:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return lock.open("w")
    except OSError as error:
        raise UserError(
            f"{lock.parent} is not writable ({error.strerror}); use another folder with {setting}"
        ) from error
