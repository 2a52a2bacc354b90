"""Folds share the classes evenly and keep groups whole."""

import numpy as np
import pytest

from cyclegan_ad.methods.folds import assign_folds


def test_folds_have_equal_shares_of_each_class():
    labels = [0] * 23 + [1] * 11
    folds = assign_folds(labels, [str(i) for i in range(34)], folds=5, seed=1)
    counts = np.array([np.bincount(folds[np.array(labels) == c], minlength=5) for c in (0, 1)])
    assert (counts.max(axis=1) - counts.min(axis=1) <= 1).all()
    assert counts.sum(axis=0).max() - counts.sum(axis=0).min() <= 1


def test_groups_stay_whole_and_the_order_of_images_does_not_matter():
    labels = [0, 0, 0, 1, 1, 1, 1, 0, 1, 0]
    groups = ["a", "a", "b", "c", "c", "d", "e", "f", "f", "g"]
    folds = assign_folds(labels, groups, folds=3, seed=0)
    for group in groups:
        assert len({folds[i] for i in range(10) if groups[i] == group}) == 1
    order = [7, 2, 9, 0, 5, 4, 1, 8, 3, 6]
    again = assign_folds([labels[i] for i in order], [groups[i] for i in order], 3, seed=0)
    assert again.tolist() == folds[order].tolist()
    of_seeds = {tuple(assign_folds(labels, groups, 3, seed=seed)) for seed in range(6)}
    assert len(of_seeds) > 1


def test_as_many_folds_as_abnormal_images_leave_one_out():
    labels = [0] * 9 + [1] * 4
    folds = assign_folds(labels, [str(i) for i in range(13)], folds=4, seed=0)
    assert sorted(folds[9:]) == [0, 1, 2, 3]


@pytest.mark.parametrize("folds", (1, 3))
def test_more_folds_than_groups_are_refused(folds):
    with pytest.raises(ValueError, match="expected 2 to 2"):
        assign_folds([0, 0, 0, 1, 1, 1], ["a", "b", "c", "d", "d", "e"], folds=folds, seed=0)
