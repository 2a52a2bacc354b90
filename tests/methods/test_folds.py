"""Folds share the classes evenly and keep groups whole."""

import numpy as np
import pytest

from cyclegan_ad.methods.folds import assign_folds, smallest_class


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


def test_without_any_fold_both_classes_are_left_also_where_groups_mix_them():
    # All normal images of the mixed groups were once dealt to one fold.
    labels = [1] * 24 + [0] * 3 + [1] * 3 + [0] * 3 + [1] * 3
    groups = ["a"] * 12 + ["b"] * 12 + ["m"] * 6 + ["n"] * 6
    random = np.random.default_rng(0)
    cases = [(labels, groups)]
    for _ in range(300):
        size = int(random.integers(4, 30))
        names = [f"g{i}" for i in random.integers(0, int(random.integers(2, 9)), size)]
        cases.append((random.integers(0, 2, size).tolist(), names))
    tried = 0
    for labels, groups in cases:
        possible = smallest_class(labels, groups)[1]
        for folds in range(2, possible + 1):
            found, tried = assign_folds(labels, groups, folds, seed=0), tried + 1
            for fold in range(folds):
                assert len(set(np.array(labels)[found != fold])) == 2
    assert tried > 300
