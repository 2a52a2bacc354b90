"""The drift test: its bets and sums by hand, its promise and its delays on simulated streams."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, special, stats

from cyclegan_ad.metrics import drift
from cyclegan_ad.metrics.drift import BETS, STARTS, DriftTest, bet, separate

NAMES = ("brightness", "sharpness", "score")
N = 10_000


def draw(random: np.random.Generator, *shape: int, ties: bool = False) -> NDArray[np.float64]:
    """Statistics of images that depend on each other, of other scales and skewed: (..., 3)."""
    common = random.normal(size=(*shape, 1))
    values = 0.8 * common + 0.6 * random.normal(size=(*shape, 3))
    values = np.stack([0.5 + 0.05 * values[..., 0], values[..., 1], np.exp(values[..., 2])], -1)
    return np.round(values, 2) if ties else values


def as_columns(values: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    return dict(zip(NAMES, values.T, strict=True))


def feed(test: DriftTest, images: NDArray[np.float64]) -> drift.Change | None:
    """The change that is found, if any; the test stops there."""
    for row in images:
        if changes := test.observe(as_columns(row)):
            return changes[0]
    return None


def first_warnings(
    references: NDArray[np.float64],
    images: NDArray[np.float64],
    uniforms: NDArray[np.float64],
    allowed: int,
) -> NDArray[np.int64]:
    """For S streams, by sorted lists: the number of the image that warns, 0 if none.

    References are (S, R, 3), images and uniforms (S, T, 3).
    """
    p_values = np.empty_like(images)
    for stream, column in np.ndindex(len(images), 3):
        earlier = sorted(references[stream, :, column].tolist())
        for t, value in enumerate(images[stream, :, column].tolist()):
            less, up_to = bisect_left(earlier, value), bisect_right(earlier, value)
            place = less + uniforms[stream, t, column] * (up_to - less + 1)
            p_values[stream, t, column] = place / (len(earlier) + 1)
            earlier.insert(less, value)
    z = special.ndtri(p_values)[..., None]
    sums, first = np.zeros((len(images), 3, len(BETS))), np.zeros(len(images), np.int64)
    low, high = np.ones((2, len(images), 3, images.shape[1]))  # products for each start
    centres, spreads = np.array(BETS).T
    for t in range(images.shape[1]):
        at = z[:, t]
        e_values = np.exp(at**2 / 2 - ((at - centres) / spreads) ** 2 / 2) / spreads
        sums = (sums + 1) * e_values
        started = slice(max(0, t - 63), t + 1)
        since = np.arange(t + 1)[started]  # image t is the (t - since + 1)th from there on
        total = references.shape[1] + t + 1
        share, p_value = (t - since + 1) / total, p_values[:, t, :, None]
        low[:, :, started] *= 0.1 + 0.9 / share * (p_value <= share)
        high[:, :, started] *= 0.1 + 0.9 / share * (p_value >= 1 - share)
        separate = low[:, :, started].sum(axis=2) + high[:, :, started].sum(axis=2)
        means = (sums.sum(axis=2) + separate) / (len(BETS) + 2)
        warns = means.max(axis=1) >= 2 * 3 * allowed
        first[warns & (first == 0)] = t + 1
    return first


def test_bets_are_e_values() -> None:
    for number, (mean, spread) in enumerate(BETS):
        total, _ = integrate.quad(
            lambda z, at=number: bet(special.ndtr(z))[at] * stats.norm.pdf(z), -7, 7
        )
        assert total == pytest.approx(1, abs=1e-3)
        expected = stats.norm(mean, spread).pdf(-1.5) / stats.norm.pdf(-1.5)
        assert bet(special.ndtr(-1.5))[number] == pytest.approx(expected)
    assert np.isfinite(bet(0.0)).all() and np.isfinite(bet(1.0)).all()
    p_values = (np.arange(10_000) + 0.5) / 10_000
    for ranked in (1, 8, 100):  # 8 values: the 16th before was none of them
        total = np.mean([separate(p_value, ranked) for p_value in p_values], axis=0)
        np.testing.assert_allclose(total, 1, atol=0.01)
    # The second of the values since a start, of 8: below 6 before, by chance in 2 of 8 cases.
    assert separate(0.2, 8)[:, 1].tolist() == pytest.approx([0.1 + 0.9 * 4, 0.1])
    assert separate(0.8, 8)[:, 1].tolist() == pytest.approx([0.1, 0.1 + 0.9 * 4])


def test_sums_are_over_all_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three e-values a, b, c of one bet: abc + bc + c, and abc + 2 bc + 3 c for the start."""
    given = iter([2.0, 3.0, 0.5])
    monkeypatch.setattr(drift, "bet", lambda p_value: np.full(len(BETS), next(given)))
    test = DriftTest({"score": []}, 1000)
    factors = iter([2.0, 4.0, 8.0])
    monkeypatch.setattr(
        drift, "separate", lambda p_value, ranked: np.full((2, STARTS), next(factors))
    )
    assert all(test.observe({"score": 1.0}) == [] for _ in range(3))
    found = test.as_dict()
    assert [side[:4] for side in found["separate"][0]] == [[8.0, 32.0, 64.0, 0.0]] * 2
    assert found["sums"] == [[3.0 + 1.5 + 0.5] * len(BETS)]
    assert found["starts"] == [[3.0 + 2 * 1.5 + 3 * 0.5] * len(BETS)]


@pytest.mark.parametrize("ties", [False, True])
def test_the_same_as_by_sorted_lists(ties: bool) -> None:
    random = np.random.default_rng(3)
    # Whole numbers of few bits, which the test does not round.
    reference, images = np.floor(100 * draw(random, 20)), np.floor(100 * draw(random, 100))
    if not ties:
        images = np.stack([random.permutation(np.arange(120.0)) for _ in range(3)], axis=1)
        reference, images = images[:20], images[20:]
    images[60:, 0] -= 200
    uniforms = [np.random.default_rng([drift._SEED, 0, 1 + t]).random(3) for t in range(100)]
    expected = first_warnings(reference[None], images[None], np.array(uniforms)[None], N)
    test = DriftTest(as_columns(reference), N)
    change = feed(test, images)
    assert change is not None and change.statistic == "brightness" and change.kind == "lower"
    assert test.images == expected[0] > 60


@pytest.mark.parametrize(
    ("reference", "ties", "streams", "length"),
    [
        *((20, False, 100, 600), (50, True, 100, 600), (200, False, 100, 600), (0, True, 100, 600)),
        *(pytest.param(n, n == 50, 100, 6000, marks=pytest.mark.slow) for n in (20, 50, 200)),
    ],
)
def test_at_most_one_false_warning_in_10000_images(
    reference: int, ties: bool, streams: int, length: int
) -> None:
    random = np.random.default_rng(reference)
    first = first_warnings(
        draw(random, streams, reference, ties=ties),
        draw(random, streams, length, ties=ties),
        random.random((streams, length, 3)),
        N,
    )
    watched = int(np.where(first > 0, first, length).sum())
    assert np.count_nonzero(first) <= watched / N


@pytest.mark.parametrize("reference", [5, 20])
def test_the_bound_where_warnings_are_frequent(reference: int) -> None:
    """P(warning within t) <= t / 2N, where the simulation is large enough to exceed it."""
    random = np.random.default_rng(1)
    streams, length, allowed = 3000, 40, 20
    first = first_warnings(
        draw(random, streams, reference),
        draw(random, streams, length),
        random.random((streams, length, 3)),
        allowed,
    )
    for t in (5, 10, 20, 40):
        share = np.mean((first > 0) & (first <= t))
        assert 0.02 * t / (2 * allowed) < share <= t / (2 * allowed), t


# Statistic, factor and shift in standard deviations of its values, what is said.
CHANGES = [
    ("brightness", 1.0, -2.0, "lower"),
    ("brightness", 1.0, 1.0, "higher"),
    ("sharpness", 1.0, -1.0, "lower"),
    ("sharpness", 0.4, 0.0, "less varied"),
    ("score", 1.0, 2.0, "higher"),
    ("sharpness", 2.5, 0.0, "more varied"),
]


@pytest.mark.parametrize(("statistic", "factor", "shift", "kind"), CHANGES)
@pytest.mark.parametrize(("reference", "quiet"), [(20, 200), (50, 200), (200, 0), (200, 1000)])
def test_a_change_is_caught_within_200_images(
    statistic: str, factor: float, shift: float, kind: str, reference: int, quiet: int
) -> None:
    random = np.random.default_rng(5)
    for _ in range(3):
        test = DriftTest(as_columns(draw(random, reference)), N)
        images = draw(random, quiet + 200)
        column = NAMES.index(statistic)
        usual = draw(random, 5000)[:, column]
        changed = usual.mean() + factor * (images[quiet:, column] - usual.mean())
        images[quiet:, column] = changed + shift * usual.std()
        change = feed(test, images)
        assert change is not None and quiet < test.images <= quiet + 200
        assert change.statistic == statistic and abs(change.since - quiet) <= 60
        # The first unusual values of a wider spread may all lie on one side.
        assert change.kind == kind or kind == "more varied"


def test_all_that_changed_is_named_the_strongest_first() -> None:
    random = np.random.default_rng(8)
    test = DriftTest(as_columns(draw(random, 200)), N)
    images = draw(random, 50) + np.array([-0.2, 4.0, 0.0])
    found = next(changes for row in images if (changes := test.observe(as_columns(row))))
    state = test.as_dict()
    sums = np.sum(state["sums"], axis=1) + np.sum(state["separate"], axis=(1, 2))
    assert [one.statistic for one in found] == [NAMES[i] for i in np.argsort(-sums)[:2]]
    assert {(one.statistic, one.kind) for one in found} == {
        ("brightness", "lower"),
        ("sharpness", "higher"),
    }


@pytest.mark.parametrize(("shift", "reference"), [(-3.0, 20), (3.0, 20), (-5.0, 8)])
def test_a_large_change_is_caught_at_once_with_a_small_reference(
    shift: float, reference: int
) -> None:
    random = np.random.default_rng(6)
    for _ in range(5):
        test = DriftTest(as_columns(draw(random, reference)), N)
        images = draw(random, 200)
        images[:, 1] += shift
        change = feed(test, images)
        assert change is not None and change.statistic == "sharpness"
        assert change.kind == ("lower" if shift < 0 else "higher") and test.images <= 40


def test_a_stored_test_continues_as_if_it_had_not_stopped() -> None:
    random = np.random.default_rng(7)
    reference, images = draw(random, 30), draw(random, 120)
    images[60:] *= 0.9
    whole, parts = DriftTest(as_columns(reference), N), DriftTest(as_columns(reference), N)
    for row in images[:80]:
        whole.observe(as_columns(row))
        parts.observe(as_columns(row))
        parts = DriftTest.parse(json.loads(json.dumps(parts.as_dict())), N)
    assert parts.as_dict() == whole.as_dict()
    assert feed(parts, images[80:]) == feed(whole, images[80:]) is not None


def test_another_start_has_other_random_numbers() -> None:
    found = [DriftTest({"score": []}, N, start) for start in (0, 1)]
    for test in found:
        test.observe({"score": 1.0})
    assert found[0].as_dict()["sums"] != found[1].as_dict()["sums"]


@pytest.mark.parametrize(
    "changes",
    [
        {"sums": [[1.0]]},
        {"starts": [[float("nan")] * len(BETS)]},
        {"sums": [[-1.0] * len(BETS)]},
        {"separate": [[[1.0] * STARTS]]},
        {"images": -1},
        {"seen": {"score": {"values": [2.0, 1.0], "counts": [1, 1]}}},
    ],
)
def test_damaged_state(changes: Mapping[str, Any]) -> None:
    stored = DriftTest({"score": [1.0, 2.0]}, N).as_dict()
    assert DriftTest.parse(stored, N).as_dict() == stored
    with pytest.raises(ValueError):
        DriftTest.parse(stored | changes, N)
