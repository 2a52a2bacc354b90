"""The images a result hangs on."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from cyclegan_ad.metrics.critical import critical_images, zfn_accuracy_without

SCORES = [4.0, 1.0, 7.0, 3.0, 9.0, 3.0]
LABELS = [1, 0, 1, 0, 1, 0]


def test_lowest_abnormal_come_first_then_highest_normal() -> None:
    assert critical_images(SCORES, LABELS, count=2) == [0, 2, 3, 5]  # 3 and 5 score alike


def test_fewer_images_than_asked_for_and_none() -> None:
    assert critical_images(SCORES, LABELS, count=9) == [0, 2, 4, 3, 5, 1]
    assert critical_images(SCORES, LABELS, count=0) == []
    assert critical_images([1.0, 2.0], [0, 0], count=1) == [1]


@pytest.mark.parametrize(("labels", "count"), [([1, 0], 1), (LABELS, -1)])
def test_what_does_not_fit_is_refused(labels: list[int], count: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        critical_images(SCORES, labels, count)


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
