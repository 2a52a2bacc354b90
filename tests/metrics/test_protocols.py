import hashlib
import json
import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from cyclegan_ad.metrics.bounds import calibration_bound, miss_rate_upper_bound
from cyclegan_ad.metrics.protocols import _assign_folds, apply_margin, calibrated, crossfit
from cyclegan_ad.metrics.thresholds import accuracy_at, max_accuracy_threshold
from cyclegan_ad.metrics.wording import PAPER_PROTOCOL, explain


def names(count: int) -> list[str]:
    return [hashlib.sha256(str(i).encode()).hexdigest() for i in range(count)]


def cross(scores: Any, labels: Any, groups: Any, **changed: Any) -> dict[str, Any]:
    settings = {"folds": 5, "seed": 0, "margin": 0.0, "confidence": 0.95} | changed
    return crossfit(scores, labels, groups, **settings)


def calibrate(kept: Any, scores: Any, labels: Any, **changed: Any) -> dict[str, Any]:
    settings = {"margin": 0.0, "confidence": 0.95, "calibration_groups": names(len(kept))}
    return calibrated(kept, scores, labels, **(settings | changed))


# Margin


def test_margin_lowers_a_threshold_by_a_part_of_it() -> None:
    assert apply_margin(12.0, 0.25) == 9.0
    assert apply_margin(0.1, 0.0) == 0.1
    assert apply_margin(0.0, 0.5) == 0.0
    assert apply_margin(-4.0, 0.5) == -6.0  # lower, not nearer to 0


# Crossfit


def test_crossfit_hand_worked() -> None:
    # Two images of each class and two folds: each image is judged by the other one of its class.
    # Abnormal 5 and 8: 5 is missed at 8, 8 is found at 5. Normal 1 and 6: one of them shares the
    # fold of 5 and is judged at 8, so neither 1 nor 6 is a false alarm there; 6 at 5 would be.
    scores, labels, groups = [5.0, 8.0, 1.0, 6.0], [1, 1, 0, 0], ["a", "b", "c", "d"]
    seen = set()
    for seed in range(20):
        found = cross(scores, labels, groups, folds=2, seed=seed)
        assert sorted(found["thresholds"]) == [5.0, 8.0]
        assert (found["misses"], found["abnormal"], found["normal"]) == (1, 2, 2)
        assert found["calibration_abnormal"] == 1
        assert found["miss_rate"] == 0.5
        assert found["miss_rate_bound"] == pytest.approx(0.95)
        assert found["false_alarm_rate"] == found["false_alarms"] / 2
        assert found["accuracy"] == (3 - found["false_alarms"]) / 4
        seen.add((found["false_alarms"], found["max_accuracy"]))
    # 6 with 5: both judged by (8, 1): 5 and 6 below 8; the others by (5, 6), where 5 is the best
    # threshold: 8 found, 1 passed -> 0 false alarms, 3/4. 6 with 8: both judged by (5, 1) at 5,
    # 6 a false alarm; the others by (8, 6) at 8: 5 missed, 1 passed -> 1 false alarm, 2/4.
    assert seen == {(0, 0.75), (1, 0.5)}


def random_case(seed: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([0, 1], [23, 17]))
    return rng.gamma(2.0 + 2 * labels), labels, names(40)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("margin", [0.0, 0.1])
def test_crossfit_equals_a_loop_over_images(seed: int, margin: float) -> None:
    scores, labels, groups = random_case(seed)
    found = cross(scores, labels, groups, seed=seed, margin=margin)
    fold_of = _assign_folds(groups, labels == 1, 5, seed)
    misses = false_alarms = right = 0
    for i in range(40):
        others = [j for j in range(40) if fold_of[j] != fold_of[i]]
        threshold = min(scores[j] for j in others if labels[j] == 1) * (1 - margin)
        assert found["thresholds"][fold_of[i]] == pytest.approx(threshold, rel=1e-12)
        misses += labels[i] == 1 and scores[i] < threshold
        false_alarms += labels[i] == 0 and scores[i] >= threshold
        best = max(
            sorted(scores[j] for j in others),
            key=lambda t: sum((scores[j] >= t) == (labels[j] == 1) for j in others),
        )
        right += (scores[i] >= best) == (labels[i] == 1)
    assert (found["misses"], found["false_alarms"]) == (misses, false_alarms)
    assert found["accuracy"] == pytest.approx(1 - (misses + false_alarms) / 40)
    assert found["max_accuracy"] == right / 40
    assert found["calibration_abnormal"] == 13  # 17 in five folds: 3 or 4 each
    # Only the fold of the lowest abnormal image has another threshold than the rest, so without
    # a margin that image is missed.
    assert len(set(found["thresholds"])) == 2
    assert margin > 0 or found["misses"] >= 1


@pytest.mark.parametrize("seed", range(5))
def test_folds_are_even_in_both_classes(seed: int) -> None:
    _, labels, groups = random_case(seed)
    groups[3] = groups[30] = groups[17]  # a file three times
    fold_of = _assign_folds(groups, labels == 1, 5, seed)
    assert fold_of[3] == fold_of[30] == fold_of[17]
    for label in (0, 1):
        sizes = np.bincount(fold_of[labels == label], minlength=5)
        assert sizes.max() - sizes.min() <= 1


def test_as_many_folds_as_images_is_leave_one_out() -> None:
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], 8)
    scores = rng.gamma(2.0 + 2 * labels)
    groups = names(16)
    # With 8 folds of one image of each class, whatever the pairs: only the fold of the lowest
    # abnormal image has a higher threshold, and only that image is missed.
    found = cross(scores, labels, groups, folds=8)
    assert len(found["thresholds"]) == 8
    assert found["misses"] == 1
    lowest, second = np.sort(scores[8:])[:2]
    assert sorted(found["thresholds"]) == [lowest] * 7 + [second]


def test_miss_rate_of_crossfit_is_that_of_chance_whatever_the_score() -> None:
    # The words of explain rest on this: 40 abnormal images, 32 in the other folds, each missed
    # with probability 1/33, for a score that separates the classes and for one that does not.
    labels, groups = np.repeat([0, 1], 40), names(80)
    for shift in (0.0, 20.0):
        misses = [
            cross(
                np.random.default_rng(trial).gamma(2.0, size=80) + shift * labels,
                labels,
                groups,
                seed=trial,
            )["misses"]
            for trial in range(300)
        ]
        assert np.mean(misses) == pytest.approx(40 / 33, abs=0.1)


def test_crossfit_does_not_depend_on_the_order_of_the_images() -> None:
    scores, labels, groups = random_case(0)
    order = np.random.default_rng(1).permutation(40)
    again = cross(scores[order], labels[order], [groups[i] for i in order])
    assert again == cross(scores, labels, groups)


def test_folds_depend_on_the_seed_alone_of_the_settings() -> None:
    scores, labels, groups = random_case(0)
    found = [cross(scores, labels, groups, seed=seed) for seed in range(8)]
    assert cross(scores, labels, groups, seed=3) == found[3]
    assert len({json.dumps(one) for one in found}) > 1


def test_byte_identical_images_share_a_fold() -> None:
    # The two lowest abnormal images are one file. Judged by its twin it would never be missed;
    # here both are, at the threshold of the third.
    scores = [1.0, 1.0, 3.0, 4.0, 5.0, 0.0, 0.5, 0.6, 0.7]
    labels = [1, 1, 1, 1, 1, 0, 0, 0, 0]
    groups = ["twin", "twin", "c", "d", "e", "f", "g", "h", "i"]
    for seed in range(10):
        found = cross(scores, labels, groups, folds=4, seed=seed)
        assert found["misses"] == 2
        # 4 different files in 4 folds: each threshold has seen 3 of them.
        assert (found["calibration_abnormal"], found["abnormal"]) == (3, 5)
        assert sorted(found["thresholds"]) == [1.0, 1.0, 1.0, 3.0]


def test_one_file_in_both_classes_stays_in_one_fold() -> None:
    scores = [1.0, 1.0, 3.0, 4.0, 0.5, 0.6]
    labels = [1, 0, 1, 1, 0, 0]
    groups = ["both", "both", "c", "d", "e", "f"]
    for seed in range(10):
        found = cross(scores, labels, groups, folds=3, seed=seed)
        assert found["calibration_abnormal"] == 2
        assert (found["misses"], found["false_alarms"]) == (1, 0)  # both judged at 3


@pytest.mark.parametrize(("folds", "made"), [(5, 3), (2, 2)])
def test_folds_are_no_more_than_the_groups_of_a_class(folds: int, made: int) -> None:
    scores = np.arange(10.0)
    labels = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]
    groups = [*"abcdef", "g", "g", "h", "i"]
    assert len(cross(scores, labels, groups, folds=folds)["thresholds"]) == made


@pytest.mark.parametrize(
    ("labels", "named"), [([0, 0, 1, 1], "abnormal"), ([1, 1, 0, 0], "normal")]
)
def test_a_class_of_one_file_is_refused(labels: list[int], named: str) -> None:
    with pytest.raises(ValueError, match=f"1 different {named} image: expected at least 2"):
        cross([1.0, 2.0, 3.0, 4.0], labels, ["a", "b", "c", "c"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": ["a"]}, "1 group but 4 scores"),
        ({"scores": [1.0, float("nan"), 3.0, 4.0]}, "position 1"),
        ({"labels": [0, 0, 1, 2]}, "invalid labels"),
    ],
)
def test_wrong_input_of_crossfit_is_refused(change: dict[str, Any], message: str) -> None:
    good = {"scores": [1.0, 2.0, 3.0, 4.0], "labels": [0, 0, 1, 1], "groups": list("abcd")}
    with pytest.raises(ValueError, match=message):
        cross(**(good | change))


def test_max_accuracy_of_crossfit_uses_the_other_folds_only() -> None:
    # Leave-one-out by pairs, computed anew for every pairing that the folds may have drawn.
    scores, labels, groups = [1.0, 5.0, 2.0, 4.0], [0, 0, 1, 1], list("abcd")
    possible = set()
    for pairing in ([(0, 2), (1, 3)], [(0, 3), (1, 2)]):
        right = 0.0
        for judged, others in (pairing, pairing[::-1]):
            threshold = max_accuracy_threshold([scores[i] for i in others], [0, 1])
            right += 2 * accuracy_at([scores[i] for i in judged], [0, 1], threshold)
        possible.add(right / 4)
    found = {cross(scores, labels, groups, folds=2, seed=s)["max_accuracy"] for s in range(20)}
    assert found == possible


# Calibrated


def test_calibrated_hand_worked() -> None:
    found = calibrate([4.0, 2.0, 3.0], [1.0, 2.0, 5.0, 1.5, 2.0, 0.0, 9.0], [1, 1, 1, 0, 0, 0, 0])
    assert found == {
        "thresholds": [2.0],
        "margin": 0.0,
        "confidence": 0.95,
        "calibration_abnormal": 3,
        "calibration_images": 3,
        "abnormal": 3,
        "normal": 4,
        "misses": 1,  # 1; the abnormal 2 ties with the threshold and is found
        "false_alarms": 2,  # 2 and 9
        "miss_rate": 1 / 3,
        "false_alarm_rate": 0.5,
        "accuracy": 1 - 3 / 7,
        "independent": {"abnormal": 3, "normal": 4, "misses": 1, "false_alarms": 2},
        "miss_rate_bound": pytest.approx(1 - 0.05 ** (1 / 3)),
        "max_accuracy": None,
    }


def test_margin_trades_a_miss_for_a_false_alarm() -> None:
    found = calibrate([4.0, 2.0], [1.0, 5.0, 1.5, 0.5], [1, 1, 0, 0], margin=0.5)
    assert found["thresholds"] == [1.0]
    assert (found["misses"], found["false_alarms"]) == (0, 1)
    assert found["miss_rate_bound"] == pytest.approx(1 - math.sqrt(0.05))


def test_copies_of_a_calibration_image_count_once() -> None:
    found = calibrate([2.0, 2.0, 3.0], [1.0, 5.0], [0, 1], calibration_groups=["a", "a", "b"])
    assert found["calibration_abnormal"] == 2
    assert found["miss_rate_bound"] == pytest.approx(1 - math.sqrt(0.05))
    with pytest.raises(ValueError, match="1 group but 2"):
        calibrate([2.0, 3.0], [1.0, 5.0], [0, 1], calibration_groups=["a"])


@pytest.mark.parametrize("kept", [[], [float("nan")], [1.0, float("inf")], [[1.0]]])
def test_wrong_calibration_scores_are_refused(kept: list[Any]) -> None:
    with pytest.raises(ValueError, match="calibration_scores"):
        calibrate(kept, [1.0, 5.0], [0, 1])


def test_wrong_test_scores_are_refused() -> None:
    with pytest.raises(ValueError, match="no abnormal image"):
        calibrate([1.0], [1.0, 5.0], [0, 0])


@pytest.mark.parametrize("protocol", ["crossfit", "calibrated"])
def test_decisions_survive_json(protocol: str) -> None:
    scores, labels, groups = random_case(0)
    found = (
        cross(scores, labels, groups)
        if protocol == "crossfit"
        else calibrate(np.float32([3.0, 4.0]), scores, labels)
    )
    again = json.loads(json.dumps(found))
    assert again == found
    assert {type(value) for value in found.values()} <= {list, dict, float, int, type(None)}
    assert explain(again) == explain(found)


# Words


def counted(**changed: Any) -> dict[str, Any]:
    """Decisions with counts of one's choice."""
    counts = {"calibration_abnormal": 35, "abnormal": 49, "misses": 0, "false_alarms": 5}
    decisions = {"thresholds": [12.3], "margin": 0.0, "confidence": 0.95, "normal": 49}
    found: dict[str, Any] = decisions | counts | changed
    named = ("abnormal", "normal", "misses", "false_alarms")
    found = {
        "independent": {name: found[name] for name in named},
        "calibration_images": found["calibration_abnormal"],
    } | found
    return found | {
        "miss_rate": found["misses"] / found["abnormal"],
        "false_alarm_rate": found["false_alarms"] / found["normal"],
        "accuracy": 1
        - (found["misses"] + found["false_alarms"]) / (found["abnormal"] + found["normal"]),
        "miss_rate_bound": calibration_bound(found["calibration_abnormal"], found["confidence"]),
        "max_accuracy": None,
    }


def test_words_for_calibrated() -> None:
    assert explain(counted()) == (
        "Threshold 12.3 was set at the smallest score of 35 abnormal images kept out of training; "
        "this supports a miss rate below 8.2 % with 95 % confidence, on similar images. None of 49 "
        "abnormal test images was missed (0.0 %; this count alone supports a rate below 5.9 %); 5 "
        "of 49 normal test images raised a false alarm (10.2 %); accuracy 94.9 %."
    )


def test_words_for_misses_and_a_margin() -> None:
    text = explain(counted(misses=2, false_alarms=0, margin=0.05, confidence=0.9))
    assert "set 5 % below the smallest score of 35 abnormal images" in text
    assert "below 6.4 % with 90 % confidence" in text  # 1 - 0.1 ** (1 / 35) = 0.0637
    bound = 100 * miss_rate_upper_bound(2, 49, 0.9)
    assert (
        f"2 of 49 abnormal test images were missed (4.1 %; this count alone supports a "
        f"rate below {bound:.1f} %)" in text
    )
    assert "none of 49 normal test images raised a false alarm (0.0 %)" in text
    assert "1 of 49 abnormal test images was missed" in explain(counted(misses=1))


def test_words_for_single_images() -> None:
    text = explain(counted(calibration_abnormal=1, abnormal=1, misses=1, normal=1, false_alarms=1))
    assert "at the score of 1 abnormal image kept out of training; this" in text
    assert "below 95.0 %" in text
    assert "The 1 abnormal test image was missed (100.0 %; this count alone supports no " in text
    assert "the 1 normal test image raised a false alarm (100.0 %); accuracy 0.0 %." in text
    text = explain(counted(abnormal=1, normal=1, false_alarms=0))
    assert "The 1 abnormal test image was not missed (0.0 %;" in text
    assert "the 1 normal test image raised no false alarm (0.0 %)" in text


def test_small_bounds_are_not_said_to_be_zero() -> None:
    assert "a miss rate below 0.030 % with" in explain(counted(calibration_abnormal=10_000))
    assert "a miss rate below 1.00 % with" in explain(counted(calibration_abnormal=299))


def test_misses_that_contradict_the_bound_are_said_to() -> None:
    # Of 35 + 49 images alike, the m lowest are all among the 49 with probability
    # C(49, m) / C(84, m): 0.0635 for 5 of them, 0.0354 for 6.
    chance = [math.comb(49, m) / math.comb(84, m) for m in (5, 6)]
    assert chance[0] > 0.05 > chance[1]
    assert "do not rely on the bound" not in explain(counted(misses=5))
    assert explain(counted(misses=6)).endswith(
        " If the images kept out were similar to the test images, so many misses would have a "
        "probability below 5.0 %: do not rely on the bound."
    )


def test_chance_of_so_many_misses_by_simulation() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((20_000, 84))
    misses = (scores[:, 35:] < scores[:, :35].min(axis=1, keepdims=True)).sum(axis=1)
    assert np.mean(misses >= 6) == pytest.approx(math.comb(49, 6) / math.comb(84, 6), abs=0.006)
    # By itself, a count of misses at a threshold set elsewhere is binomial.
    fixed = (scores[:, 35:] < 0.05).sum(axis=1)
    assert np.mean(fixed <= 2) == pytest.approx(binom.cdf(2, 49, 0.05), abs=0.015)


def test_words_for_crossfit() -> None:
    decisions = counted(
        thresholds=[7.0, 7.0, 8.5, 7.0, 7.0], calibration_abnormal=39, misses=1, false_alarms=1
    )
    assert explain(decisions) == (
        "Each of 5 folds of the test images was evaluated with a threshold (7 to 8.5) set on the "
        "other folds, at the smallest of at least 39 abnormal scores. 1 of 49 abnormal test images "
        "was missed (2.0 %); 1 of 49 normal test images raised a false alarm (2.0 %); accuracy "
        "98.0 %. About one miss is due to the protocol, whatever the score: the threshold for the "
        "lowest-scoring abnormal image is set without this image. Each threshold alone supports a "
        "miss rate below 7.4 % with 95 % confidence, on similar images; the counts over all folds "
        "are indicative, as the folds share images."
    )
    text = explain(counted(thresholds=[7.0, 7.0], margin=0.1, calibration_abnormal=1))
    assert (
        "(7) set on the other folds, 10 % below the smallest of at least 1 abnormal score." in text
    )
    assert "due to the protocol" not in text


def test_a_margin_of_a_score_of_0_is_not_called_below() -> None:
    assert apply_margin(0.0, 0.05) == 0.0
    text = explain(counted(thresholds=[0.0], margin=0.05))
    assert (
        "at the smallest score of 35" in text and "(which is 0: a margin of 5 % of 0 has no" in text
    )
    assert "below the smallest" not in text
    text = explain(counted(thresholds=[0.0, 0.0], margin=0.05))
    assert "at the smallest of at least 35 abnormal scores (which is 0: a margin of 5 %" in text
    text = explain(counted(thresholds=[0.0, 1.9], margin=0.05))
    assert "5 % below the smallest of at least 35 abnormal scores (but at it if it is 0" in text
    for thresholds in ([0.0], [0.0, 0.0]):
        assert "has no effect" not in explain(counted(thresholds=thresholds, margin=0.0))
    assert "5 % below" in explain(counted(thresholds=[-2.1], margin=0.05))  # it lies lower


# Images that are no evidence of their own


def test_a_group_counts_once_and_one_that_the_run_used_not_at_all() -> None:
    """By hand: patients a (three images), b and c; a file of "used" is a training image as well."""
    scores = [1.0, 1.5, 5.0, 5.0, 6.0, 0.0, 7.0, 8.0]
    labels = [1, 1, 1, 1, 1, 0, 0, 0]
    groups = ["a", "a", "a", "b", "used", "c", "d", "d"]
    found = calibrate([2.0], scores, labels, groups=groups, seen={"used"})
    assert (found["abnormal"], found["misses"], found["false_alarms"]) == (5, 2, 2)
    assert found["independent"] == {"abnormal": 2, "normal": 2, "misses": 1, "false_alarms": 1}
    crossed = cross(scores, labels, groups, folds=3, seen={"used"})
    # Of a, b and used two are in the other folds: at least one of them is new.
    assert (crossed["calibration_abnormal"], crossed["calibration_images"]) == (1, 1)
    assert crossed["miss_rate_bound"] == pytest.approx(0.95)
    none = cross(scores, labels, groups, folds=2, seen={"a", "b", "used"})
    assert (none["calibration_abnormal"], none["miss_rate_bound"]) == (0, 1.0)
    assert "supports no bound on the miss rate, on similar" in explain(none)
    with pytest.raises(ValueError, match="1 group but 8 test images"):
        calibrate([2.0], scores, labels, groups=["a"])


def test_a_calibration_image_whose_group_was_trained_on_sets_no_bound() -> None:
    groups, scores = ["a", "a", "b", "c"], [1.0, 4.0, 2.0, 3.0]
    found = calibrate(scores, [5.0, 0.0], [1, 0], calibration_groups=groups, trained={"a"})
    assert found["thresholds"] == [1.0]  # which may only lower it
    assert (found["calibration_abnormal"], found["calibration_images"]) == (2, 2)
    assert found["miss_rate_bound"] == pytest.approx(1 - math.sqrt(0.05))


def test_bounds_hold_for_the_share_of_missed_groups() -> None:
    """Patients with one or five images, of which those with five score lower.

    Of 20 patients to calibrate on, the bound is exceeded by the share of missed patients in 5 % of
    the draws at most, and 1/21 of the patients are missed on average; of the images it is more.
    """
    rng = np.random.default_rng(0)

    def patients(count: int) -> tuple[np.ndarray, list[str]]:
        large = rng.random(count) < 0.3
        images = np.where(large, 5, 1)
        names = [str(i) for i, n in enumerate(images) for _ in range(n)]
        of_patients = rng.normal(size=count) + np.where(large, -2.0, 0.0)
        return np.repeat(of_patients, images) + rng.normal(0, 0.1, images.sum()), names

    tested, names_ = patients(4000)
    scores, labels = np.append(tested, 99.0), [1] * tested.size + [0]
    rates, of_images, bound = [], [], 0.0
    for _ in range(200):
        kept, kept_groups = patients(20)
        found = calibrate(
            kept, scores, labels, calibration_groups=kept_groups, groups=[*names_, "normal"]
        )
        rates.append(found["independent"]["misses"] / found["independent"]["abnormal"])
        of_images.append(found["miss_rate"])
        bound = found["miss_rate_bound"]
    assert np.mean(np.array(rates) > bound) <= 0.05 + 2 * 0.0154  # two standard errors
    assert np.mean(rates) == pytest.approx(1 / 21, abs=0.01)
    assert np.mean(of_images) > 1.5 / 21  # what the words say must not be this


def test_words_for_groups() -> None:
    independent = {"abnormal": 4, "normal": 4, "misses": 0, "false_alarms": 1}
    text = explain(counted(calibration_images=60, calibration_abnormal=20, independent=independent))
    assert "the smallest score of 60 abnormal images, 20 of them independent kept out" in text
    assert "the count of the independent ones alone, 0 of 4, supports a rate below 52.7 %" in text
    assert text.endswith("the bounds are on the share of groups with a missed image.")
    assert "of groups" not in explain(counted())
    # Ten misses of one patient are one: no reason to doubt the bound.
    alike = counted(misses=10, independent=independent | {"misses": 1})
    assert "do not rely" in explain(counted(misses=10)) and "do not rely" not in explain(alike)


def test_words_are_ascii_and_the_paper_protocol_is_called_optimistic() -> None:
    assert "optimistic" in PAPER_PROTOCOL
    for text in (PAPER_PROTOCOL, explain(counted()), explain(counted(thresholds=[1.0, 2.0]))):
        assert text.isascii()
        assert "\n" not in text
