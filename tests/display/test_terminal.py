"""The bar, and the lines, of slow preparations."""

import io
import threading

import pytest
from rich.console import Console

from cyclegan_ad.display import terminal
from cyclegan_ad.display.terminal import Heartbeat, decoding_progress


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def read_all(done_in_s: float, *, terminal: bool) -> str:
    clock, out = Clock(), io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=80)
    with decoding_progress("Reading images", console=console, clock=clock) as report:
        for done in range(1, 101):
            clock.now += done_in_s / 100
            report(done, 100)
    return out.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_quick_shows_nothing(terminal: bool) -> None:
    assert read_all(1.5, terminal=terminal) == ""


def test_what_is_slow_shows_a_bar_at_a_terminal() -> None:
    assert "Reading images" in read_all(30, terminal=True)


def test_what_is_slow_shows_some_plain_lines_in_a_pipe() -> None:
    lines = read_all(30, terminal=False).splitlines()
    assert 8 <= len(lines) <= 12
    assert lines[0] == "Reading images: 10 of 100, 0:03 elapsed"
    assert lines[-1] == "Reading images: 100 of 100, 0:30 elapsed"


def test_an_error_goes_through_and_the_terminal_is_given_back() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80)
    with (
        pytest.raises(OSError, match="unreadable"),
        decoding_progress("Reading", delay_s=0, console=console) as report,
    ):
        report(1, 10)
        raise OSError("unreadable")
    assert out.getvalue().count("\x1b[?25l") == out.getvalue().count("\x1b[?25h") > 0


def test_a_long_step_is_told_of_by_another_thread() -> None:
    lines, twice = [], threading.Event()

    def tell() -> None:
        lines.append(threading.current_thread() is threading.main_thread())
        if len(lines) == 2:
            twice.set()

    heartbeat = Heartbeat(tell, first_s=0.01, every_s=0.01)
    assert twice.wait(60)
    heartbeat.stop()
    assert not any(lines)


def test_nothing_is_told_of_what_tells_itself() -> None:
    lines: list[str] = []
    heartbeat = Heartbeat(lambda: lines.append("still at work"), first_s=600, every_s=600)
    heartbeat.told()
    heartbeat.stop()
    assert lines == []


def test_a_pipe_hears_of_a_preparation_that_reports_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        terminal, "Heartbeat", lambda tell: Heartbeat(tell, first_s=0.01, every_s=0.01)
    )
    written = threading.Event()

    class Pipe(io.StringIO):
        def write(self, text: str) -> int:
            written.set()
            return super().write(text)

    pipe = Pipe()
    with decoding_progress("Reading", console=Console(file=pipe), clock=Clock()):
        assert written.wait(60)
    assert pipe.getvalue().startswith("Reading: 0:00 elapsed\n")
