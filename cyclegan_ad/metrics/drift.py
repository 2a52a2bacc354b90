"""Sequential test for a change of images, with a proven bound on its false warnings.

A few numbers of each image (statistics) are compared with those of reference images and of all
earlier images. The test assumes nothing about their distribution. Its null hypothesis is that the
reference and the images that follow are exchangeable: drawn alike, in an order that tells nothing.

1. *p-values.* The p-value of an image is its rank among the reference and all earlier images, ties
   broken at random (:class:`SeenValues`). Under the null hypothesis the p-values of one statistic
   are independent and uniform on (0, 1), exactly, for a reference of any size, even an empty one
   (Vovk, Nouretdinov, Gammerman, "Testing exchangeability on-line", ICML 2003, Theorem 1). Ranks
   within the reference alone would not be independent: all of them share its sampling error, which a
   long stream reveals as if it were a drift. The price is that images after a change join those
   they are compared with, so that a small change at once after a small reference may stay unnoticed.
2. *Bets.* With z the normal quantile of a p-value, each bet is the likelihood ratio
   f(z) = N(z; mean, spread) / N(z; 0, 1), whose expectation is 1 under the null hypothesis: an
   e-value. The bets are on higher, lower, more and less varied values.
3. *Sums.* Each bet has a Shiryaev-Roberts sum S_t = (S_{t-1} + 1) f(z_t), the sum over all possible
   starts of the change of the product of the e-values since (Vovk et al., "Retrain or not retrain:
   conformal test martingales for change-point detection", COPA 2021; an e-detector in Shin, Ramdas,
   Rinaldo, "E-detectors", New England Journal of Statistics in Data Science 2, 2023). The mean M_t of
   the sums of a statistic has M_t - t as a martingale.
4. *Warning.* With K statistics and one false warning allowed in N images, it is given when a mean
   M_t reaches 2 K N.

*Proof of the bound.* Under the null hypothesis M_t is a nonnegative submartingale with E M_t = t. By
Doob's inequality, P(M_s >= 2KN for an s <= t) <= t / (2KN). The statistics of an image depend on each
other, and the p-value of one need not be uniform given the past of the *others*; so their means are
not averaged, and a union bound over them gives

    P(false warning within t images) <= t / (2N),

hence the expected number of images up to a false warning is at least
sum over t = 0 ... 2N of (1 - t / 2N) = N + 1/2. Both hold for each start of the test with a
reference that no warning was seen with before, and whatever the dependence of the statistics.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

Kind = Literal["lower", "higher", "less varied", "more varied"]

BETS: tuple[tuple[float, float], ...] = (
    *((mean, 1.0) for mean in (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)),
    *((0.0, spread) for spread in (0.5, 2.0)),
)
"""Mean and spread of z that each bet is on."""

_MEANS, _SPREADS = np.array(BETS).T
_BITS = 11
_SEED = 20231
_SMALLEST = 2.0**-53  # the quantiles of 0 and 1 are infinite


def bet(p_value: float) -> NDArray[np.float64]:
    """Return the e-value of each bet.

    Args:
        p_value: In (0, 1).

    Returns:
        (len(BETS),) float64, > 0; the integral of each over p-values in (0, 1) is 1.
    """
    z = NormalDist().inv_cdf(min(max(p_value, _SMALLEST), 1 - _SMALLEST))
    return np.exp((z**2 - ((z - _MEANS) / _SPREADS) ** 2) / 2) / _SPREADS


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
        ordered = sorted(set(seen._values)) == seen._values and all(map(math.isfinite, seen._values))
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


@dataclass(frozen=True)
class Change:
    """A change that the test has found.

    Attributes:
        statistic: Name of the statistic.
        kind: How its values changed.
        since: Number of the image, from 1, at which the change began: the mean of the possible
            starts, weighted by the evidence for each.
    """

    statistic: str
    kind: Kind
    since: int


class DriftTest:
    """Sequential test of several statistics of a stream of images; see the module.

    Args:
        references: Statistic -> its values in the reference images; may be empty.
        images_per_false_warning: N, the expected number of images up to a false warning is at least
            this one.
        start: Number of this start of the test, which gives it random numbers of its own.

    Attributes:
        images: Number of images observed.
        seen: Statistic -> values of the reference and the images.
    """

    def __init__(
        self,
        references: Mapping[str, Iterable[float]],
        images_per_false_warning: int,
        start: int = 0,
    ) -> None:
        self.images, self.start = 0, start
        self.images_per_false_warning = images_per_false_warning
        self.seen = {name: SeenValues(values) for name, values in references.items()}
        self._sums = np.zeros((len(self.seen), len(BETS)))
        self._starts = np.zeros_like(self._sums)  # sums whose terms are weighted by their start

    @property
    def limit(self) -> float:
        """Mean of the sums of a statistic from which on a warning is given."""
        return 2.0 * len(self.seen) * self.images_per_false_warning

    def observe(self, values: Mapping[str, float]) -> Change | None:
        """Test the next image.

        Args:
            values: Statistic -> value of the image.

        Returns:
            The change, if a warning is to be given now.

        Raises:
            ValueError: If a value is not finite.
        """
        self.images += 1
        uniforms = np.random.default_rng([_SEED, self.start, self.images]).random(len(self.seen))
        e_values = np.empty_like(self._sums)
        for row, (name, seen) in enumerate(self.seen.items()):
            e_values[row] = bet(seen.p_value(values[name], float(uniforms[row])))
            seen.add(values[name])
        self._sums = (self._sums + 1) * e_values
        self._starts = (self._starts + self.images) * e_values
        means = self._sums.mean(axis=1)
        row = int(means.argmax())
        if means[row] < self.limit:
            return None
        strongest = int(self._sums[row].argmax())
        mean, spread = BETS[strongest]
        kind: Kind = "higher" if mean > 0 else "lower"
        if mean == 0:
            kind = "more varied" if spread > 1 else "less varied"
        since = self._starts[row, strongest] / self._sums[row, strongest]
        return Change(list(self.seen)[row], kind, max(1, round(since)))

    def as_dict(self) -> dict[str, Any]:
        """Return the state as plain JSON; no number is rounded."""
        return {
            "images": self.images,
            "start": self.start,
            "seen": {name: seen.as_dict() for name, seen in self.seen.items()},
            "sums": self._sums.tolist(),
            "starts": self._starts.tolist(),
        }

    @classmethod
    def parse(cls, stored: Mapping[str, Any], images_per_false_warning: int) -> Self:
        """Return the test in the state of :meth:`as_dict`.

        Raises:
            ValueError: If it is none; also TypeError and KeyError.
        """
        test = cls({}, images_per_false_warning, int(stored["start"]))
        test.images = int(stored["images"])
        test.seen = {name: SeenValues.parse(one) for name, one in stored["seen"].items()}
        test._sums, test._starts = (np.array(stored[n], np.float64) for n in ("sums", "starts"))
        for sums in (test._sums, test._starts):
            if sums.shape != (len(test.seen), len(BETS)) or not np.all(np.isfinite(sums)):
                raise ValueError(f"sums of shape {sums.shape} or not finite")
            if test.images < 0 or np.any(sums < 0):
                raise ValueError("negative numbers")
        return test
