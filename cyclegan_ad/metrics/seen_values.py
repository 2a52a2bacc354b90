"""Values seen so far in a stream, and the rank of the next one among them."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, Self

_BITS = 11


class SeenValues:
    """Values seen so far, as counts of values of 11 significant bits.

    Rounding (relative by 0.05 % at most) is the same for all values, so that exchangeable values
    stay so, and it bounds the memory: a factor of ten has 3,400 different values.

    Args:
        values: The reference.
    """

    def __init__(self, values: Iterable[float] = ()) -> None:
        self._values: list[float] = []
        self._counts: list[int] = []
        for value in values:
            self.add(value)

    def __len__(self) -> int:
        return sum(self._counts)

    def add(self, value: float) -> None:
        """Add a value."""
        at, known = self._find(value)
        if known:
            self._counts[at] += 1
        else:
            self._values.insert(at, _rounded(value))
            self._counts.insert(at, 1)

    def p_value(self, value: float, uniform: float) -> float:
        """Return the smoothed rank of a value among those seen and itself, in (0, 1).

        Args:
            value: The value, not yet added.
            uniform: Random number in (0, 1) that breaks ties.
        """
        at, known = self._find(value)
        equal = 1 + (self._counts[at] if known else 0)
        return (sum(self._counts[:at]) + uniform * equal) / (len(self) + 1)

    def sum(self) -> float:
        """Return the sum of the values seen."""
        return math.fsum(v * n for v, n in zip(self._values, self._counts, strict=True))

    def as_dict(self) -> dict[str, Any]:
        """Return the content as plain JSON."""
        return {"values": self._values, "counts": self._counts}

    @classmethod
    def parse(cls, stored: Mapping[str, Any]) -> Self:
        """Return the values of :meth:`as_dict`.

        Raises:
            ValueError: If they are none; also TypeError and KeyError.
        """
        seen = cls()
        seen._values = [float(value) for value in stored["values"]]
        seen._counts = list(stored["counts"])
        ordered = sorted(set(seen._values)) == seen._values and all(
            map(math.isfinite, seen._values)
        )
        counted = all(type(count) is int and count > 0 for count in seen._counts)
        if not ordered or not counted or len(seen._values) != len(seen._counts):
            raise ValueError("values are not ascending, or not as many as counts")
        return seen

    def _find(self, value: float) -> tuple[int, bool]:
        """Return the place of a value, and whether it was seen."""
        rounded = _rounded(value)
        at = bisect_left(self._values, rounded)
        return at, at < len(self._values) and self._values[at] == rounded


def _rounded(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"invalid value {value}: expected a finite number")
    share, exponent = math.frexp(value)
    return math.ldexp(round(share * 2**_BITS), exponent - _BITS)
