"""The threshold from normal images alone."""

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta

from cyclegan_ad.metrics.bounds import false_alarm_bound
from cyclegan_ad.metrics.quantile import false_alarm_rank, least_images, quantile


def decide(scores: Any, groups: Any = None, **changed: Any) -> dict[str, Any]:
    settings = {"false_alarm_rate": 0.2, "confidence": 0.95} | changed
    return quantile(scores, groups or [str(i) for i in range(len(scores))], **settings)


def test_hand_worked() -> None:
    # 9 images at 20 %: k = 2, as 2 / 10 = 20 %; just above the second largest, which is 8.
    found = decide([3.0, 9.0, 1.0, 8.0, 2.0, 4.0, 5.0, 6.0, 7.0])
    assert found["thresholds"] == [math.nextafter(8.0, math.inf)]
    assert (found["rank"], found["normal"], found["different"], found["abnormal"]) == (2, 9, 9, 0)
    assert found["false_alarm_rate_target"] == 0.2
    assert found["false_alarm_rate_expected"] == 0.2
    # The rate x is exceeded if at most one of 9 scores lies above it: (1-x)^9 + 9x(1-x)^8 = 0.05.
    x = found["false_alarm_rate_bound"]
    assert (1 - x) ** 9 + 9 * x * (1 - x) ** 8 == pytest.approx(0.05)
    assert json.loads(json.dumps(found)) == found
    # 8 is no false alarm, 9 is.
    assert [score >= found["thresholds"][0] for score in (8.0, 9.0)] == [False, True]


def test_images_of_a_group_count_once_with_their_highest_score() -> None:
    found = decide([9.0, 2.0, 8.0, 8.0, 1.0], ["a", "a", "b", "b", "c"], false_alarm_rate=0.5)
    assert (found["normal"], found["different"], found["rank"]) == (5, 3, 2)
    assert found["thresholds"] == [math.nextafter(8.0, math.inf)]
    assert found["false_alarm_rate_bound"] == false_alarm_bound(2, 3)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 0.29, 0.4])
def test_the_least_number_of_images(rate: float) -> None:
    least = least_images(rate)
    assert false_alarm_rank(least, rate) >= 1
    assert false_alarm_rank(least - 1, rate) == 0
    with pytest.raises(ValueError, match=f"at least {least}"):
        decide(list(range(least - 1)), false_alarm_rate=rate)


@pytest.mark.parametrize(("images", "rate", "rank"), [(99, 0.29, 29), (19, 0.05, 1), (99, 0.07, 7)])
def test_rates_that_floating_point_cannot_hold(images: int, rate: float, rank: int) -> None:
    assert false_alarm_rank(images, rate) == rank


def test_the_expected_rate_is_that_of_exchangeable_images() -> None:
    # Uniform scores: the rate of false alarms is 1 - threshold.
    drawn = np.random.default_rng(0).random((4000, 29))
    rates = [1 - decide(scores, false_alarm_rate=0.1)["thresholds"][0] for scores in drawn]
    found = decide(drawn[0], false_alarm_rate=0.1)
    assert (found["rank"], found["false_alarm_rate_expected"]) == (3, 0.1)
    assert np.mean(rates) == pytest.approx(0.1, abs=4 * np.std(rates) / math.sqrt(len(rates)))
    held = np.mean(np.array(rates) <= found["false_alarm_rate_bound"])
    assert held == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / len(rates)))


def test_ties_are_passed_and_make_the_bound_conservative() -> None:
    found = decide([1.0] * 5 + [2.0] * 4)
    assert found["thresholds"] == [math.nextafter(2.0, math.inf)]


@pytest.mark.parametrize("scores", [[], [1.0, math.nan], [[1.0]]])
def test_scores_that_are_not_numbers_are_refused(scores: Any) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        decide(scores)


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(("rank", "images"), [(1, 1), (1, 59), (3, 40), (40, 40)])
def test_the_bound_is_a_quantile_of_the_beta_distribution(
    rank: int, images: int, confidence: float
) -> None:
    expected = beta.ppf(confidence, rank, images - rank + 1)
    assert false_alarm_bound(rank, images, confidence) == pytest.approx(expected)


def test_bounds_by_hand() -> None:
    assert false_alarm_bound(1, 1, 0.9) == pytest.approx(0.9)  # a uniform rate
    assert false_alarm_bound(2, 2, 0.81) == pytest.approx(0.9)  # the larger of two: x^2


@pytest.mark.parametrize(("rank", "images"), [(0, 5), (6, 5), (1, 0)])
def test_ranks_out_of_range_are_refused(rank: int, images: int) -> None:
    with pytest.raises(ValueError, match=f"rank={rank} for images={images}"):
        false_alarm_bound(rank, images)
