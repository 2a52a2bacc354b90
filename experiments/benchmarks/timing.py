"""Times several ways of doing the same work in turns: a change of the machine's pace meets all."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

Samples = dict[str, list[float]]


class Spread(NamedTuple):
    """Middle and spread of samples: the median, the 10th and the 90th percentile."""

    median: float
    low: float
    high: float


def take_turns(
    ways: Mapping[str, Callable[[], object]],
    *,
    budget_s: float,
    at_least: int = 3,
    at_most: int = 40,
    warm_up: int = 1,
    shortest_s: float = 0.0,
    wait: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Samples:
    """Measure each way once, then each again, and so on, until the time is over.

    Args:
        ways: Name of a way -> a call of it.
        budget_s: No round is begun that would probably end later; the warm-up does not count.
        at_least: Rounds that are made in any case.
        at_most: Rounds at the most.
        warm_up: Calls of each way beforehand that are not measured.
        shortest_s: A sample is the mean of as many calls as take about so long, going by the last
            one of the warm-up.
        wait: Waits for the device, before the clock is read.
        clock: Seconds, rising; for tests.

    Returns:
        Name of each way -> seconds a call, one for each round. Those of one round belong together.
    """

    def timed(call: Callable[[], object], calls: int) -> float:
        wait()
        start = clock()
        for _ in range(calls):
            call()
        wait()
        return (clock() - start) / calls

    calls = dict.fromkeys(ways, 1)
    for name, call in ways.items():
        for _ in range(warm_up):
            calls[name] = max(1, math.ceil(shortest_s / max(timed(call, 1), 1e-9)))
    samples: Samples = {name: [] for name in ways}
    start, longest_s = clock(), 0.0
    for number in range(at_most):
        begun = clock()
        if number >= at_least and begun - start + longest_s > budget_s:
            break
        for name, call in ways.items():
            samples[name].append(timed(call, calls[name]))
        longest_s = max(longest_s, clock() - begun)
    return samples


def spread(samples: Sequence[float]) -> Spread:
    """Median, 10th and 90th percentile.

    Raises:
        ValueError: If there are no samples.

    >>> spread([3.0, 1.0, 2.0])
    Spread(median=2.0, low=1.2, high=2.8)
    """
    if not samples:
        raise ValueError("there are no samples")
    ordered = sorted(samples)
    return Spread(statistics.median(ordered), _quantile(ordered, 0.1), _quantile(ordered, 0.9))


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Ratio of each round.

    Raises:
        ValueError: If the rounds differ in number.

    >>> ratios([2.0, 3.0], [1.0, 2.0])
    [2.0, 1.5]
    """
    return [above / below for above, below in zip(numerators, denominators, strict=True)]


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Interpolate between the samples on both sides, as NumPy does."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
