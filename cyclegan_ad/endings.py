"""How a process ends before its work is done: by a signal, with its parent, or as nobody reads on.

Nothing slow is imported here: a process must be able to end while torch is being imported.
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

_POLL_S = 0.5
_RETRY_S = 0.1
# Below the 10 s after which `docker stop` kills.
_GRACE_S = 8.0
_BROKEN_PIPE_STATUS = 128 + 13  # of a process that SIGPIPE ends

# The signal that ends this process, while it does.
_ended_by: int | None = None

# Whether it came during an import and is to be raised later.
_postponed = False


class Terminated(SystemExit):
    """A signal ends the process; its exit status is 128 and the number, as shells have it.

    Args:
        number: Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number

    def __str__(self) -> str:
        return f"terminated by {signal.Signals(self.number).name}"


def ending_by(number: int) -> Terminated | KeyboardInterrupt:
    """The exception to raise for a signal that another handler than ours has heard."""
    global _ended_by
    _ended_by = number
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)


def _terminate(number: int, frame: FrameType | None) -> None:
    global _postponed
    if _ended_by is None:
        _postponed = _is_import(frame)
        if not _postponed:
            # Later ones must disturb neither the way out nor what is started on it.
            for heard in _signals():
                if signal.getsignal(heard) is _terminate:
                    signal.signal(heard, signal.SIG_IGN)
            raise ending_by(number)


def _is_import(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def terminable(grace_s: float = _GRACE_S) -> Iterator[None]:
    """Within the block, the first SIGTERM or SIGHUP raises :class:`Terminated` in the main thread.

    SIGINT raises ``KeyboardInterrupt`` in the same way. The exception waits for the end of an
    import, as modules tend to swallow what is raised in those they can do without. Where it does
    not end the block in time, because the main thread waits outside of Python, the process ends
    without further ado. Signals that are ignored (``nohup``) stay so.

    Args:
        grace_s: How long the block may take to end; 0: the process ends at once and silently, but
            for SIGINT, which keeps its handler.
    """
    global _ended_by, _postponed
    _ended_by, _postponed = None, False
    heard = [number for number in _signals() if signal.getsignal(number) != signal.SIG_IGN]
    if not grace_s:
        heard = [number for number in heard if number != signal.SIGINT]
    before = {number: signal.signal(number, _terminate) for number in heard}
    # The only way to hear of a signal in another thread than the main one.
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

    threading.Thread(target=make_sure, name="terminable", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        ended.set()
        for number, handler in before.items():
            # On the way out nothing else may answer a signal that is sent once more.
            signal.signal(number, handler if _ended_by is None else signal.SIG_IGN)
        writing.close()


def end_with(parent: int) -> None:
    """End this process when its parent is gone: its jobs would bar the way of the next command's.

    Args:
        parent: Process id of the parent.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_S)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE_S)
        os.kill(os.getpid(), signal.SIGKILL)

    name = "end_with_parent"
    if all(thread.name != name for thread in threading.enumerate()):
        threading.Thread(target=watch, name=name, daemon=True).start()


def ends_in_words(command: Callable[..., None]) -> Callable[..., None]:
    """Decorate a command: a signal ends it with a line, a reader that left (``| head``) silently.

    Args:
        command: May leave with a status of its own, through ``sys.exit``.
    """

    @functools.wraps(command)
    def run(*arguments: Any) -> None:
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:  # closed (>&-): as if it were /dev/null
                setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, for the whole process
        with terminable(), _no_trace_of_logging():
            try:
                command(*arguments)
                sys.stdout.flush()
            except KeyboardInterrupt:
                _say(signal.SIGINT)
                _let_go_of_output()
                sys.exit(128 + signal.SIGINT)
            except SystemExit as ended:
                if isinstance(ended, Terminated):
                    _say(ended.number)
                _let_go_of_output()
                if not _follows_broken_pipe(ended):  # to which rich answers with an exit
                    raise
                sys.exit(_BROKEN_PIPE_STATUS)
            except OSError as error:
                lost = _let_go_of_output()
                if isinstance(error, BrokenPipeError) and lost:
                    sys.exit(_BROKEN_PIPE_STATUS)
                if not (lost or error.errno == errno.ENOSPC):
                    raise
                print(f"error: the output cannot be written ({error.strerror})", file=sys.stderr)
                sys.exit(1)

    return run


def _signals() -> list[signal.Signals]:
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _say(number: int) -> None:
    ended = "interrupted" if number == signal.SIGINT else str(Terminated(number))
    with contextlib.suppress(OSError):  # after SIGHUP there may be no terminal
        print(f"{ended}; type the same command again to resume", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _no_trace_of_logging() -> Iterator[None]:
    """Let no handler of logging print a traceback because nobody reads what it writes."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = before


def _let_go_of_output() -> bool:
    """Whether standard output or error can no longer be written; what waits in it is dropped."""
    lost = [stream for stream in (sys.stdout, sys.stderr) if _is_lost(stream)]
    for stream in lost:
        # Python would fail at it once more, with a traceback, when it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return bool(lost)


def _is_lost(stream: TextIO) -> bool:
    try:
        stream.flush()
        # Without a buffer (`python -u`) nothing is left to fail.
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
