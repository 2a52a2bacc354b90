"""Consoles and progress in the terminal.

Progress goes to standard error: a bar, or plain lines where there is no terminal (a pipe, the log
of a CI job). A line is printed for every tenth of the work, the first within 10 s and then at
least one a minute.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task
from rich.text import Text

from cyclegan_ad.display.numbers import duration

REFRESH_S = 0.5

# Without a terminal: the share of the work between two lines.
PLAIN_SHARE = 0.1

# Without a terminal: the longest time to the first line, and between two lines.
FIRST_LINE_S = 10.0
LINE_EVERY_S = 60.0

# The speed is averaged over a minute, so that a slow first step (compilation) soon has no effect.
_SPEED_WINDOW_S = 60.0

_PIPED_COLUMNS = 80


def standard_error() -> Console:
    """Return a console for progress, on standard error."""
    return Console(stderr=True, highlight=False)


def standard_output() -> Console:
    """Return a console for results; without a terminal it has at least 80 columns."""
    console = Console(highlight=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, width=max(_PIPED_COLUMNS, console.width))


def says_ascii_only(console: Console) -> bool:
    """Return whether a console may lack the signs of a table: its frame, plus-minus, the marks."""
    return not console.encoding.lower().startswith("utf")


class Heartbeat:
    """Prints from a thread of its own when no other line was printed for a while.

    Args:
        tell: Prints a line.
        first_s: Seconds without a line since the start after which it is called.
        every_s: Seconds without a line after which it is called again.
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
        """Restart the time, because a line was printed."""
        self._told.put(True)

    def stop(self) -> None:
        """Stop printing."""
        self._told.put(False)

    def _beat(self, patience_s: float) -> None:
        while True:
            try:
                if not self._told.get(timeout=patience_s):
                    return
            except queue.Empty:
                self._tell()
            patience_s = self._every_s


class _SpeedColumn(ProgressColumn):
    """Speed of a task, averaged over the last minute."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """Return e.g. ``74 images/s``; nothing before the first ones are done."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.3g} {self._unit}/s")


class TaskProgress(Progress):
    """One task as a bar, or as lines where there is no terminal.

    Args:
        columns: Columns of the bar; without any, those of rich.
        description: Name of the task.
        total: Amount of work; None if unknown.
        done: Amount done before.
        delay_s: Seconds before anything is shown.
        console: Destination; None: standard error.
        clock: Returns monotonic seconds.
        transient: Whether the bar is removed at its end.
        fields: Other values that columns show.
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
        # A step, above all the first one, may take longer than the time between two lines.
        self._heartbeat = None if self.console.is_terminal else Heartbeat(self._print_line)

    def line(self) -> str:
        """Return the line that is printed without a terminal."""
        task = self.task
        so_far = f"{task.completed:.0f} of {task.total:.0f}, " if task.total else ""
        line = f"{task.description}: {so_far}{duration(task.elapsed or 0)} elapsed"
        for column in self.columns:
            if isinstance(column, _SpeedColumn) and (speed := column.render(task).plain):
                left = task.time_remaining
                line += f", {speed}" + ("" if left is None else f", {duration(left)} left")
        return line

    def advance_to(self, done: float, total: float | None = None, **fields: Any) -> bool:
        """Set the amount done; return whether it is time to :meth:`show` it."""
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
        """Update the bar, or print a line."""
        self.update(self.task.id, **fields)
        self._shown_s = self.get_time()
        if self._heartbeat is None:
            self.start()
            return
        self._line_s, self._line_share = self._shown_s + LINE_EVERY_S, self._share() + PLAIN_SHARE
        self._print_line()
        self._heartbeat.told()

    def stop(self) -> None:
        """Leave the bar as it is and release the terminal."""
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
    unit: str | None = None,
    delay_s: float = 2.0,
    console: Console | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[int, int], None]]:
    """Show the progress of a preparation that takes longer than ``delay_s``.

    Args:
        description: Name of the preparation, e.g. ``Reading images``.
        unit: Unit of its speed, e.g. ``images``; None shows no speed.
        delay_s: Seconds before anything is shown.
        console: Destination; standard error by default.
        clock: Returns monotonic seconds; for tests.

    Yields:
        A function to call repeatedly with (done, total).
    """
    columns = () if unit is None else (*Progress.get_default_columns(), _SpeedColumn(unit))
    progress = TaskProgress(
        *columns,
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
