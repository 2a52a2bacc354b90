"""Recalibrated thresholds: by hand, against MAPIE, and how often their bounds are exceeded."""

import numpy as np
import pytest
from mapie.risk_control import BinaryClassificationController

from cyclegan_ad.metrics.bounds import (
    allowed_events,
    calibration_bound,
    false_alarm_bound,
    images_needed,
    miss_rate_upper_bound,
    rate_bounds,
)
from cyclegan_ad.metrics.recalibration import (
    Aim,
    choose_threshold,
    choose_upper,
    count_zones,
    escapes_per_million,
    explain_too_few,
    plan_images,
)

ZERO = Aim("zero_misses", None, 0.95)


def test_bounds_of_all_counts_are_those_of_each() -> None:
    for images, confidence in ((1, 0.95), (7, 0.5), (40, 0.99)):
        each = [miss_rate_upper_bound(k, images, confidence) for k in range(images + 1)]
        np.testing.assert_allclose(rate_bounds(images, confidence), each, rtol=1e-12)
    with pytest.raises(ValueError, match="images=0"):
        rate_bounds(0)


def test_bounds_for_a_threshold_that_is_picked_by_looking() -> None:
    """Whoever looks may pick the one threshold whose bound is exceeded, if there is one."""
    scores = np.sort(np.random.default_rng(5).random((4000, 30)), axis=1)
    # The miss rate just below the k + 1-th smallest of uniform scores is that score.
    exceeded = (scores > rate_bounds(30, 0.9, any_threshold=True)[:30]).any(axis=1).mean()
    assert 0.02 < exceeded < 0.1
    alone = scores > rate_bounds(30, 0.9)[:30]
    assert alone.any(axis=1).mean() > 0.2  # so that the correction is needed
    assert np.abs(alone.mean(axis=0) - 0.1).max() < 4 * np.sqrt(0.09 / 4000)


def test_images_needed_are_the_fewest() -> None:
    assert images_needed(0.001) == 2995  # log(0.05) / log(0.999) = 2994.2
    for rate in (0.5, 0.05, 0.013, 0.001):
        for confidence in (0.5, 0.9, 0.95, 0.999):
            images = images_needed(rate, confidence)
            assert calibration_bound(images, confidence) <= rate
            assert images == 1 or calibration_bound(images - 1, confidence) > rate
            assert allowed_events(images, rate, confidence) == 0
            assert images == 1 or allowed_events(images - 1, rate, confidence) == -1


def test_zero_misses_by_hand() -> None:
    found = choose_threshold([5.0, 3.0, 4.0], [1.0, 9.0], ZERO)
    assert (found.threshold, found.position) == (3.0, 1)
    assert found.miss_rate_bound == pytest.approx(1 - 0.05 ** (1 / 3))
    assert found.miss_rate_expected == 1 / 4


def test_a_target_miss_rate_by_hand() -> None:
    # Of 93 images one may be missed at 5 %: 0.95^93 + 93 * 0.05 * 0.95^92 = 0.0500 - 0.0001.
    scores = np.arange(93.0)[::-1]
    found = choose_threshold(scores, [], Aim("miss_rate", 0.05, 0.95))
    assert (found.threshold, found.position) == (1.0, 91)
    assert found.miss_rate_bound is not None
    tail = (1 - found.miss_rate_bound) ** 93
    tail += 93 * found.miss_rate_bound * (1 - found.miss_rate_bound) ** 92
    assert tail == pytest.approx(0.05) and found.miss_rate_bound < 0.05
    assert found.miss_rate_expected == 2 / 94


def test_a_false_alarm_budget_by_hand() -> None:
    # 1/20 of 19 + 1 images: the largest normal score only, 9.
    normal = [9.0, *np.linspace(0, 1, 18)]
    found = choose_threshold([2.0, 9.0, 10.0, 11.0], normal, Aim("false_alarm_rate", 0.05, 0.95))
    assert found.position == 0 and 9.0 < found.threshold < 9.0 + 1e-12
    assert found.miss_rate_bound == miss_rate_upper_bound(2, 4)
    assert found.miss_rate_expected is None
    alone = choose_threshold([], normal, Aim("false_alarm_rate", 0.05, 0.95))
    assert alone.threshold == found.threshold
    assert alone.miss_rate_bound is None and alone.miss_rate_expected is None


@pytest.mark.parametrize(
    ("aim", "abnormal", "normal", "words"),
    [
        (ZERO, 0, 9, ["0 different abnormal images are", "1 is needed"]),
        (Aim("miss_rate", 0.01, 0.95), 298, 0, ["298", "miss_rate=0.01", "95 %", "299"]),
        (Aim("false_alarm_rate", 0.05, 0.9), 9, 18, ["18 different normal", "=0.05", "19"]),
    ],
)
def test_too_few_images(aim: Aim, abnormal: int, normal: int, words: list[str]) -> None:
    said = explain_too_few(aim, abnormal, normal)
    assert said is not None and all(word in said for word in words)
    with pytest.raises(ValueError, match="too few"):
        choose_threshold(np.zeros(abnormal), np.zeros(normal), aim)
    assert explain_too_few(aim, abnormal + 1, normal + 1) is None
    with pytest.raises(ValueError, match="finite"):
        choose_threshold(np.full(300, np.nan), np.zeros(300), aim)


def test_zones_and_tables_by_hand() -> None:
    upper, rejected = choose_upper([5.0, 1.0, 2.0, 3.0, 4.0], 0.0)
    assert rejected == 0 and 5.0 < upper < 5.1
    assert choose_upper(np.arange(100.0), 0.29)[1] == 29  # 0.29 * 100 = 28.999999999999996
    assert count_zones([1.0, 2.0, 3.0], 2.0, None) == {"pass": 1, "review": 0, "reject": 2}
    assert count_zones([], 2.0, 4.0) == {"pass": 0, "review": 0, "reject": 0}
    assert [row["missing"] for row in plan_images(60, 0.95)] == [0, 239, 2935]
    assert escapes_per_million(0.02, 0.5) == 10_000


@pytest.mark.filterwarnings("ignore::UserWarning:mapie")  # that all or no thresholds are valid
@pytest.mark.parametrize("images", [64, 128, 256])  # of which MAPIE's counts are exact
@pytest.mark.parametrize(("rate", "confidence"), [(0.05, 0.95), (0.1, 0.9), (0.25, 0.99)])
def test_mapie_chooses_the_same_threshold(images: int, rate: float, confidence: float) -> None:
    """MAPIE tests thresholds from the lowest up (fixed sequence), each by a binomial tail."""
    random = np.random.default_rng(images)
    for _ in range(3):
        abnormal = random.random(images)
        controller = BinaryClassificationController(
            predict_function=lambda x: np.column_stack([1 - x, x]),
            risk="recall",
            target_level=1 - rate,
            confidence_level=confidence,
            list_predict_params=np.sort(abnormal),
            fwer_method="fixed_sequence",
        )
        controller.calibrate(abnormal, np.ones(images, dtype=int))
        aim = Aim("miss_rate", rate, confidence)
        if explain_too_few(aim, images, 0) is not None:
            assert len(controller.valid_predict_params) == 0
            continue
        found = choose_threshold(abnormal, [], aim)
        assert found.threshold == np.max(controller.valid_predict_params)


@pytest.mark.filterwarnings("ignore::UserWarning:mapie")  # that all or no thresholds are valid
def test_mapie_bounds_false_alarms_alike() -> None:
    """Our bound of a rank is the smallest level at which MAPIE accepts its threshold."""
    normal = np.arange(128) / 128
    for rank in (1, 2, 7):
        threshold = np.sort(normal)[::-1][rank - 1] + 1e-9
        bound = false_alarm_bound(rank, normal.size, 0.95)
        for level, accepted in ((bound * 1.001, True), (bound * 0.999, False)):
            controller = BinaryClassificationController(
                predict_function=lambda x: np.column_stack([1 - x, x]),
                risk="fpr",
                target_level=float(level),
                confidence_level=0.95,
                list_predict_params=np.array([threshold]),
            )
            controller.calibrate(normal, np.zeros(normal.size, dtype=int))
            assert (len(controller.valid_predict_params) == 1) is accepted


@pytest.mark.parametrize(
    "aim",
    [
        ZERO,
        Aim("zero_misses", None, 0.8),
        Aim("miss_rate", 0.1, 0.9),
        Aim("false_alarm_rate", 0.1, 0.9),
    ],
)
def test_bounds_are_exceeded_as_rarely_as_they_say(aim: Aim) -> None:
    """Abnormal scores are uniform on [0, 1]: the miss rate of a threshold is the threshold."""
    random = np.random.default_rng(3)
    times, exceeded, rates = 4000, 0, []
    for _ in range(times):
        abnormal, normal = random.random(60), random.normal(0.0, 0.3, 40)
        found = choose_threshold(abnormal, normal, aim)
        rate = min(max(found.threshold, 0.0), 1.0)
        assert found.miss_rate_bound is not None
        exceeded += rate > found.miss_rate_bound
        rates.append(rate - (found.miss_rate_expected or 0.0))
    allowed = 1 - aim.confidence
    noise = 3 * np.sqrt(allowed * aim.confidence / times)
    assert exceeded / times <= allowed + noise
    if aim.name != "false_alarm_rate":  # whose count is discrete, so that its bound is wider
        assert exceeded / times >= allowed - noise
        assert abs(np.mean(rates)) < 4 * np.std(rates) / np.sqrt(times)


@pytest.mark.parametrize("limit", [0.02, 0.05, 0.2])
def test_a_lower_limit_from_elsewhere_keeps_the_bound(limit: float) -> None:
    """Such as the score of an escape that was reported before these images were taken."""
    random = np.random.default_rng(4)
    aim = Aim("miss_rate", 0.1, 0.9)
    exceeded = 0
    for _ in range(4000):
        found = choose_threshold(random.random(60), [], aim)
        assert found.miss_rate_bound is not None
        exceeded += min(found.threshold, limit) > found.miss_rate_bound
    assert exceeded / 4000 <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 4000)
