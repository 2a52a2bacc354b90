"""Groups of images: found in paths, joined by copies, whole in each subset of the split."""

import random
from pathlib import Path

import pytest
from errors import refuses

from cyclegan_ad.data.groups import (
    find_groups,
    group_images,
    groups_to_split,
    join_copies,
    require_one_class,
)
from cyclegan_ad.data.layouts.sample import Labelling, Sample
from cyclegan_ad.data.split import Split, split_samples

SEEDS = range(12)


def samples(*paths: str) -> list[Sample]:
    return [Sample(path, int(path.startswith("NOK")), "") for path in paths]


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        (r"P\d+", ["P1", "P1", "P22"]),
        (r"(P\d)\d*_", ["P1", "P1", "P2"]),
        (r"/P(?P<patient>\d+)_", ["1", "1", "22"]),
        (r"(?:N)?OK", ["OK", "NOK", "NOK"]),
    ],
)
def test_groups_in_paths(pattern: str, groups: list[str]) -> None:
    found = find_groups(samples("OK/P1_a.png", "NOK/P1_b.png", "NOK/P22_a.png"), pattern)
    assert [sample.group for sample in found] == groups


def test_a_group_has_one_name_in_both_unicode_forms() -> None:
    found = find_groups(samples("OK/caf\u00e9_1.png", "NOK/cafe\u0301_1.png"), "/(.*)_")
    assert found[0].group == found[1].group


@pytest.mark.parametrize("pattern", [r"P\d+", "(x)?", "(P)?.*"])
def test_a_path_without_a_group_is_named(pattern: str) -> None:
    with refuses(
        setting="dataset.group", value=pattern, facts="OK/a.png", remedy="dataset.exclude"
    ):
        find_groups(samples("OK/a.png"), pattern)


def test_copies_join_groups() -> None:
    names, hashes = ["c", "b", "a", "c", "d", "e"], ["1", "2", "1", "3", "3", "4"]
    assert join_copies(names, hashes) == ["a", "b", "a", "a", "a", "e"]
    ungrouped = samples("OK/1.png", "OK/2.png", "NOK/3.png")
    assert group_images(ungrouped, ["x", "x", "y"]) == ["x", "x", "y"]


def test_what_may_not_part() -> None:
    found, hashes = samples("OK/P1.png", "OK/P2.png", "NOK/P3.png", "NOK/P4.png"), list("xxyz")
    given = {"labelling": Labelling(), "dataset": "parts"}
    assert groups_to_split(found, hashes, False, **given) is None
    with refuses(
        setting="dataset.keep_copies_together", value="true", facts=("parts", "2 normal images")
    ):
        groups_to_split(found, hashes, True, **given)
    named = find_groups(found, r"P\d")
    assert groups_to_split(named, hashes, False, **given) == ["P1", "P2", "P3", "P4"]
    assert groups_to_split(named, list("xyzx"), True, **given) == ["P1", "P2", "P3", "P1"]


def test_one_group_with_all_images_of_a_class() -> None:
    pattern = r"/(\w)"
    found = find_groups(samples("OK/a1", "OK/b1", "NOK/c1", "NOK/c2", "NOK/c3"), pattern)
    with refuses(
        setting="dataset.group", value=pattern, facts=("3 abnormal images", "(c)", "2 groups")
    ):
        groups_to_split(found, list("12345"), True, Labelling(group=pattern), "parts")
    table = Labelling(table=Path("t.csv"))
    with refuses(setting="dataset.table", value="t.csv", facts="3 abnormal images"):
        groups_to_split(found, list("12345"), False, table, "parts")


def test_one_file_in_both_classes() -> None:
    found = samples("NOK/b.png", "OK/a.png", "OK/c.png")
    require_one_class(found, ["1", "2", "2"], Path("root"))
    with refuses(facts=("OK/c.png", "NOK/b.png", "both classes"), remedy="dataset.exclude"):
        require_one_class(found, ["1", "2", "1"], Path("root"))


def made_up(seed: int, mixed: bool) -> tuple[list[str], list[int], list[str]]:
    """Images of 5 to 30 groups of 1 to 9 images; with both classes if ``mixed``."""
    drawn = random.Random(seed)
    paths, labels, groups = [], [], []
    for g in range(drawn.randint(8, 30)):
        label = g % 2
        for i in range(drawn.choice([1, 1, 2, 4, 9])):
            paths.append(f"{drawn.random():.9f}/{g}_{i}")
            labels.append(drawn.randint(0, 1) if mixed and g > 3 else label)
            groups.append(f"g{g}")
    return paths, labels, groups


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("fraction", [0.0, 0.3])
@pytest.mark.parametrize("seed", SEEDS)
def test_no_group_parts_and_every_image_is_in_one_subset(
    seed: int, fraction: float, mixed: bool
) -> None:
    paths, labels, groups = made_up(seed, mixed)
    split = split_samples(paths, labels, seed, calibration_fraction=fraction, groups=groups)
    subsets = split.subsets()
    assert sorted(subsets) == list(range(len(paths)))
    where: dict[str, set[str]] = {}
    for i, group in enumerate(groups):
        where.setdefault(group, set()).add(subsets[i])
    for found in where.values():
        assert len(found) == 1 or found == {"calibration", "unused"}
    assert {labels[i] for i in split.train} == {labels[i] for i in split.test} == {0, 1}
    assert {labels[i] for i in split.calibration} == ({1} if fraction else set())
    assert {labels[i] for i in split.unused} <= {0}
    n = min(labels.count(0), labels.count(1)) // 2
    tested = [labels[i] for i in split.test]
    # Groups of one image, of which there are some, fill what larger ones leave.
    assert abs(tested.count(0) - n) + abs(tested.count(1) - n) <= 2


@pytest.mark.parametrize("seed", SEEDS)
def test_groups_of_one_image_change_nothing(seed: int) -> None:
    paths, labels, _ = made_up(seed, False)
    for fraction in (0.0, 0.25):
        without = split_samples(paths, labels, seed, calibration_fraction=fraction)
        groups = [f"of {path}" for path in paths]
        each = split_samples(paths, labels, seed, calibration_fraction=fraction, groups=groups)
        assert each == without


def test_the_split_depends_on_neither_order_nor_the_names_of_groups() -> None:
    paths, labels, groups = made_up(1, True)
    split = split_samples(paths, labels, 3, groups=groups)
    order = list(range(len(paths)))
    random.Random(0).shuffle(order)
    again = split_samples(
        [paths[i] for i in order], [labels[i] for i in order], 3, groups=[groups[i] for i in order]
    )
    assert sorted(order[i] for i in again.test) == list(split.test)
    renamed = [f"other {group}" for group in groups]
    assert split_samples(paths, labels, 3, groups=renamed) == split
    paths, labels = [f"{i}" for i in range(80)], [i % 2 for i in range(80)]
    groups = [f"g{i // 4}" for i in range(80)]
    assert len({split_samples(paths, labels, seed, groups=groups).test for seed in range(20)}) > 15


def test_golden_split_of_groups_by_hand() -> None:
    # Orders of tests/data/test_split.py at seed 7: a4, a3, a1, a5, a2 and n2, n3, n1. One group of
    # a4 and a2 comes first, by a2, which is the first path of it, as of the others a1 and a3.
    paths, labels = ["a1", "a2", "a3", "a4", "n1", "n2", "n3"], [1, 1, 1, 1, 0, 0, 0]
    split = split_samples(paths, labels, 7, groups=["x", "y", "x", "y", "1", "2", "3"])
    # One normal image is wanted and one abnormal one: of two groups of two, the first in order.
    # printf 7:a1 | sha256sum begins with 3e, of a2 with d8.
    assert split == Split(train=(1, 3, 4, 6), test=(0, 2, 5))


def test_a_group_with_all_images_of_a_class_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="all abnormal images"):
        split_samples(["a", "b", "c", "d"], [0, 0, 1, 1], 0, groups=["1", "2", "3", "3"])


def test_patients_with_both_classes_calibrate_too() -> None:
    paths = [f"P{p}_{label}_{i}" for p in range(10) for label in (0, 1) for i in range(2)]
    labels, groups = [int(path[3]) for path in paths], [path[:2] for path in paths]
    split = split_samples(paths, labels, 0, calibration_fraction=0.4, groups=groups)
    assert (len(split.test), len(split.calibration), len(split.unused)) == (20, 4, 4)
    assert {groups[i] for i in split.unused} == {groups[i] for i in split.calibration}


def test_too_few_groups_to_calibrate() -> None:
    paths, labels = [f"{i}" for i in range(8)], [0, 0, 0, 0, 1, 1, 1, 1]
    groups = ["0", "1", "2", "3", "x", "x", "y", "y"]
    with pytest.raises(ValueError, match="1 group with abnormal images outside the test set"):
        split_samples(paths, labels, 0, calibration_fraction=0.5, groups=groups)
