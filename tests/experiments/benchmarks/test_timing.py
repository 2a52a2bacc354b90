"""Alternation on a clock of the test's own."""

from collections.abc import Callable

import pytest
import torch

from experiments.benchmarks import timing
from experiments.benchmarks.timing import Timer

CPU = torch.device("cpu")


class Clock:
    """Seconds that pass only where a call says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self.calls: list[str] = []

    def way(self, name: str, *seconds: float) -> Callable[[], None]:
        """A call that takes so long, the last value from then on."""
        durations = list(seconds)

        def call() -> None:
            self.calls.append(name)
            self.now += durations.pop(0) if len(durations) > 1 else durations[0]

        return call


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing, "perf_counter", lambda: clock.now)
    return clock


def test_ways_take_turns_and_the_warm_up_is_not_counted(clock: Clock) -> None:
    ways = {"a": clock.way("a", 50.0, 1.0), "b": clock.way("b", 70.0, 2.0)}
    assert Timer(CPU, 9.0).alternate(ways) == {"a": [1.0] * 3, "b": [2.0] * 3}
    assert clock.calls == ["a", "b", *["a", "b"] * 3]


@pytest.mark.parametrize(
    ("seconds", "budget_s", "min_rounds", "rounds"),
    [(3.0, 10.0, 1, 3), (3.0, 0.0, 2, 2), (0.01, 9.0, 1, 40)],
)
def test_rounds(
    clock: Clock, seconds: float, budget_s: float, min_rounds: int, rounds: int
) -> None:
    samples = Timer(CPU, budget_s, min_rounds).alternate({"a": clock.way("a", seconds)})
    assert len(samples["a"]) == rounds


def test_short_calls_are_made_several_times_a_sample(clock: Clock) -> None:
    ways = {"short": clock.way("short", 0.25), "long": clock.way("long", 2.0)}
    assert Timer(CPU).alternate(ways, sample_s=1.0) == {"short": [0.25], "long": [2.0]}
    assert clock.calls == ["short", "long", *["short"] * 4, "long"]


def test_a_gpu_is_waited_for_before_and_after_each_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: order.append("wait"))
    Timer(torch.device("cuda")).seconds(lambda: order.append("call"))
    assert order == ["wait", "call", "wait"]
