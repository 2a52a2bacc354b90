"""Taking turns on a clock of the test's own."""

from collections.abc import Callable

import numpy as np
import pytest

from experiments.benchmarks.timing import ratios, spread, take_turns


class Clock:
    """Seconds that pass only where a call says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self.calls: list[str] = []

    def __call__(self) -> float:
        return self.now

    def way(self, name: str, *seconds: float) -> Callable[[], None]:
        """A call that takes so long, the last value from then on."""
        durations = list(seconds)

        def call() -> None:
            self.calls.append(name)
            self.now += durations.pop(0) if len(durations) > 1 else durations[0]

        return call


def test_ways_take_turns_and_the_warm_up_is_not_counted() -> None:
    clock = Clock()
    ways = {"a": clock.way("a", 50.0, 1.0), "b": clock.way("b", 70.0, 2.0)}
    samples = take_turns(ways, budget_s=9.0, clock=clock)
    assert clock.calls == ["a", "b", *["a", "b"] * 3]
    assert samples == {"a": [1.0] * 3, "b": [2.0] * 3}


def test_rounds_end_with_the_time_but_not_before_the_least() -> None:
    clock = Clock()
    samples = take_turns({"a": clock.way("a", 3.0)}, budget_s=10.0, at_least=1, clock=clock)
    assert len(samples["a"]) == 3  # a fourth would end after 12 s
    samples = take_turns({"a": clock.way("a", 3.0)}, budget_s=0.0, at_least=2, clock=clock)
    assert len(samples["a"]) == 2
    samples = take_turns({"a": clock.way("a", 0.01)}, budget_s=9.0, at_most=5, clock=clock)
    assert len(samples["a"]) == 5


def test_short_calls_are_made_several_times_a_sample() -> None:
    clock = Clock()
    samples = take_turns(
        {"short": clock.way("short", 0.25), "long": clock.way("long", 2.0)},
        budget_s=0.0,
        at_least=1,
        shortest_s=1.0,
        clock=clock,
    )
    assert samples == {"short": [0.25], "long": [2.0]}
    assert clock.calls == ["short", "long"] + ["short"] * 4 + ["long"]


def test_the_device_is_waited_for_before_and_after_each_sample() -> None:
    clock, order = Clock(), []
    take_turns(
        {"a": lambda: order.append("call")},
        budget_s=0.0,
        at_least=1,
        at_most=1,
        warm_up=0,
        wait=lambda: order.append("wait"),
        clock=clock,
    )
    assert order == ["wait", "call", "wait"]


def test_spread_is_that_of_numpy() -> None:
    samples = np.random.default_rng(0).exponential(size=17)
    found = spread(samples.tolist())
    np.testing.assert_allclose(found, np.percentile(samples, [50, 10, 90]))
    assert spread([2.0]) == (2.0, 2.0, 2.0)
    with pytest.raises(ValueError, match="no samples"):
        spread([])


def test_ratios_need_the_same_rounds() -> None:
    with pytest.raises(ValueError):
        ratios([1.0], [1.0, 2.0])
