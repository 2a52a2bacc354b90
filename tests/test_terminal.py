"""Speed, and the bar for slow preparations."""

import io

import pytest
from rich.console import Console

from cyclegan_ad.terminal import Speed, decoding_progress


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_speed_is_that_of_the_last_minute() -> None:
    clock = Clock()
    speed = Speed(clock)
    assert speed.per_second == 0.0
    clock.now += 50
    speed.add(1)
    assert speed.per_second == pytest.approx(1 / 50)
    for _ in range(100):
        clock.now += 1
        speed.add(4)
    assert speed.per_second == pytest.approx(4)
    assert speed.elapsed_s == 150


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
    assert lines[0] == "Reading images: 7 of 100, 0:02 elapsed"
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
