"""Pairing: an epoch of unpaired batches is a pure function of (seed, epoch), shared over ranks."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from cyclegan_ad.data.unpaired_batches import PairSampler

NORMAL, ABNORMAL = np.arange(100, 110), np.arange(200, 204)


def pair_sampler(**changes: Any) -> PairSampler:
    arguments: dict[str, Any] = {
        "classes": {"normal": NORMAL, "abnormal": ABNORMAL},
        "copies": 3,
        "augmentation": "dihedral",
        "batch_size": 4,
        "seed": 0,
    }
    return PairSampler(**(arguments | changes))


def epoch(sampler: PairSampler, number: int) -> list[dict[str, np.ndarray]]:
    sampler.set_epoch(number)
    return list(sampler)


def joined(batches: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def same(a: list[dict[str, np.ndarray]], b: list[dict[str, np.ndarray]]) -> bool:
    """Whether two epochs are equal, batch by batch."""
    return len(a) == len(b) and all(
        x.keys() == y.keys() and all(np.array_equal(x[name], y[name]) for name in x)
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("copies", [1, 2, 9])
@pytest.mark.parametrize(("normal", "abnormal"), [(10, 4), (4, 10), (7, 7), (11, 1), (20, 13)])
@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_an_epoch_draws_the_larger_class_exactly_and_the_smaller_evenly(
    copies: int, normal: int, abnormal: int, batch_size: int
) -> None:
    indices = {"normal": np.arange(normal), "abnormal": 500 + np.arange(abnormal)}
    sampler = pair_sampler(classes=indices, copies=copies, batch_size=batch_size)
    batches = epoch(sampler, 5)
    drawn = joined(batches)
    pairs = copies * max(normal, abnormal)
    assert len(drawn["normal"]) == len(drawn["abnormal"]) == pairs
    assert len(batches) == len(sampler)
    assert {len(batch["normal"]) for batch in batches[:-1]} <= {batch_size}
    for side, of_side in indices.items():
        counts = Counter(drawn[side].tolist())
        assert set(counts) == set(of_side.tolist())
        assert max(counts.values()) - min(counts.values()) <= 1
        if len(of_side) == max(normal, abnormal):
            assert set(counts.values()) == {copies}


def test_no_image_comes_again_before_all_others_came() -> None:
    drawn = joined(epoch(pair_sampler(), 0))
    for start in range(0, 30, 10):
        assert set(drawn["normal"][start : start + 10]) == set(NORMAL)
    for start in range(0, 28, 4):
        assert set(drawn["abnormal"][start : start + 4]) == set(ABNORMAL)


def test_epochs_and_seeds_differ_in_orders_pairs_and_symmetries() -> None:
    drawn = [joined(epoch(pair_sampler(seed=s), e)) for s, e in ((0, 0), (0, 1), (1, 0), (1, 1))]
    for name in ("normal", "abnormal", "normal_symmetry", "abnormal_symmetry"):
        assert len({tuple(columns[name]) for columns in drawn}) == 4, name
    pairs = [Counter(zip(c["normal"], c["abnormal"], strict=True)) for c in drawn]
    assert pairs[0] != pairs[1]
    first = drawn[0]
    assert not np.array_equal(first["normal_symmetry"], first["abnormal_symmetry"])


def test_an_epoch_follows_from_seed_and_number_alone() -> None:
    through = pair_sampler()
    epochs = [epoch(through, number) for number in range(4)]
    np.random.seed(5)
    torch.manual_seed(5)
    assert same(epoch(pair_sampler(), 3), epochs[3])
    assert same(epoch(through, 1), epochs[1])
    assert same(list(through), list(through))
    assert not same(epochs[0], epochs[1])


@pytest.mark.parametrize("ranks", [2, 3, 4])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_ranks_share_the_batches_of_one_process(ranks: int, batch_size: int) -> None:
    copies = 12  # 120 pairs: every number of ranks divides them
    alone = pair_sampler(copies=copies, batch_size=batch_size * ranks)
    shared = [
        pair_sampler(copies=copies, batch_size=batch_size, ranks=ranks, rank=rank)
        for rank in range(ranks)
    ]
    assert {len(sampler) for sampler in shared} == {len(alone)}
    whole = epoch(alone, 2)
    parts = [epoch(sampler, 2) for sampler in shared]
    assert all(len(part) == len(whole) for part in parts)
    for number, batch in enumerate(whole):
        for name, column in batch.items():
            for rank in range(ranks):
                # Every second pair of the joint batch, for two ranks.
                np.testing.assert_array_equal(parts[rank][number][name], column[rank::ranks])


@pytest.mark.parametrize("ranks", [2, 3, 4, 7])
@pytest.mark.parametrize("pairs", [1, 10, 11, 23, 24, 25])
def test_all_ranks_get_batches_of_one_size_and_every_pair_is_seen(ranks: int, pairs: int) -> None:
    normal = np.arange(pairs)
    changes = {"classes": {"normal": normal, "abnormal": ABNORMAL}, "copies": 1, "batch_size": 3}
    parts = [epoch(pair_sampler(**changes, ranks=ranks, rank=rank), 0) for rank in range(ranks)]
    sizes = [[len(batch["normal"]) for batch in part] for part in parts]
    assert all(size == sizes[0] and min(size) > 0 for size in sizes)
    assert len(sizes[0]) == len(pair_sampler(**changes, ranks=ranks))
    seen = Counter(np.concatenate([batch["normal"] for part in parts for batch in part]).tolist())
    if pairs >= len(ABNORMAL):
        assert set(seen) == set(normal.tolist())
        assert sum(seen.values()) - pairs < ranks  # the first pairs fill up


@pytest.mark.parametrize(
    ("augmentation", "possible"), [("dihedral", set(range(8))), ("flip", {0, 4}), ("none", {0})]
)
def test_symmetries_of_each_augmentation(augmentation: str, possible: set[int]) -> None:
    drawn = joined(epoch(pair_sampler(augmentation=augmentation, copies=40), 0))
    for side in ("normal", "abnormal"):
        counts = Counter(drawn[f"{side}_symmetry"].tolist())
        assert set(counts) == possible
        # 400 draws; 25 are at least three and a half standard deviations of each count.
        assert min(counts.values()) > 400 / len(possible) - 36


@pytest.mark.parametrize("ranks", [1, 3])
def test_one_class_alone_is_drawn_alone(ranks: int) -> None:
    parts = [
        joined(epoch(pair_sampler(classes={"abnormal": ABNORMAL}, ranks=ranks, rank=rank), 0))
        for rank in range(ranks)
    ]
    assert all(part.keys() == {"abnormal", "abnormal_symmetry"} for part in parts)
    # 3 copies of 4 images: the larger class is not there to be counted.
    assert len(pair_sampler(classes={"abnormal": ABNORMAL}, ranks=ranks)) == (
        3 if ranks == 1 else 1
    )
    seen = Counter(np.concatenate([part["abnormal"] for part in parts]).tolist())
    assert seen == dict.fromkeys(ABNORMAL.tolist(), 3)
