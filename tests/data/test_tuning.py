"""Images kept out of training for tuning: by hand, and what must hold of any."""

import random

import pytest

from cyclegan_ad.data.split import Split, split_samples
from cyclegan_ad.data.tuning import TooFewToTune

# Orders of tests/data/test_split.py at seed 7: a4 and n2 test; a3, a1, a5, a2 and n3, n1 train.
BY_HAND = ["a1", "a2", "a3", "a4", "a5", "n1", "n2", "n3"], [1, 1, 1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("fraction", "tuning"),
    [
        (0.01, (2, 7)),  # at least one image of each class
        (0.3, (2, 7)),  # 1.2 and 0.6
        (0.5, (0, 2, 7)),
        (0.99, (0, 2, 4, 7)),  # one of each class is left to train
    ],
)
def test_golden_tuning_by_hand(fraction: float, tuning: tuple[int, ...]) -> None:
    split = split_samples(*BY_HAND, seed=7, tuning_fraction=fraction)
    train = tuple(i for i in (0, 1, 2, 4, 5, 7) if i not in tuning)
    assert split == Split(train=train, test=(3, 6), tuning=tuning)


def test_calibration_images_are_drawn_before() -> None:
    split = split_samples(*BY_HAND, seed=7, calibration_fraction=0.25, tuning_fraction=0.3)
    assert split == Split(train=(1, 4, 5), test=(3, 6), calibration=(2,), tuning=(0, 7))


@pytest.mark.parametrize(
    ("copies", "tuning"),
    [
        ((2, 0), (4, 7)),  # two copies are further from the one image that is wanted
        ((2, 3), (0, 7)),  # a copy of a test image does not tune
        ((7, 6), (2, 5)),
        ((2, 7), (2, 7)),  # one file in both classes
    ],
)
def test_copies_never_part(copies: tuple[int, ...], tuning: tuple[int, ...]) -> None:
    hashes = ["one" if i in copies else str(i) for i in range(8)]
    split = split_samples(*BY_HAND, seed=7, tuning_fraction=0.25, sha256=hashes)
    parts = [{hashes[i] for i in part} for part in (split.train, split.tuning)]
    assert parts[1].isdisjoint(hashes[i] for i in split.test)
    assert not parts[0] & parts[1]
    assert {BY_HAND[1][i] for i in split.tuning} == {BY_HAND[1][i] for i in split.train} == {0, 1}
    assert split.tuning == tuning


@pytest.mark.parametrize("seed", range(12))
def test_neither_groups_nor_copies_part(seed: int) -> None:
    drawn = random.Random(seed)
    n = drawn.choice([40, 90])
    paths = [f"{drawn.random():.9f}" for _ in range(n)]
    labels = [drawn.randint(0, 1) for _ in range(n)]
    hashes = [str(drawn.randint(0, 4 * n)) for _ in range(n)]
    groups = [str(drawn.randint(0, n)) for _ in range(n)]
    for of_image in (None, groups):
        for calibration in (0.0, 0.2):
            given = {"calibration_fraction": calibration, "sha256": hashes, "groups": of_image}
            without = split_samples(paths, labels, seed, **given)
            split = split_samples(paths, labels, seed, tuning_fraction=0.2, **given)
            assert (split.test, split.calibration) == (without.test, without.calibration)
            assert sorted((*split.train, *split.tuning)) == list(without.train)
            names = [hashes] if of_image is None else [hashes, groups]
            for name in names:
                tuned = {name[i] for i in split.tuning}
                others = (*split.train, *split.test, *split.calibration)
                assert tuned.isdisjoint(name[i] for i in others)
            for label in (0, 1):
                counts = [
                    sum(labels[i] == label for i in part) for part in (split.tuning, without.train)
                ]
                assert 0 < counts[0] < counts[1]
                assert abs(counts[0] - 0.2 * counts[1]) < 4


def test_the_choice_depends_on_the_seed_and_not_on_the_order_of_the_list() -> None:
    paths = [f"{label}/{i:03}" for label in (0, 1) for i in range(60)]
    labels = [int(path[0]) for path in paths]
    split = split_samples(paths, labels, 0, tuning_fraction=0.2)
    assert [len(split.tuning), sum(labels[i] for i in split.tuning)] == [12, 6]
    assert split_samples(paths, labels, 1, tuning_fraction=0.2).tuning != split.tuning
    order = random.Random(0).sample(range(120), 120)
    again = split_samples(
        [paths[i] for i in order], [labels[i] for i in order], 0, tuning_fraction=0.2
    )
    assert sorted(order[i] for i in again.tuning) == list(split.tuning)


@pytest.mark.parametrize(
    ("paths", "hashes", "match"),
    [
        (["a1", "a2", "n1", "n2", "n3"], "12345", "1 abnormal image left"),
        (["a1", "a2", "a3", "n1", "n2"], "12345", "1 normal image left"),
        # All abnormal images that train are copies of the one that tests.
        (["a1", "a2", "a3", "n1", "n2", "n3"], "000456", "0 abnormal images left that"),
    ],
)
def test_too_few_images_to_tune(paths: list[str], hashes: str, match: str) -> None:
    labels = [int(path[0] == "a") for path in paths]
    with pytest.raises(TooFewToTune, match=match):
        split_samples(paths, labels, 7, tuning_fraction=0.2, sha256=list(hashes))
