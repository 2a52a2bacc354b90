"""Progress on the terminal: a bar for a task, or plain lines where there is no terminal.

Into a pipe or the log of a CI job goes a line about every tenth of the way, the first within 10 s
and then one a minute at least. Both go to standard error, which leaves standard output to results.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress, ProgressColumn

# Marks of the paper's figures: says nothing about the method; ours was made with other settings.
FLAG, UNLIKE = "†", "‡"

REFRESH_S = 0.5

# Without a terminal: a line after each such share of the way.
PLAIN_SHARE = 0.1

# Without a terminal: so long it stays silent at most, at first and then.
FIRST_LINE_S = 10.0
LINE_EVERY_S = 60.0

# The speed is that of the last minute: a slow first step (compilation) is soon forgotten.
_SPEED_WINDOW_S = 60.0

_PIPED_COLUMNS = 80


def standard_error() -> Console:
    """Open the console that progress goes to."""
    return Console(stderr=True, highlight=False)


def standard_output() -> Console:
    """Open the console that results go to; piped output is taken as 80 columns wide or more."""
    console = Console(highlight=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, width=max(_PIPED_COLUMNS, console.width))


def says_ascii_only(console: Console) -> bool:
    """Whether a console may lack the signs of a table: its frame, plus-minus and the marks."""
    return not console.encoding.lower().startswith("utf")


def in_ascii(text: str) -> str:
    """Spell plus-minus and the marks of the paper's figures in ASCII.

    >>> in_ascii("97.14 ± 0.52†‡")
    '97.14 +- 0.52*#'
    """
    return text.replace("±", "+-").replace(FLAG, "*").replace(UNLIKE, "#")


def duration(seconds: float) -> str:
    """Write a number of seconds as a clock does.

    >>> duration(75), duration(3 * 3600 + 62)
    ('1:15', '3:01:02')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Heartbeat:
    """Tells from a thread of its own that work goes on, wherever nobody else did for a while.

    Args:
        tell: Prints a line.
        first_s: It is called when nothing was told for so long since the start.
        every_s: And then, since the last line.
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


class TaskProgress(Progress):
    """One task as a bar, or as lines where there is no terminal.

    Args:
        columns: Of the bar; none for rich's own.
        description: What is going on.
        total: All that is to be done; None if unknown.
        done: What was done before.
        delay_s: Nothing is shown before that many seconds.
        console: Where to; None: standard error.
        clock: Seconds, rising.
        transient: Whether the bar vanishes at its end.
        fields: What else columns show.
    """

    def __init__(
        self,
        *columns: ProgressColumn | str,
        description: str,
        total: float | None,
        done: int = 0,
        delay_s: float = 0.0,
        console: Console | None,
        clock: Callable[[], float],
        transient: bool = False,
        **fields: Any,
    ) -> None:
        super().__init__(
            *columns,
            console=console or standard_error(),
            get_time=clock,
            speed_estimate_period=_SPEED_WINDOW_S,
            transient=transient,
            expand=bool(columns),
        )
        self.add_task(description, total=total, completed=done, **fields)
        self.task = self.tasks[0]
        self._shown_s, self._delay_s = clock(), delay_s
        self._line_s, self._line_share = clock() + FIRST_LINE_S, self._share() + PLAIN_SHARE
        # A step, the first one above all, may take longer than a line may be waited for.
        self._heartbeat = None if self.console.is_terminal else Heartbeat(self._print_line)

    def line(self) -> str:
        """What a line says of the task."""
        task = self.task
        so_far = f"{task.completed:.0f} of {task.total:.0f}, " if task.total else ""
        return f"{task.description}: {so_far}{duration(task.elapsed or 0)} elapsed"

    def advance_to(self, done: float, total: float | None = None, **fields: Any) -> bool:
        """Count what is done; tells whether it is time to :meth:`show` it."""
        self.update(self.task.id, completed=done, total=total, **fields)
        now = self.get_time()
        if (self.task.elapsed or 0) < self._delay_s:
            return False
        if self._heartbeat is None:
            late = not self.live.is_started or now - self._shown_s >= REFRESH_S
            return self.task.finished or late
        tenth = self.task.finished or self._share() >= self._line_share - 1e-9
        return tenth or now >= self._line_s

    def show(self, **fields: Any) -> None:
        """Bring the bar up to date, or print a line."""
        self.update(self.task.id, **fields)
        self._shown_s = self.get_time()
        if self._heartbeat is None:
            self.start()
            return
        self._line_s, self._line_share = self._shown_s + LINE_EVERY_S, self._share() + PLAIN_SHARE
        self._print_line()
        self._heartbeat.told()

    def stop(self) -> None:
        """Leave the bar as it is and give the terminal back."""
        if self._heartbeat is not None:
            self._heartbeat.stop()
        else:
            super().stop()

    def _print_line(self) -> None:
        self.console.print(self.line(), soft_wrap=True, markup=False)

    def _share(self) -> float:
        return self.task.percentage / 100


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
        description: What is going on, e.g. ``Reading images``.
        delay_s: Nothing is shown before that many seconds.
        console: Where to; standard error by default.
        clock: Seconds, rising; for tests.

    Yields:
        A function to call with (done, total) now and then.
    """
    progress = TaskProgress(
        description=description,
        total=None,
        delay_s=delay_s,
        console=console,
        clock=clock,
        transient=True,
    )

    def report(done: int, total: int) -> None:
        if progress.advance_to(done, total):
            progress.show()

    try:
        yield report
    finally:
        progress.stop()
