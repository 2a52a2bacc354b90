"""Early end of a process: by a signal, with its parent process, or when its output is closed.

Nothing slow is imported here, as a signal may arrive while torch is being imported.
"""

import contextlib
import errno
import functools
import io
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TextIO

CONTINUE = "run the same command again to continue"

_POLL_S = 0.5
_RETRY_S = 0.1
# Below the 10 s after which `docker stop` kills.
_GRACE_S = 8.0
_BROKEN_PIPE_STATUS = 128 + 13  # exit status after SIGPIPE

# The signal that is ending this process.
_ended_by: int | None = None

# Whether the signal arrived during an import, so that its exception is raised later.
_postponed = False


class Terminated(SystemExit):
    """Raised when a signal ends the process; the exit status is 128 + number, as in shells."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number

    def __str__(self) -> str:
        return f"terminated by {signal.Signals(self.number).name}"


def signal_exception(number: int) -> Terminated | KeyboardInterrupt:
    """Return the exception to raise for a signal that another handler received."""
    global _ended_by
    _ended_by = number
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)


def _terminate(number: int, frame: FrameType | None) -> None:
    global _postponed
    if _ended_by is None:
        _postponed = _is_import(frame)
        if not _postponed:
            # Later signals must not interrupt the cleanup.
            for heard in _signals():
                if signal.getsignal(heard) is _terminate:
                    signal.signal(heard, signal.SIG_IGN)
            raise signal_exception(number)


def _is_import(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def raise_on_signals(grace_s: float = _GRACE_S) -> Iterator[None]:
    """Raise :class:`Terminated` in the main thread on the first SIGTERM or SIGHUP in the block.

    SIGINT raises ``KeyboardInterrupt`` in the same way. During an import the exception is
    postponed, as many modules catch exceptions of optional imports. If the block does not end in
    time, because the main thread waits outside of Python, the process is ended. Signals that are
    ignored (``nohup``) stay ignored.

    Args:
        grace_s: Seconds the block may take to end. 0: the process ends at once without a message,
            and SIGINT keeps its handler.
    """
    global _ended_by, _postponed
    _ended_by, _postponed = None, False
    heard = [number for number in _signals() if signal.getsignal(number) != signal.SIG_IGN]
    if not grace_s:
        heard = [number for number in heard if number != signal.SIGINT]
    before = {number: signal.signal(number, _terminate) for number in heard}
    # A wakeup descriptor is the only way to notice a signal outside of the main thread.
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    wakeup = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    ended = threading.Event()

    def make_sure() -> None:
        with reading:
            number = reading.recv(1)
            while number and number[0] not in heard:
                number = reading.recv(1)
            deadline = time.monotonic() + grace_s
            while number and time.monotonic() < deadline:
                if ended.wait(_RETRY_S):
                    return
                if _postponed:
                    os.kill(os.getpid(), number[0])
            if number:
                if grace_s:
                    _say(number[0])
                os._exit(128 + number[0])

    threading.Thread(target=make_sure, name="raise_on_signals", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        ended.set()
        for number, handler in before.items():
            # While the process ends, further signals are ignored.
            signal.signal(number, handler if _ended_by is None else signal.SIG_IGN)
        writing.close()


def exit_with_parent(parent: int) -> None:
    """End this process when its parent ends, as it would block later commands."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_S)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE_S)
        os.kill(os.getpid(), signal.SIGKILL)

    name = "exit_with_parent"
    if all(thread.name != name for thread in threading.enumerate()):
        threading.Thread(target=watch, name=name, daemon=True).start()


def exit_cleanly(command: Callable[..., None]) -> Callable[..., None]:
    """Decorate a command to exit with one line on a signal, silently on a closed pipe."""

    @functools.wraps(command)
    def run(*arguments: Any) -> None:
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:  # closed (>&-): use /dev/null
                setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, for the whole process
        with raise_on_signals(), _silence_logging_errors():
            try:
                command(*arguments)
                sys.stdout.flush()
            except KeyboardInterrupt:
                _say(signal.SIGINT)
                _drop_lost_output()
                sys.exit(128 + signal.SIGINT)
            except SystemExit as ended:
                if isinstance(ended, Terminated):
                    _say(ended.number)
                _drop_lost_output()
                if not _follows_broken_pipe(ended):  # rich exits on a broken pipe
                    raise
                sys.exit(_BROKEN_PIPE_STATUS)
            except OSError as error:
                lost = _drop_lost_output()
                if isinstance(error, BrokenPipeError) and lost:
                    sys.exit(_BROKEN_PIPE_STATUS)
                if not (lost or error.errno == errno.ENOSPC):
                    raise
                print(f"error: cannot write the output ({error.strerror})", file=sys.stderr)
                sys.exit(1)

    return run


def _signals() -> list[signal.Signals]:
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _say(number: int) -> None:
    ended = "interrupted" if number == signal.SIGINT else str(Terminated(number))
    with contextlib.suppress(OSError):  # there may be no terminal after SIGHUP
        print(f"{ended}; {CONTINUE}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _silence_logging_errors() -> Iterator[None]:
    """Keep logging handlers from printing a traceback when the output is closed."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = before


def _drop_lost_output() -> bool:
    """Redirect a closed standard output or error to /dev/null; return whether one was closed."""
    lost = [stream for stream in (sys.stdout, sys.stderr) if _is_lost(stream)]
    for stream in lost:
        # Otherwise flushing at exit would fail with a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return bool(lost)


def _is_lost(stream: TextIO) -> bool:
    try:
        stream.flush()
        # Unbuffered (`python -u`), flush() does not fail.
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (io.UnsupportedOperation, AttributeError):  # not a file; no `poll` on Windows
        return False
    except OSError:
        return True


def _follows_broken_pipe(error: BaseException | None) -> bool:
    while error is not None:
        error = error.__context__
        if isinstance(error, BrokenPipeError):
            return True
    return False
