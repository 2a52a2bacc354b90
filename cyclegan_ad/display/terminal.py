"""What progress on the terminal is made of, and the bar for slow preparations.

Without a terminal (a pipe, a CI job) a bar becomes a plain line about every tenth of the way, the
first within 10 s and then one a minute at least. Both go to standard error, which leaves standard
output to results.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, TaskID

REFRESH_S = 0.5

# Without a terminal: a line after each such share of the way.
PLAIN_SHARE = 0.1

# Without a terminal: so long it stays silent at most, at first and then.
FIRST_LINE_S = 10.0
LINE_EVERY_S = 60.0

# The speed is that of the last minute: a slow first step (compilation) is soon forgotten.
_SPEED_WINDOW_S = 60.0


def standard_error() -> Console:
    """Open the console that progress goes to."""
    return Console(stderr=True, highlight=False)


def duration(seconds: float) -> str:
    """Write a number of seconds as a clock does.

    >>> duration(75), duration(3 * 3600 + 62)
    ('1:15', '3:01:02')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Speed:
    """Counts work done, and tells how fast it went of late.

    Args:
        clock: seconds, rising; for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._samples: deque[tuple[float, float]] = deque([(self._start, 0.0)])
        self._done = 0.0

    def add(self, amount: float) -> None:
        """Count an amount of work, done now."""
        self._done += amount
        now = self._clock()
        # A sample a refresh is enough, and keeps the window short for fast steps.
        if now - self._samples[-1][0] >= REFRESH_S:
            self._samples.append((now, self._done))
            while len(self._samples) > 2 and now - self._samples[1][0] >= _SPEED_WINDOW_S:
                self._samples.popleft()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    @property
    def per_second(self) -> float:
        """Work a second over the last minute or so; 0 before any is known."""
        since, before = self._samples[0]
        seconds = self._clock() - since
        return (self._done - before) / seconds if seconds > 0 else 0.0


class Heartbeat:
    """Tells from a thread of its own that work goes on, wherever nobody else did for a while.

    Args:
        tell: prints a line.
        first_s: it is called when nothing was told for so long since the start.
        every_s: and then, since the last line.
    """

    def __init__(
        self,
        tell: Callable[[], None],
        first_s: float = FIRST_LINE_S,
        every_s: float = LINE_EVERY_S,
    ) -> None:
        self._tell, self._every_s = tell, every_s
        self._told: queue.SimpleQueue[bool] = queue.SimpleQueue()  # False: stop
        thread = threading.Thread(target=self._beat, args=(first_s,), daemon=True)
        thread.start()

    def told(self) -> None:
        """Note that a line was printed."""
        self._told.put(True)

    def stop(self) -> None:
        """Tell nothing any more."""
        self._told.put(False)

    def _beat(self, patience_s: float) -> None:
        while True:
            try:
                if not self._told.get(timeout=patience_s):
                    return
            except queue.Empty:
                self._tell()
            patience_s = self._every_s


@contextmanager
def decoding_progress(
    description: str,
    *,
    delay_s: float = 2.0,
    console: Console | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[int, int], None]]:
    """Show the progress of a preparation, if it takes long enough to be worth it.

    Args:
        description: what is going on, e.g. ``Reading images``.
        delay_s: nothing is shown before that many seconds.
        console: where to; standard error by default.
        clock: seconds, rising; for tests.

    Yields:
        A function to call with (done, total) now and then.
    """
    console = console or standard_error()
    start = clock()
    next_share = 0.0
    progress: Progress | None = None
    task = TaskID(0)
    come = 0, 0

    def say() -> None:
        done, total = come
        so_far = f"{done} of {total}, " if total else ""
        line = f"{description}: {so_far}{duration(clock() - start)} elapsed"
        console.print(line, soft_wrap=True, markup=False)

    def report(done: int, total: int) -> None:
        nonlocal next_share, progress, task, come
        come = done, total
        if clock() - start < delay_s:
            return
        if console.is_terminal:
            if progress is None:
                progress = Progress(console=console, transient=True)
                task = progress.add_task(description, total=total)
                progress.start()
            progress.update(task, completed=done, total=total)
        elif total and (done / total >= next_share or (done == total and next_share > 0)):
            next_share = done / total + PLAIN_SHARE
            say()
            if heartbeat is not None:
                heartbeat.told()

    heartbeat = Heartbeat(say) if not console.is_terminal else None
    try:
        yield report
    finally:
        if heartbeat is not None:
            heartbeat.stop()
        if progress is not None:
            progress.stop()
