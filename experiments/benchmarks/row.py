"""A row of the benchmark's table: measured figures and their targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Spread(NamedTuple):
    """Median, 10th and 90th percentile."""

    median: float
    low: float
    high: float


class Target(NamedTuple):
    """A bound on a figure of a row, ``ratio``, ``share`` or ``ours``: a lower or an upper one."""

    quantity: str
    limit: float
    at_least: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        group: Heading above the line.
        what: Name of the measurement.
        unit: Unit of ``reference`` and ``ours``.
        reference: Median of the reference implementation; None if there is none.
        ours: Our median; None if it was not measured.
        ratio: Speed or memory relative to the reference, over the rounds; higher is better.
        share: Share of the peak (a matrix product) that ours reaches, over the rounds.
        targets: Bounds on the figures.
        note: Shown where there are no targets.
    """

    group: str
    what: str
    unit: str
    reference: float | None = None
    ours: float | None = None
    ratio: Spread | None = None
    share: Spread | None = None
    targets: tuple[Target, ...] = ()
    note: str = ""

    def reached(self, target: Target) -> bool:
        """Return whether a target is met; False if its figure was not measured."""
        found = getattr(self, target.quantity)
        value = found.median if isinstance(found, Spread) else found
        if value is None:
            return False
        return value >= target.limit if target.at_least else value <= target.limit


def compare(
    group: str,
    what: str,
    unit: str,
    samples: Mapping[str, Sequence[float]],
    way: str,
    *targets: Target,
    items: int = 1,
    share: Spread | None = None,
) -> Row:
    """Compare the rate of a way, items a second, with that of ``reference``; see :class:`Row`."""
    reference, ours = (items / spread(samples[name]).median for name in ("reference", way))
    ratio = spread(ratios(samples["reference"], samples[way]))
    return Row(group, what, unit, reference, ours, ratio, share, targets)


def spread(samples: Sequence[float]) -> Spread:
    """Summarise one or more samples.

    >>> spread([3.0, 1.0, 2.0])
    Spread(median=2.0, low=1.2, high=2.8)
    """
    return Spread(*np.percentile(samples, [50, 10, 90]).tolist())


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Return the ratio of each round; raise ValueError if the numbers of rounds differ.

    >>> ratios([2.0, 3.0], [1.0, 2.0])
    [2.0, 1.5]
    """
    return [above / below for above, below in zip(numerators, denominators, strict=True)]
