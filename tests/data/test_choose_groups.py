"""Groups whose images come closest to a wanted number, against all possible choices."""

import itertools
import random

import pytest

from cyclegan_ad.data import choose_groups as module
from cyclegan_ad.data.choose_groups import choose_groups


def sums(sizes: list[tuple[int, int]], chosen: list[int]) -> tuple[int, int]:
    return sum(sizes[i][0] for i in chosen), sum(sizes[i][1] for i in chosen)


def closest(sizes: list[tuple[int, int]], target: tuple[int, int]) -> int:
    """Smallest distance over all choices that leave and take an image of each class."""
    totals = sums(sizes, list(range(len(sizes))))
    found = []
    for mask in itertools.product((0, 1), repeat=len(sizes)):
        at = sums(sizes, [i for i, taken in enumerate(mask) if taken])
        if all(0 < at[label] < totals[label] for label in (0, 1)):
            found.append(sum(abs(at[label] - target[label]) for label in (0, 1)))
    return min(found)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_no_choice_comes_closer(seed: int, mixed: bool) -> None:
    drawn = random.Random(seed)
    sizes = []
    for label in (0, 1):
        for _ in range(drawn.randint(2, 5)):
            size = [0, 0]
            size[label] = drawn.choice([1, 1, 2, 3, 5, 9, 20])
            if mixed and drawn.random() < 0.5:
                size[1 - label] = drawn.randint(1, 6)
            sizes.append((size[0], size[1]))
    drawn.shuffle(sizes)
    n = min(sums(sizes, list(range(len(sizes))))) // 2
    chosen = choose_groups(sizes, (n, n))
    at = sums(sizes, chosen)
    assert sum(abs(found - n) for found in at) == closest(sizes, (n, n))
    assert chosen == sorted(set(chosen))


def test_by_hand() -> None:
    # 3 + 2 normal images make 5; 4 abnormal ones are closer to 5 than 7 and as close as 6.
    sizes = [(3, 0), (0, 4), (4, 0), (2, 0), (0, 6), (0, 7)]
    assert choose_groups(sizes, (5, 5)) == [0, 1, 3]
    # A patient with both: 2 + 1 and 1 + 2 are exactly (3, 3).
    assert choose_groups([(2, 1), (5, 0), (1, 2), (0, 5)], (3, 3)) == [0, 2]


def test_single_images_are_taken_in_order() -> None:
    sizes = [(1, 0), (0, 1), (0, 1), (1, 0), (1, 0), (0, 1), (0, 1)]
    assert choose_groups(sizes, (2, 3)) == [0, 1, 2, 3, 5]


def test_a_class_that_is_not_asked_for() -> None:
    assert choose_groups([(0, 3), (0, 1), (0, 4)], (0, 4)) == [0, 1]
    assert choose_groups([(0, 1)], (0, 1)) == []  # none would be left


@pytest.mark.parametrize("seed", range(10))
def test_of_many_groups_the_first_are_taken_as_they_come(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    drawn = random.Random(seed)
    sizes = [(drawn.randint(0, 3), drawn.randint(1, 4)) for _ in range(300)]
    n = min(sums(sizes, list(range(300)))) // 2
    assert sums(sizes, choose_groups(sizes, (n, n))) == (n, n)
    monkeypatch.setattr(module, "_MOST_TRIALS", 2**18)
    assert sums(sizes, choose_groups(sizes, (n, n))) == (n, n)
    single = [(1, 0), (0, 1)] * 200
    assert choose_groups(single, (90, 90)) == list(range(180))


def test_a_large_set_takes_seconds() -> None:
    drawn = random.Random(0)
    sizes = [(drawn.randint(0, 9), drawn.randint(0, 12)) for _ in range(5000)]
    n = sum(size[0] for size in sizes) // 2
    assert sums(sizes, choose_groups(sizes, (n, n))) == (n, n)
