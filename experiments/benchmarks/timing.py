"""Time several calls alternately, so that changes of clock rate or load affect all of them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter

import torch

Call = Callable[[], object]
Samples = dict[str, list[float]]

_MAX_ROUNDS = 40


@dataclass(frozen=True)
class Timer:
    """Times calls on one device.

    Attributes:
        device: Device to synchronise with before the clock is read.
        budget_s: Seconds for all rounds; a round that would exceed it is not started.
        min_rounds: Smallest number of rounds.
    """

    device: torch.device
    budget_s: float = 0.0
    min_rounds: int = 1

    def seconds(self, call: Call, calls: int = 1) -> float:
        """Return the mean seconds of a number of calls."""
        self._synchronize()
        start = perf_counter()
        for _ in range(calls):
            call()
        self._synchronize()
        return (perf_counter() - start) / calls

    def alternate(
        self, ways: Mapping[str, Call], *, warm_up: int = 1, sample_s: float = 0.0
    ) -> Samples:
        """Time each way once a round until the budget is spent.

        Args:
            ways: Calls by name.
            warm_up: Calls of each way that are not recorded.
            sample_s: Approximate seconds of a sample, the mean of several calls.

        Returns:
            Seconds a call by name, one value a round.
        """
        calls = dict.fromkeys(ways, 1)
        for name, call in ways.items():
            for _ in range(warm_up):
                calls[name] = max(1, math.ceil(sample_s / max(self.seconds(call), 1e-9)))
        samples: Samples = {name: [] for name in ways}
        start, longest_s = perf_counter(), 0.0
        for number in range(_MAX_ROUNDS):
            begun = perf_counter()
            if number >= self.min_rounds and begun - start + longest_s > self.budget_s:
                break
            for name, call in ways.items():
                samples[name].append(self.seconds(call, calls[name]))
            longest_s = max(longest_s, perf_counter() - begun)
        return samples

    def _synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
