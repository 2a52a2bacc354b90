import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, roc_auc_score

from cyclegan_ad.metrics.thresholds import (
    accuracy_at,
    auroc,
    critical_images,
    max_accuracy_threshold,
    passed_normal,
    summarise,
    undefined_summary,
    zfn_accuracy_without,
    zfn_threshold,
)


def with_ties(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([0, 1], rng.integers(1, 30, size=2)))
    return np.round(rng.normal(labels, 1.0), 1), labels


def test_hand_worked() -> None:
    # sorted:   1n  2n  2a  3n  4a  5a       right at a threshold of
    #           1: 3a = 3/6   2: 3a + 1n = 4/6   3: 2a + 2n = 4/6   4: 2a + 3n = 5/6   5: 4/6
    scores, labels = [2.0, 5.0, 1.0, 4.0, 3.0, 2.0], [1, 1, 0, 1, 0, 0]
    assert summarise(scores, labels) == {
        "zfn_threshold": 2.0,
        "zfn_accuracy": 4 / 6,
        "max_accuracy": 5 / 6,
        "max_accuracy_threshold": 4.0,
        "auroc": (3 + 3 + 1.5) / 9,  # wins of 5, of 4, of the 2 that ties with a normal 2
        # No 2 or 5 % of three abnormal images: at 2, the normal 1 passes.
        "pg0": 1 / 3,
        "pg2": 1 / 3,
        "pg5": 1 / 3,
    }


def test_first_of_equally_good_thresholds_is_taken() -> None:
    assert max_accuracy_threshold([1.0, 2.0, 3.0, 4.0], [0, 1, 0, 1]) == 2.0
    assert max_accuracy_threshold([4.0, 3.0, 2.0, 1.0], [1, 0, 1, 0]) == 2.0


def test_score_equal_to_the_threshold_is_abnormal() -> None:
    assert accuracy_at([1.0, 1.0], [0, 1], 1.0) == 0.5
    assert accuracy_at([0.0, 1.0], [0, 1], 1.0) == 1.0
    assert accuracy_at([0.0, 1.0], [0, 1], np.nextafter(1.0, 2.0)) == 0.5


def test_inverted_scores() -> None:
    scores, labels = [4.0, 3.0, 2.0, 1.0], [0, 0, 1, 1]
    assert auroc(scores, labels) == 0.0
    assert zfn_threshold(scores, labels) == 1.0
    assert accuracy_at(scores, labels, 1.0) == 0.5


def test_golden_thresholds(golden: Callable[[str], Path]) -> None:
    cases = json.loads(golden("thresholds.json").read_text())
    assert len(cases) == 20
    for case in cases:
        scores = case["normal"] + case["abnormal"]
        labels = [0] * len(case["normal"]) + [1] * len(case["abnormal"])
        got = summarise(scores, labels)
        for key in ("zfn_threshold", "zfn_accuracy", "max_accuracy", "max_accuracy_threshold"):
            assert got[key] == case[key], key
        assert got["auroc"] == pytest.approx(case["auroc"], rel=0, abs=1e-14)


@pytest.mark.parametrize("seed", range(20))
def test_against_brute_force_and_sklearn(seed: int) -> None:
    scores, labels = with_ties(seed)
    accuracies = {t: np.mean((scores >= t) == labels) for t in sorted(scores)}
    best = max(accuracies.values())
    first = next(t for t, accuracy in accuracies.items() if accuracy == best)
    passing = [t for t in sorted(scores) if np.all(scores[labels == 1] >= t)]
    got = summarise(scores, labels)
    assert got["max_accuracy_threshold"] == first
    assert got["max_accuracy"] == best
    assert got["zfn_threshold"] == max(passing)
    assert got["zfn_accuracy"] == accuracies[max(passing)]
    assert got["auroc"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-14)


def test_passed_by_hand() -> None:
    # Abnormal 1 .. 20 and normal 1.5, 2.5, 20.5: 5 % are one image, at 2 the normal 1.5 passes; a
    # half are ten, at 11 the normal 2.5 as well; 2 % are none.
    scores, labels = [*range(1, 21), 1.5, 2.5, 20.5], [1] * 20 + [0] * 3
    shares = [passed_normal(scores, labels, percent) for percent in (0, 2, 4, 5, 50, 99)]
    assert shares == [0, 0, 0, 1 / 3, 2 / 3, 2 / 3]
    assert passed_normal([1.0, 1.0, 2.0], [0, 1, 1], 0) == 0  # a tie does not pass
    assert passed_normal([1.0, 2.0, 2.0], [0, 1, 1], 99) == 1  # two missed or none


@pytest.mark.parametrize("percent", [-1, 100])
def test_a_share_that_leaves_nothing_is_refused(percent: int) -> None:
    with pytest.raises(ValueError, match=f"missed_percent={percent}"):
        passed_normal([1.0, 2.0], [0, 1], percent)


@pytest.mark.parametrize("seed", range(20))
def test_passed_against_all_thresholds(seed: int) -> None:
    scores, labels = with_ties(seed)
    for percent in (0, 2, 5, 29):
        allowed = [
            np.mean(scores[labels == 0] < t)
            for t in scores
            if 100 * np.sum(scores[labels == 1] < t) <= percent * np.sum(labels == 1)
        ]
        assert passed_normal(scores, labels, percent) == max(allowed)


@pytest.mark.parametrize("seed", range(20))
def test_zfn_accuracy_of_a_balanced_set_is_half_of_one_plus_pg0(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(98) % 2)
    found = summarise(np.round(random.normal(2 * labels, 1.0), 1), labels)
    assert found["zfn_accuracy"] == pytest.approx((1 + found["pg0"]) / 2, abs=1e-15)
    assert 0 <= found["pg0"] <= found["pg2"] <= found["pg5"] <= 1


def test_pg0_is_that_of_anomalib_whose_others_may_miss_one_image_more() -> None:
    pg_pb = pytest.importorskip("anomalib.metrics.pg_pb", reason="extra 'baselines'")

    def theirs(scores: np.ndarray, labels: np.ndarray, percent: int) -> float:
        metric = pg_pb._PGn(fnr=percent / 100)
        metric.update(torch.from_numpy(scores).float(), torch.from_numpy(labels))
        return float(metric.compute())

    random = np.random.default_rng(5)
    labels = np.arange(200) % 2
    scores = random.normal(1.5 * labels, 1.0)
    assert passed_normal(scores, labels, 0) == pytest.approx(theirs(scores, labels, 0))
    # Of 49 abnormal images, 2 % are none; their threshold is 1.96, between the first two.
    scores, labels = np.array([*range(1, 50), 1.5], float), np.array([1] * 49 + [0])
    assert (passed_normal(scores, labels, 2), theirs(scores, labels, 2)) == (0, 1)


def test_large_raw_scores_do_not_tie() -> None:
    # float32 cannot tell these apart, and a sigmoid would make all of them 1
    scores = 1e8 + np.arange(6) / 8
    assert auroc(scores, [0, 0, 0, 1, 1, 1]) == 1.0


def test_order_of_the_images_does_not_matter() -> None:
    scores, labels = with_ties(3)
    order = np.random.default_rng(0).permutation(len(scores))
    assert summarise(scores[order], labels[order]) == summarise(scores, labels)


@pytest.mark.parametrize("function", [zfn_threshold, max_accuracy_threshold, auroc, summarise])
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([1.0, 2.0], [1, 1], "no normal image"),
        ([1.0, 2.0], [0, 0], "no abnormal image"),
        ([], [], "no abnormal image"),
        ([1.0, np.nan, 2.0], [0, 1, 1], "1 of 3 scores not finite, the first at position 1"),
        ([1.0, np.inf], [0, 1], "not finite"),
        ([1.0, 2.0], [0, 2], "invalid labels: expected 0"),
        ([1.0, 2.0, 3.0], [0, 1], "for both"),
        ([[1.0, 2.0]], [[0, 1]], "for both"),
    ],
)
def test_bad_input_is_refused(function, scores, labels, message) -> None:
    with pytest.raises(ValueError, match=message):
        function(scores, labels)


def test_threshold_must_be_finite() -> None:
    with pytest.raises(ValueError, match=r"invalid threshold=.*finite"):
        accuracy_at([1.0, 2.0], [0, 1], np.nan)


SCORES = [4.0, 1.0, 7.0, 3.0, 9.0, 3.0]
LABELS = [1, 0, 1, 0, 1, 0]


def test_lowest_abnormal_come_first_then_highest_normal() -> None:
    assert critical_images(SCORES, LABELS, count=2) == [0, 2, 3, 5]  # 3 and 5 score alike


def test_fewer_critical_images_than_asked_for_and_none() -> None:
    assert critical_images(SCORES, LABELS, count=9) == [0, 2, 4, 3, 5, 1]
    assert critical_images(SCORES, LABELS, count=0) == []


def test_critical_images_of_what_does_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="for both"):
        critical_images(SCORES, [1, 0], 1)


def test_accuracy_without_an_image_worked_out_by_hand() -> None:
    scores, labels = [2.0, 5.0, 1.0, 3.0, 4.0], [1, 1, 0, 0, 0]
    # All: threshold 2, normal 3 and 4 are false alarms: 3 of 5. Without it: threshold 5, all right.
    assert zfn_accuracy_without(scores, labels, 0) == 1.0
    # Without a false alarm the threshold stays: one of 4 is wrong.
    assert zfn_accuracy_without(scores, labels, 4) == 0.75


def test_accuracy_without_each_image_against_sklearn() -> None:
    random = np.random.default_rng(3)
    labels = np.arange(30) % 2
    scores = random.normal(labels, 1.0)
    for position in range(30):
        rest = [i for i in range(30) if i != position]
        threshold = min(scores[i] for i in rest if labels[i] == 1)
        expected = accuracy_score(labels[rest], scores[rest] >= threshold)
        assert zfn_accuracy_without(scores, labels, position) == pytest.approx(expected)


def test_the_only_abnormal_image_cannot_be_dropped() -> None:
    with pytest.raises(ValueError, match="no abnormal image"):
        zfn_accuracy_without([1.0, 2.0], [0, 1], 1)


def test_without_abnormal_images_the_highest_normal_ones_are_critical() -> None:
    assert critical_images([5.0, 1.0, 9.0, 2.0], [0, 0, 0, 0], count=2) == [2, 0]
    with pytest.raises(ValueError, match="no normal image"):
        critical_images([5.0, 1.0], [1, 1], count=2)


def test_what_is_undefined_has_the_names_of_the_summary() -> None:
    defined = summarise([1.0, 2.0], [0, 1])
    assert undefined_summary() == dict.fromkeys(defined)
