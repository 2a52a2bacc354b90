import math

import numpy as np
import pytest
from scipy.stats import binomtest

from cyclegan_ad.metrics.bounds import calibration_bound, miss_rate_upper_bound
from cyclegan_ad.metrics.protocols import apply_margin


def bound_by_bisection(misses: int, images: int, confidence: float) -> float:
    """The rate at which so few misses are as improbable as 1 - confidence, from the tail alone."""
    low, high = misses / images, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        tail = math.fsum(
            math.comb(images, k) * middle**k * (1 - middle) ** (images - k)
            for k in range(misses + 1)
        )
        low, high = (middle, high) if tail > 1 - confidence else (low, middle)
    return low


def test_bounds_of_the_issue() -> None:
    assert miss_rate_upper_bound(0, 35) == pytest.approx(0.0820, abs=5e-5)
    assert miss_rate_upper_bound(0, 299) == pytest.approx(0.00997, abs=5e-6)


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(("misses", "images"), [(0, 1), (0, 35), (1, 2), (2, 49), (48, 49)])
def test_miss_rate_bound_is_that_of_the_binomial_tail(
    misses: int, images: int, confidence: float
) -> None:
    bound = miss_rate_upper_bound(misses, images, confidence)
    assert bound == pytest.approx(bound_by_bisection(misses, images, confidence), rel=1e-9)
    # An exact interval of scipy's own, two-sided, of which each side has half of the rest.
    two_sided = binomtest(misses, images).proportion_ci(confidence, method="exact").high
    assert miss_rate_upper_bound(misses, images, (1 + confidence) / 2) == pytest.approx(two_sided)


@pytest.mark.parametrize("images", [1, 3, 35, 299, 100_000])
def test_without_misses_the_bound_has_a_closed_form(images: int) -> None:
    closed = 1 - 0.05 ** (1 / images)
    assert miss_rate_upper_bound(0, images) == pytest.approx(closed, rel=1e-9)
    assert calibration_bound(images) == pytest.approx(closed, rel=1e-9)
    assert calibration_bound(images, 0.8) == pytest.approx(miss_rate_upper_bound(0, images, 0.8))


def test_no_bound_if_every_image_was_missed() -> None:
    assert miss_rate_upper_bound(3, 3) == 1.0


@pytest.mark.parametrize(("misses", "images"), [(0, 0), (-1, 3), (4, 3)])
def test_impossible_counts_are_refused(misses: int, images: int) -> None:
    with pytest.raises(ValueError, match=rf"misses={misses} for images={images}:"):
        miss_rate_upper_bound(misses, images)


def test_calibration_without_images_is_refused() -> None:
    with pytest.raises(ValueError, match="images=0"):
        calibration_bound(0)


@pytest.mark.parametrize("images", [1, 10, 35])
def test_calibration_bound_holds_in_95_of_100_calibrations(images: int) -> None:
    # Scores of a known distribution: the future miss rate is its distribution function.
    trials = 20_000
    drawn = np.random.default_rng(images).standard_exponential((trials, images)).min(axis=1)
    miss_rate = -np.expm1(-drawn)
    held = np.count_nonzero(miss_rate <= calibration_bound(images)) / trials
    assert held == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / trials))


def test_calibration_bound_is_conservative_with_ties_and_with_a_margin() -> None:
    trials, images = 20_000, 10
    whole = np.random.default_rng(0).geometric(0.2, (trials, images)).min(axis=1)
    miss_rate = 1 - 0.8 ** (whole - 1)  # P(score < threshold)
    held = np.count_nonzero(miss_rate <= calibration_bound(images)) / trials
    assert held > 0.96
    lowered = np.array([apply_margin(float(value), 0.5) for value in whole])
    assert np.all(1 - 0.8 ** (np.ceil(lowered) - 1) <= miss_rate)
