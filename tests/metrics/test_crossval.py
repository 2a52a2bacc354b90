import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from cyclegan_ad.metrics.bounds import calibration_bound
from cyclegan_ad.metrics.crossval import (
    confident_miss_rate,
    crossval,
    deal_folds,
    guaranteed_miss_rate,
)
from cyclegan_ad.metrics.protocols import calibrated
from cyclegan_ad.metrics.wording import explain


def decide(held_out: Any, fold_of: Any, scores: Any, labels: Any, **changed: Any) -> dict[str, Any]:
    settings = {"margin": 0.0, "confidence": 0.95, "groups": [f"g{i}" for i in range(len(fold_of))]}
    settings |= changed
    groups = settings.pop("groups")
    return crossval(held_out, fold_of, groups, scores, labels, **settings)


# The rule


def test_crossval_hand_worked() -> None:
    # Fold 0 holds 5 and 7, fold 1 holds 3. Image by image, with the scores of both models:
    # normal (4, 2): below 5 and below 3, passes. Normal (4, 3): 3 is a tie, a false alarm.
    # Abnormal (4.9, 2.9): missed. Abnormal (4, 8) and (6, 1): found by one fold each.
    scores = [[4.0, 4.0, 4.9, 4.0, 6.0], [2.0, 3.0, 2.9, 8.0, 1.0]]
    found = decide([5.0, 7.0, 3.0], [0, 0, 1], scores, [0, 0, 1, 1, 1])
    assert found["thresholds"] == [5.0, 3.0]
    assert (found["misses"], found["abnormal"]) == (1, 3)
    assert (found["false_alarms"], found["normal"]) == (1, 2)
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert (found["calibration_abnormal"], found["folds"], found["largest_fold"]) == (3, 2, 2)
    assert found["miss_rate_expected"] == 1 / 4
    # Sizes 2 and 1: the larger fold gives 1/3; no two folds are of one size: 1/2.
    assert (found["miss_rate_guaranteed"], found["guaranteed_by"]) == (1 / 3, "one fold")
    assert found["miss_rate_bound"] == pytest.approx(1 - math.sqrt(0.05))
    assert found["miss_rate_approximate"] == pytest.approx(1 - 0.05 ** (1 / 3))


def test_a_margin_lowers_each_threshold() -> None:
    scores, labels = [[4.0, 4.6], [9.0, 1.0]], [0, 1]
    found = decide([5.0, 10.0], [0, 1], scores, labels, margin=0.1)
    assert found["thresholds"] == [4.5, 9.0]
    assert (found["misses"], found["false_alarms"]) == (0, 1)


@pytest.mark.parametrize("seed", range(4))
def test_crossval_equals_a_loop_over_pairs_of_images(seed: int) -> None:
    rng = np.random.default_rng(seed)
    fold_of = rng.permutation(np.arange(23) % 4)
    held_out, scores = rng.integers(3, 30, 23), rng.integers(0, 30, (4, 40))  # with ties
    labels = rng.permutation(np.repeat([0, 1], 20))
    misses = alarms = 0
    for x in range(40):
        passes = all(scores[fold_of[i], x] < held_out[i] for i in range(23))
        misses += passes and labels[x] == 1
        alarms += not passes and labels[x] == 0
    found = decide(held_out, fold_of, scores, labels)
    assert (found["misses"], found["false_alarms"]) == (misses, alarms)


def test_one_fold_is_the_calibrated_protocol() -> None:
    rng = np.random.default_rng(3)
    kept, scores, labels = rng.normal(2, 1, 12), rng.normal(0, 2, 30), np.repeat([0, 1], 15)
    groups = [f"g{i % 9}" for i in range(12)]  # three copies
    other = calibrated(kept, scores, labels, calibration_groups=groups, margin=0.0, confidence=0.9)
    found = decide(kept, [0] * 12, [scores], labels, groups=groups, confidence=0.9)
    assert {name: found[name] for name in other} == other
    assert found["miss_rate_guaranteed"] == found["miss_rate_expected"] == 1 / 10
    assert found["miss_rate_approximate"] == found["miss_rate_bound"]


@pytest.mark.parametrize(
    "changed",
    [
        {"held_out": []},
        {"held_out": [1.0, math.nan]},
        {"fold_of": [0, 2]},
        {"fold_of": [0, 0]},  # two rows of scores
        {"groups": ["a", "a"]},  # in two folds
        {"groups": ["a"]},
        {"scores": [[1.0, 2.0], [1.0, math.inf]]},
        {"scores": [1.0, 2.0]},
    ],
)
def test_inconsistent_input_is_refused(changed: dict[str, Any]) -> None:
    given: dict[str, Any] = {
        "held_out": [1.0, 2.0],
        "fold_of": [0, 1],
        "scores": [[1.0, 2.0], [1.0, 2.0]],
        "labels": [0, 1],
    }
    decide(**given)
    with pytest.raises(ValueError):
        decide(**(given | changed))


# The bounds


@pytest.mark.parametrize(
    ("sizes", "expected", "by"),
    [
        ([5], Fraction(1, 6), "one fold"),
        ([1] * 5, Fraction(1, 6), "tournament"),
        ([2] * 5, Fraction(1, 6), "tournament"),
        ([4] * 2, Fraction(1, 5), "one fold"),
        ([11] * 6 + [10] * 4, Fraction(1, 12), "one fold"),
        ([2] * 6 + [1] * 9, Fraction(1, 10), "tournament"),  # nine folds of one image
        ([2, 1], Fraction(1, 3), "one fold"),
    ],
)
def test_guaranteed_miss_rate(sizes: list[int], expected: Fraction, by: str) -> None:
    assert guaranteed_miss_rate(sizes) == (float(expected), by)


@pytest.mark.parametrize("sizes", [[], [3, 0]])
def test_an_empty_fold_has_no_bound(sizes: list[int]) -> None:
    with pytest.raises(ValueError, match="sizes"):
        guaranteed_miss_rate(sizes)


def test_theorem_4_of_barber_is_never_smaller() -> None:
    for size, folds in itertools.product(range(1, 40), range(2, 40)):
        n = size * folds
        theorem = 2 / (n + 1) + min(
            2 * (1 - 1 / folds) / (n / folds + 1), (1 - folds / n) / (folds + 1)
        )
        assert guaranteed_miss_rate([size] * folds)[0] <= theorem


def test_confident_miss_rate_is_the_smaller_of_its_two_bounds() -> None:
    # 2 folds of 40: the fold, whose 40 images are all above the quantile x with (1 - x)^40.
    x = confident_miss_rate([40, 40], 0.95)
    assert binom.pmf(0, 40, x) == pytest.approx(0.05)
    # Folds of one image: Markov, 20 times the mean.
    assert confident_miss_rate([1] * 99, 0.95) == pytest.approx(0.2)
    assert confident_miss_rate([1] * 3, 0.95) == pytest.approx(calibration_bound(1, 0.95))


@pytest.mark.parametrize("sizes", [[1, 1, 1, 1], [2, 2, 1], [3, 2], [2, 1, 1]])
def test_in_any_tournament_the_winners_are_of_one_fold(sizes: list[int]) -> None:
    """The step of the proof, over all outcomes of all pairs of images of different folds."""
    fold_of = np.repeat(np.arange(len(sizes)), sizes).tolist()
    pairs = [
        p for p in itertools.combinations(range(len(fold_of)), 2) if fold_of[p[0]] != fold_of[p[1]]
    ]
    for beaten in itertools.product((0, 1, None), repeat=len(pairs)):  # None: a tie, both lose
        losers = {
            i
            for pair, who in zip(pairs, beaten, strict=True)
            for i in (pair if who is None else [pair[who]])
        }
        assert len({fold_of[i] for i in set(range(len(fold_of))) - losers}) <= 1


def nearest(train: Any, points: Any) -> Any:
    """A method that remembers its abnormal training images: minus the distance to the nearest."""
    return -np.abs(points[:, None] - train[None]).min(axis=1)


def share_missed(sizes: list[int], draws: int, rng: np.random.Generator) -> tuple[float, float]:
    """Mean miss rate of the rule over draws of one new image, and its standard error."""
    fold_of, missed = np.repeat(np.arange(len(sizes)), sizes), 0
    for _ in range(draws):
        images, new = rng.standard_t(2, len(fold_of)), rng.standard_t(2, 1)
        missed += all(
            (nearest(images[fold_of != k], new) < nearest(images[fold_of != k], held_out)).all()
            for k in range(len(sizes))
            for held_out in [images[fold_of == k]]
        )
    rate = missed / draws
    return rate, math.sqrt(max(rate, 1 / draws) * (1 - rate) / draws)


@pytest.mark.parametrize("sizes", [[1] * 6, [2] * 3, [3] * 2, [3, 3, 2, 2, 2], [4, 1, 1]])
def test_the_guarantee_holds_for_a_method_that_overfits(sizes: list[int]) -> None:
    rate, error = share_missed(sizes, 1500, np.random.default_rng(sum(sizes) * 10 + len(sizes)))
    assert 0 < rate <= guaranteed_miss_rate(sizes)[0] + 3 * error


def test_folds_of_one_image_reach_their_bound_if_the_model_ignores_its_training() -> None:
    # The same score for each fold: the rule is the smallest of n exchangeable scores, 1 / (n + 1).
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(20000, 5))
    rate = (drawn[:, 4] < drawn[:, :4].min(axis=1)).mean()
    assert rate == pytest.approx(guaranteed_miss_rate([1] * 4)[0], abs=0.01)


# Folds and words


@pytest.mark.parametrize("folds", [1, 3, 7, 20])
def test_folds_are_even_and_keep_groups(folds: int) -> None:
    groups = [f"g{i // 2 if i < 8 else i}" for i in range(24)]  # 20 groups, four of two images
    dealt = deal_folds(groups, folds, seed=1)
    pairs = set(zip(groups, dealt, strict=True))
    sizes = np.bincount([fold for _, fold in pairs], minlength=folds)
    assert len(pairs) == 20 and sizes.max() - sizes.min() <= 1
    turned = deal_folds(groups[::-1], folds, seed=1)
    assert turned[::-1] == dealt
    assert folds in (1, 20) or deal_folds(groups, folds, seed=2) != dealt


@pytest.mark.parametrize("folds", [0, 4])
def test_more_folds_than_groups(folds: int) -> None:
    with pytest.raises(ValueError, match=f"folds={folds}"):
        deal_folds(["a", "b", "c", "a"], folds, seed=0)


def test_words_of_one_model() -> None:
    found = decide([5.0, 7.0, 6.0], [0, 0, 0], [[1.0, 9.0]], [0, 1])
    text = explain(found)
    assert "Threshold 5 was set at the smallest score of 3 abnormal training images (n)" in text
    assert "25.0 %, 1/(n + 1)" in text and "below 63.2 % with 95 % confidence" in text
    assert "None" not in text.partition("The 1 abnormal")[0]


@pytest.mark.parametrize(
    ("fold_of", "source"),
    [
        ([0, 0, 0, 1, 1], "1/(3 + 1) from the 3 in the largest"),
        ([0, 1, 2, 3, 4], "CV+ of Barber et al."),
    ],
)
def test_words_of_several_fits(fold_of: list[int], source: str) -> None:
    folds = max(fold_of) + 1
    found = decide([5.0] * 5, fold_of, [[1.0, 9.0, 2.0]] * folds, [0, 1, 1])
    text = explain(found)
    assert f"without its fold, one of {folds}" in text and source in text
    rate = 25.0 if folds == 2 else 16.7
    assert f"guaranteed on average over such fits is {rate} %" in text
    assert "about 16.7 %, 1/(n + 1)" in text and "1 of 2 abnormal test images was missed" in text
    assert "\n" not in text and text.isascii()
