"""Sequential test for a change of images, with a proven bound on its false warnings.

A few numbers of each image (statistics) are compared with those of reference images and of all
earlier images. Nothing is assumed about their distribution. The null hypothesis is that reference
and later images are exchangeable: drawn alike, in an order that tells nothing.

1. *p-values.* The p-value of an image is its rank among the reference and all earlier images, ties
   broken at random (:mod:`.seen_values`). Under the null hypothesis the p-values of a statistic are
   independent and uniform on (0, 1), exactly, for a reference of any size, even an empty one (Vovk,
   Nouretdinov, Gammerman, "Testing exchangeability on-line", ICML 2003). Ranks within the reference
   alone are not independent: they share its sampling error, which a long stream reveals as if it
   were a drift. The price is that images after a change join those they are compared with: a small
   change that comes at once after a small reference may stay unnoticed.
2. *Bets.* With z the normal quantile of a p-value, a bet is the likelihood ratio
   f(z) = N(z; mean, spread) / N(z; 0, 1). Its expectation is 1 under the null hypothesis: an
   e-value. These bets are on lower, higher, less varied and more varied values (:func:`bet`). Two
   more, for large changes and small references, are that all values since the start of the change
   are lower, or higher, than all before: with n values before and this one the a-th since, the
   p-value is then uniform on (0, a / (n + a)), or (n / (n + a), 1) (:func:`separate`).
3. *Sums.* Each bet has a Shiryaev-Roberts sum S_t = (S_{t-1} + 1) f(z_t): over all starts of the
   change, the product of the e-values since (Vovk et al., "Retrain or not retrain: conformal test
   martingales for change-point detection", COPA 2021; an e-detector of Shin, Ramdas, Rinaldo,
   "E-detectors", New England Journal of Statistics in Data Science, 2023). With M_t the mean of the
   sums of a statistic, M_t - t is a martingale given the past of this statistic. (The last two bets
   leave out starts more than 64 images ago, which makes the mean smaller.)
4. *Warning.* With K statistics and N images for each false warning, it is given as soon as a mean
   M_t reaches 2 K N.

*Proof of the bound.* Under the null hypothesis M_t is a nonnegative submartingale with E M_t = t,
and by Doob's inequality P(M_s >= 2KN for an s <= t) <= t / (2KN). The p-value of one statistic need
not be uniform given the past of the *other* ones, so that a mean over statistics would have no such
bound; but a union of events has. Hence

    P(false warning within t images) <= t / (2N),

and the expected number of images up to a false warning, the sum of P(none within t images) over
t = 0, 1, ..., is at least N + 1/2. Both hold for a reference of any size, without approximation,
and whatever the dependence of the statistics. They average over references: they are not promised
for a reference that was chosen because it gave a false warning before. A test that begins without a
reference uses only later images, and its bound holds given all that was before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.metrics.seen_values import SeenValues

Kind = Literal["lower", "higher", "less varied", "more varied"]

BETS: tuple[tuple[float, float], ...] = (
    *((mean, 1.0) for mean in (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)),
    *((0.0, spread) for spread in (0.5, 2.0)),
)
"""Mean and spread of z that each bet is on."""

STARTS = 64
"""Number of starts of a change that the bets on separate values consider."""

_MEANS, _SPREADS = np.array(BETS).T
_KINDS: tuple[Kind, ...] = (
    *("lower", "lower", "lower", "higher", "higher", "higher"),
    *("less varied", "more varied", "lower", "higher"),
)
_KEPT_BACK = 0.1
_AGES = np.arange(1, STARTS + 1)
_SEED = 20231
_ALSO = 0.01  # of the limit: evidence with which a statistic is named beside another one
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


def separate(p_value: float, ranked: int) -> NDArray[np.float64]:
    """Return the e-values of the bets that all values since a start are lower, or higher.

    Args:
        p_value: In (0, 1).
        ranked: Number of values that were ranked, this one included.

    Returns:
        (2, STARTS) float64, > 0, for starts at this value and at each one before; the integral of
        each over p-values in (0, 1) is 1.
    """
    share = np.minimum(_AGES / ranked, 1.0)
    inside = np.array([p_value <= share, 1 - p_value <= share])
    return _KEPT_BACK + (1 - _KEPT_BACK) * inside / share


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
        # Products since each start, the latest first, of the bets on separate values.
        self._separate = np.zeros((len(self.seen), 2, STARTS))

    @property
    def limit(self) -> float:
        """Mean of the sums of a statistic from which on a warning is given."""
        return 2.0 * len(self.seen) * self.images_per_false_warning

    def observe(self, values: Mapping[str, float]) -> list[Change]:
        """Test the next image.

        Args:
            values: Statistic -> value of the image.

        Returns:
            Nothing, or, if a warning is to be given now, the change of each statistic with strong
            evidence for one, the strongest first.

        Raises:
            ValueError: If a value is not finite.
        """
        self.images += 1
        uniforms = np.random.default_rng([_SEED, self.start, self.images]).random(len(self.seen))
        e_values = np.empty_like(self._sums)
        self._separate = np.roll(self._separate, 1, axis=2)
        self._separate[:, :, 0] = 1
        for row, (name, seen) in enumerate(self.seen.items()):
            p_value = seen.p_value(values[name], float(uniforms[row]))
            seen.add(values[name])
            e_values[row] = bet(p_value)
            self._separate[row] *= separate(p_value, len(seen))
        self._sums = (self._sums + 1) * e_values
        self._starts = (self._starts + self.images) * e_values
        means = np.hstack([self._sums, self._separate.sum(axis=2)]).mean(axis=1)
        if means.max() < self.limit:
            return []
        strong = np.flatnonzero(means >= _ALSO * self.limit)
        return [self._change(int(row)) for row in strong[np.argsort(-means[strong])]]

    def _change(self, row: int) -> Change:
        """Describe the change of a statistic by the bet with the strongest evidence."""
        separate = self._separate[row].sum(axis=1)
        sums = np.hstack([self._sums[row], separate])
        strongest = int(sums.argmax())
        since = self._separate[row] @ (self.images + 1.0 - _AGES)
        weighted = np.hstack([self._starts[row], since])
        start = round(weighted[strongest] / sums[strongest])
        return Change(list(self.seen)[row], _KINDS[strongest], max(1, start))

    def as_dict(self) -> dict[str, Any]:
        """Return the state as plain JSON; no number is rounded."""
        return {
            "images": self.images,
            "start": self.start,
            "seen": {name: seen.as_dict() for name, seen in self.seen.items()},
            "sums": self._sums.tolist(),
            "starts": self._starts.tolist(),
            "separate": self._separate.tolist(),
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
        for name in ("sums", "starts", "separate"):
            found = np.array(stored[name], np.float64)
            expected = (len(test.seen), *getattr(test, f"_{name}").shape[1:])
            if found.shape != expected or not np.all((found >= 0) & np.isfinite(found)):
                raise ValueError(f"{name} of shape {found.shape}, negative or not finite")
            setattr(test, f"_{name}", found)
        if test.images < 0:
            raise ValueError(f"{test.images} images")
        return test
