"""Split into training and test images (Sec. 3.1); one run of the paper is one seed."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from cyclegan_ad.data.choose_groups import choose_groups
from cyclegan_ad.text import counted


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into the list of images, ascending; every image is in exactly one of them.

    Attributes:
        train: Training images.
        test: Test images, as many normal as abnormal ones, as far as groups allow.
        calibration: Abnormal images used for neither, to set a threshold on.
        unused: Normal images of the groups of the calibration images; empty without groups.

    Without abnormal images (`split_normal`), ``test`` has the normal images kept out of training.
    """

    train: tuple[int, ...]
    test: tuple[int, ...]
    calibration: tuple[int, ...] = ()
    unused: tuple[int, ...] = ()

    def subsets(self) -> dict[int, str]:
        """Return the name of the subset of each image, as in ``split.csv``."""
        named = (("train", self.train), ("test", self.test), ("calibration", self.calibration))
        every = (*named, ("unused", self.unused))
        return {index: name for name, indices in every for index in indices}


def split_samples(
    paths: Sequence[str],
    labels: Sequence[int],
    seed: int,
    *,
    calibration_fraction: float = 0.0,
    sha256: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
) -> Split:
    """Draw a balanced test set: half of the smaller class, and as many of the other one.

    The images of each class are ordered by the SHA-256 of ``"<seed>:<path>"``, and the first ones
    form the test set. The split depends only on the arguments, not on library versions, the machine
    or the order of the images.

    With groups, whole groups are ordered, by the path that is first in each, and chosen so that the
    sizes are as close to the balanced ones as they allow (:func:`.choose_groups.choose_groups`). If
    every image is a group of its own, the split is that without groups.

    Args:
        paths: Path of each image relative to the dataset's root, all different.
        labels: Label of each image, 0 normal or 1 abnormal.
        seed: Seed of the split.
        calibration_fraction: Fraction, in [0, 1), of the abnormal images outside the test set that
            is kept for calibration instead of training: rounded to the nearest integer, but at
            least one image and never all of them. The test set does not depend on it.
        sha256: SHA-256 of each file. Copies of a test image are not used for calibration; copies
            of a calibration image are used for calibration too, unless no image would be left for
            training. None if all files differ.
        groups: Group of each image; images of one group never part. None if there are no groups.

    Returns:
        Split with ``min(n_normal, n_abnormal) // 2`` test images per class.

    Raises:
        ValueError: Lengths differ, a path occurs twice, a label is neither 0 nor 1, a class has
            fewer than 2 images or groups, or no abnormal image or group would be left to train or
            to calibrate.

    Example:
        >>> split_samples(["a", "b", "c", "d", "e"], [0, 0, 0, 1, 1], seed=0)
        Split(train=(1, 2, 4), test=(0, 3), calibration=(), unused=())
    """
    if len(paths) != len(labels):
        raise ValueError(
            f"{counted(len(paths), 'path')} but {counted(len(labels), 'label')}: expected as many"
        )
    if len(set(paths)) != len(paths):
        raise ValueError("invalid paths: a path occurs twice")
    if not set(labels) <= {0, 1}:
        raise ValueError(
            f"invalid labels {sorted(set(labels))}: expected 0 (normal) or 1 (abnormal)"
        )
    classes: dict[int, list[int]] = {0: [], 1: []}
    for index, label in enumerate(labels):
        classes[label].append(index)
    test_per_class = min(len(indices) for indices in classes.values()) // 2
    if test_per_class == 0:
        counts = {label: len(indices) for label, indices in classes.items()}
        raise ValueError(f"images by label: {counts}; expected at least 2 per class")
    hashes = paths if sha256 is None else sha256
    if groups is not None:
        ordered = _order_groups(paths, groups, seed)
        return _split_groups(ordered, labels, test_per_class, calibration_fraction, hashes)
    for indices in classes.values():
        indices.sort(key=lambda index: _order_key(seed, paths[index]))
    test = {index for indices in classes.values() for index in indices[:test_per_class]}
    tested = {hashes[index] for index in test}
    calibration = _choose_calibration(
        classes[1][test_per_class:], calibration_fraction, tested, hashes
    )
    return _as_split(len(paths), test, calibration, set())


def _as_split(count: int, test: set[int], calibration: set[int], unused: set[int]) -> Split:
    others = test | calibration | unused
    return Split(
        train=tuple(i for i in range(count) if i not in others),
        test=tuple(sorted(test)),
        calibration=tuple(sorted(calibration)),
        unused=tuple(sorted(unused)),
    )


def split_normal(
    paths: Sequence[str], seed: int, *, fraction: float, groups: Sequence[str]
) -> Split:
    """Draw the images to set a threshold on, for a dataset of normal images only.

    Groups are ordered by the SHA-256 of ``"<seed>:<first path>"``, and the first ones are kept out
    of training; like `split_samples`, the split depends only on the arguments.

    Args:
        paths: Path of each image relative to the dataset's root, all different.
        seed: Seed of the split.
        fraction: Fraction of the images to keep out, in (0, 1), rounded to the nearest integer and
            up to whole groups; at least one group and never all of them.
        groups: Name of the group of each image, e.g. the SHA-256 of the file; images of one group
            are in the same part.

    Returns:
        Split whose ``test`` holds these images.

    Raises:
        ValueError: If there are fewer than 2 groups.

    Example:
        >>> split_normal(["a", "b", "c", "d"], 0, fraction=0.5, groups=["1", "2", "1", "3"])
        Split(train=(1,), test=(0, 2, 3), calibration=(), unused=())
    """
    members: dict[str, list[int]] = {}
    for index in sorted(range(len(paths)), key=paths.__getitem__):
        members.setdefault(groups[index], []).append(index)
    if len(members) < 2:
        raise ValueError(f"{counted(len(members), 'different normal image')}, expected at least 2")
    ordered = sorted(members.values(), key=lambda group: _order_key(seed, paths[group[0]]))
    wanted, kept = round(fraction * len(paths)), ordered[0]
    for group in ordered[1:-1]:
        if len(kept) >= wanted:
            break
        kept = kept + group
    return Split(
        train=tuple(i for i in range(len(paths)) if i not in set(kept)), test=tuple(sorted(kept))
    )


def _choose_calibration(
    abnormal: list[int], fraction: float, tested: set[str], hashes: Sequence[str]
) -> set[int]:
    """Choose the calibration images from the abnormal images outside the test set, in order."""
    if fraction == 0:
        return set()
    possible = [index for index in abnormal if hashes[index] not in tested]
    if len(abnormal) < 2 or not possible:
        raise _too_few(len(possible), "abnormal image")
    kept = set(possible[: _calibration_size(len(abnormal), fraction)])
    chosen = {hashes[index] for index in kept}
    with_copies = {index for index in possible if hashes[index] in chosen}
    return with_copies if len(with_copies) < len(abnormal) else kept


def _calibration_size(abnormal: int, fraction: float) -> int:
    return min(max(1, round(fraction * abnormal)), abnormal - 1)


def _too_few(found: int, what: str) -> ValueError:
    return ValueError(
        f"{counted(found, what)} outside the test set, expected at least 2 (one to train, one to "
        "calibrate)"
    )


def _order_groups(paths: Sequence[str], groups: Sequence[str], seed: int) -> list[list[int]]:
    """Return the images of each group, in the order in which groups are drawn."""
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    return sorted(
        members.values(),
        key=lambda indices: _order_key(seed, min(paths[index] for index in indices)),
    )


def _split_groups(
    groups: list[list[int]],
    labels: Sequence[int],
    test_per_class: int,
    fraction: float,
    hashes: Sequence[str],
) -> Split:
    """Split whole groups, given in the order in which they are drawn."""

    def of_class(label: int, indices: list[int]) -> int:
        return sum(labels[index] == label for index in indices)

    sizes = [(of_class(0, indices), of_class(1, indices)) for indices in groups]
    for label, word in ((0, "normal"), (1, "abnormal")):
        if sum(size[label] > 0 for size in sizes) < 2:
            raise ValueError(f"one group has all {word} images; expected at least 2 groups")
    chosen = set(choose_groups(sizes, (test_per_class, test_per_class)))
    test = {index for number in chosen for index in groups[number]}
    tested = {hashes[index] for index in test}
    kept: list[list[int]] = []
    if fraction > 0:
        abnormal = [
            indices
            for number, indices in enumerate(groups)
            if number not in chosen and sizes[number][1]
        ]
        possible = [
            indices for indices in abnormal if tested.isdisjoint(hashes[i] for i in indices)
        ]
        if len(abnormal) < 2 or not possible:
            raise _too_few(len(possible), "group with abnormal images")
        counts = [of_class(1, indices) for indices in possible]
        wanted = _calibration_size(sum(of_class(1, indices) for indices in abnormal), fraction)
        numbers = choose_groups([(0, count) for count in counts], (0, wanted)) or [0]
        kept = [possible[number] for number in numbers]
    split = _as_split(
        len(labels),
        test,
        {index for indices in kept for index in indices if labels[index] == 1},
        {index for indices in kept for index in indices if labels[index] == 0},
    )
    if not any(labels[index] == 0 for index in split.train):
        raise ValueError(
            "all normal images outside the test set are in groups of calibration images, expected "
            "at least one to train"
        )
    return split


def _order_key(seed: int, path: str) -> bytes:
    # The bytes of the path, independent of the machine's locale.
    return hashlib.sha256(f"{seed}:".encode() + os.fsencode(path)).digest()
