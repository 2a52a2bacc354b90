"""Which images train and which test (Sec. 3.1): one run of the paper is one seed of this split."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into the list of images, ascending; every image is in exactly one of the two.

    Attributes:
        train: Images that train.
        test: Images that test, as many normal as abnormal ones.
    """

    train: tuple[int, ...]
    test: tuple[int, ...]


def split_samples(paths: Sequence[str], labels: Sequence[int], seed: int) -> Split:
    """Draws a balanced test set: half of the smaller class, and as many of the other one.

    The images of a class are ordered by the SHA-256 of ``"<seed>:<path>"`` and the first ones
    test, so the split depends on nothing but its arguments: no library version, no machine, and
    not the order in which the images are listed.

    Args:
        paths: Path of each image relative to the dataset's root, all different.
        labels: Label of each image, 0 normal or 1 abnormal.
        seed: Number of the run.

    Returns:
        A test set of ``min(n_normal, n_abnormal) // 2`` images a class; the rest trains.

    Raises:
        ValueError: Lengths differ, a path occurs twice, a label is neither 0 nor 1, or a class has
            fewer than 2 images.

    Example:
        >>> split_samples(["a", "b", "c", "d", "e"], [0, 0, 0, 1, 1], seed=0)
        Split(train=(1, 2, 4), test=(0, 3))
    """
    if len(paths) != len(labels):
        raise ValueError(f"{len(paths)} paths but {len(labels)} labels: give one label a path")
    if len(set(paths)) != len(paths):
        raise ValueError("a path occurs twice: list each image once")
    if not set(labels) <= {0, 1}:
        raise ValueError(f"labels are {sorted(set(labels))}: they must be 0 normal or 1 abnormal")
    classes: dict[int, list[int]] = {0: [], 1: []}
    for index, label in enumerate(labels):
        classes[label].append(index)
    test_per_class = min(len(indices) for indices in classes.values()) // 2
    if test_per_class == 0:
        counts = {label: len(indices) for label, indices in classes.items()}
        raise ValueError(f"images by label: {counts}; each class needs one to train, one to test")
    test: set[int] = set()
    for indices in classes.values():
        test.update(sorted(indices, key=lambda index: _draw(seed, paths[index]))[:test_per_class])
    return Split(
        train=tuple(index for index in range(len(paths)) if index not in test),
        test=tuple(sorted(test)),
    )


def _draw(seed: int, path: str) -> bytes:
    return hashlib.sha256(f"{seed}:{path}".encode(errors="surrogateescape")).digest()
