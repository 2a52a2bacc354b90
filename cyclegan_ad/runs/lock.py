"""Who works on a run: one command at a time, and the processes it trains in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from cyclegan_ad.errors import UserError
from cyclegan_ad.files import remove_abandoned
from cyclegan_ad.hardware import runs_beside_others

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked_by_command(run: Path) -> Iterator[None]:
    """Keep other commands from a run, until the block ends or the process dies.

    A job that a launcher started waits for its turn, as another job of its sweep may belong to
    the same run (``score=sse,fid -m``). What was read of the run before may be old by then. What
    writers that were killed have left of half files is removed.

    Args:
        run: The run directory.

    Raises:
        UserError: If another command has it, or nothing can be written here.
    """
    with _open_lock(run) as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not runs_beside_others():
                    raise UserError(
                        f"{run} is being worked on by another process; wait for its end or use "
                        "run_name=NAME"
                    ) from None
                print(f"{run} is being worked on by another job; waiting", flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
            _wait_for_processes(run)
            remove_abandoned(run)
        yield


@contextmanager
def locked_by_process(run: Path) -> Iterator[None]:
    """What each of several processes that train a run does within the lock of its command.

    A command that is killed loses its lock at once, while its processes live on for a moment: the
    next command waits for them.

    Args:
        run: The run directory.
    """
    with _processes_file(run).open("w") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_SH)
        yield


def _wait_for_processes(run: Path) -> None:
    if not _processes_file(run).exists():
        return
    with _processes_file(run).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{run}: waiting for the processes of a killed command to end", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)


def _processes_file(run: Path) -> Path:
    return run.with_name(f".{run.name}.processes.lock")


def _open_lock(run: Path) -> TextIO:
    lock = run.with_name(f".{run.name}.lock")  # beside the run, which may be deleted
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return lock.open("w")
    except OSError as error:
        raise UserError(
            f"{lock.parent} cannot be written ({error.strerror}); choose another place with "
            "runs=PATH"
        ) from error
