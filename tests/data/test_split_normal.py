import random

import pytest

from cyclegan_ad.data.split import Split
from cyclegan_ad.data.split_normal import split_normal


def test_golden_split_of_normal_images_by_hand():
    # The first bytes for seed 7: n2 17, n3 8a, n1 d1 (see test_split.py): n2 first, then n3.
    paths = ["n1", "n2", "n3"]
    assert split_normal(paths, 7, fraction=0.3, groups=paths) == Split(train=(0, 2), test=(1,))
    assert split_normal(paths, 7, fraction=0.6, groups=paths) == Split(train=(0,), test=(1, 2))
    # Never all of them, and at least one.
    assert split_normal(paths, 7, fraction=0.99, groups=paths) == Split(train=(0,), test=(1, 2))
    assert split_normal(paths, 7, fraction=0.01, groups=paths) == Split(train=(0, 2), test=(1,))


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1])
def test_groups_of_normal_images_never_part(seed, fraction):
    paths = [f"normal/{i:03}.png" for i in range(90)]
    groups = [str(i // 3) for i in range(90)]
    split = split_normal(paths, seed, fraction=fraction, groups=groups)
    parts = [{groups[i] for i in part} for part in (split.train, split.test)]
    assert all(parts) and not parts[0] & parts[1]
    assert sorted((*split.train, *split.test)) == list(range(90)) and split.calibration == ()
    assert 0 <= len(split.test) - round(fraction * 90) < 3


def test_the_split_of_normal_images_depends_on_names_and_seed_only():
    paths = [f"normal/{i:03}.png" for i in range(40)]
    shuffled = random.Random(0).sample(paths, len(paths))
    one = split_normal(paths, 3, fraction=0.3, groups=paths)
    other = split_normal(shuffled, 3, fraction=0.3, groups=shuffled)
    assert {paths[i] for i in one.test} == {shuffled[i] for i in other.test}
    assert split_normal(paths, 4, fraction=0.3, groups=paths) != one


def test_one_group_of_normal_images_cannot_be_split():
    with pytest.raises(ValueError, match="1 different normal image, expected at least 2"):
        split_normal(["a", "b"], 0, fraction=0.5, groups=["x", "x"])
