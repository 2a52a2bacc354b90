"""Split into training and test images (Sec. 3.1); one run of the paper is one seed."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cyclegan_ad.data.choose_groups import choose_groups
from cyclegan_ad.data.tuning import choose_tuning
from cyclegan_ad.text import counted


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into the list of images, ascending; every image is in exactly one of them.

    Attributes:
        train: Training images.
        test: Test images, as many normal as abnormal ones, as far as groups allow.
        calibration: Abnormal images used for neither, to set a threshold on.
        unused: Normal images of the groups of the calibration images, and abnormal ones beyond
            the largest number that may be used; empty without groups and without a limit.
        tuning: Images of both classes that no network trains on, for what is fitted on top of
            networks.

    Without abnormal images (:mod:`.split_normal`), ``test`` has the normal images kept out of
    training.
    """

    train: tuple[int, ...]
    test: tuple[int, ...]
    calibration: tuple[int, ...] = ()
    unused: tuple[int, ...] = ()
    tuning: tuple[int, ...] = ()

    def subsets(self) -> dict[int, str]:
        """Return the name of the subset of each image, as in ``split.csv``."""
        named = (("train", self.train), ("test", self.test), ("calibration", self.calibration))
        every = (*named, ("unused", self.unused), ("tuning", self.tuning))
        return {index: name for name, indices in every for index in indices}


def split_samples(
    paths: Sequence[str],
    labels: Sequence[int],
    seed: int,
    *,
    calibration_fraction: float = 0.0,
    tuning_fraction: float = 0.0,
    max_abnormal: int | None = None,
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
        tuning_fraction: Fraction, in [0, 1), of the images of each class outside the test set and
            the calibration images that is kept out of training for tuning
            (:func:`.tuning.choose_tuning`). Neither of these depends on it.
        max_abnormal: Largest number of abnormal images outside the test set that are used: the
            first ones in the order of the seed, so that a smaller number gives some of those of a
            larger one. None for all. The test set does not depend on it.
        sha256: SHA-256 of each file. Copies of a test image are not used for calibration; copies
            of a calibration image are used for calibration too, unless no image would be left for
            training. Copies of test and calibration images are not used for tuning, and copies of
            an image for tuning are. None if all files differ.
        groups: Group of each image; images of one group never part. None if there are no groups.

    Returns:
        Split with ``min(n_normal, n_abnormal) // 2`` test images per class.

    Raises:
        ValueError: Lengths differ, a path occurs twice, a label is neither 0 nor 1, a class has
            fewer than 2 images or groups, or no abnormal image or group would be left to train or
            to calibrate. `TooFewToTune`, which is a ValueError, if there are too few images to
            train and to tune.

    Example:
        >>> split = split_samples(["a", "b", "c", "d", "e"], [0, 0, 0, 1, 1], seed=0)
        >>> split.train, split.test
        ((1, 2, 4), (0, 3))
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
    if max_abnormal is not None and max_abnormal < 1:
        raise ValueError(f"invalid max_abnormal={max_abnormal}: expected None or an integer >= 1")
    classes: dict[int, list[int]] = {0: [], 1: []}
    for index, label in enumerate(labels):
        classes[label].append(index)
    test_per_class = min(len(indices) for indices in classes.values()) // 2
    if test_per_class == 0:
        counts = {label: len(indices) for label, indices in classes.items()}
        raise ValueError(f"images by label: {counts}; expected at least 2 per class")
    hashes = paths if sha256 is None else sha256
    order = [order_key(seed, path) for path in paths]
    if groups is not None:
        ordered = _order_groups(paths, groups, order)
        split = _split_groups(
            ordered, labels, test_per_class, calibration_fraction, max_abnormal, hashes
        )
    else:
        for indices in classes.values():
            indices.sort(key=order.__getitem__)
        test = {index for indices in classes.values() for index in indices[:test_per_class]}
        tested = {hashes[index] for index in test}
        abnormal = classes[1][test_per_class:]
        used = abnormal[:max_abnormal]
        calibration = _choose_calibration(used, calibration_fraction, tested, hashes)
        split = _as_split(len(paths), test, calibration, set(abnormal) - set(used))
    if tuning_fraction == 0:
        return split
    tuning = choose_tuning(
        split.train,
        tuning_fraction,
        labels=labels,
        names=paths if groups is None else groups,
        sha256=hashes,
        judged={hashes[index] for index in (*split.test, *split.calibration)},
        order=order,
    )
    train = tuple(index for index in split.train if index not in tuning)
    return replace(split, train=train, tuning=tuple(sorted(tuning)))


def _as_split(count: int, test: set[int], calibration: set[int], unused: set[int]) -> Split:
    others = test | calibration | unused
    return Split(
        train=tuple(i for i in range(count) if i not in others),
        test=tuple(sorted(test)),
        calibration=tuple(sorted(calibration)),
        unused=tuple(sorted(unused)),
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


def _order_groups(
    paths: Sequence[str], groups: Sequence[str], order: Sequence[bytes]
) -> list[list[int]]:
    """Return the images of each group in order, the groups in that in which they are drawn."""
    members: dict[str, list[int]] = {}
    for index in sorted(range(len(paths)), key=order.__getitem__):
        members.setdefault(groups[index], []).append(index)
    return sorted(members.values(), key=lambda indices: order[min(indices, key=paths.__getitem__)])


def _split_groups(
    groups: list[list[int]],
    labels: Sequence[int],
    test_per_class: int,
    fraction: float,
    max_abnormal: int | None,
    hashes: Sequence[str],
) -> Split:
    """Split whole groups, which and whose images are given in the order in which they are drawn."""

    def of_class(label: int, indices: list[int]) -> int:
        return sum(labels[index] == label for index in indices)

    sizes = [(of_class(0, indices), of_class(1, indices)) for indices in groups]
    for label, word in ((0, "normal"), (1, "abnormal")):
        if sum(size[label] > 0 for size in sizes) < 2:
            raise ValueError(f"one group has all {word} images; expected at least 2 groups")
    chosen = set(choose_groups(sizes, (test_per_class, test_per_class)))
    test = {index for number in chosen for index in groups[number]}
    tested = {hashes[index] for index in test}
    others = [indices for number, indices in enumerate(groups) if number not in chosen]
    outside = [index for indices in others for index in indices if labels[index] == 1]
    used = set(outside[:max_abnormal])
    kept: list[list[int]] = []
    if fraction > 0:
        abnormal = [indices for indices in others if not used.isdisjoint(indices)]
        possible = [
            indices for indices in abnormal if tested.isdisjoint(hashes[i] for i in indices)
        ]
        if len(abnormal) < 2 or not possible:
            raise _too_few(len(possible), "group with abnormal images")
        counts = [len(used.intersection(indices)) for indices in possible]
        wanted = _calibration_size(len(used), fraction)
        numbers = choose_groups([(0, count) for count in counts], (0, wanted)) or [0]
        kept = [possible[number] for number in numbers]
    split = _as_split(
        len(labels),
        test,
        {index for indices in kept for index in indices if index in used},
        {index for indices in kept for index in indices if labels[index] == 0}
        | (set(outside) - used),
    )
    if not any(labels[index] == 0 for index in split.train):
        raise ValueError(
            "all normal images outside the test set are in groups of calibration images, expected "
            "at least one to train"
        )
    return split


def order_key(seed: int, path: str) -> bytes:
    """Return the key by which images are ordered: the SHA-256 of ``"<seed>:<path>"``."""
    # The bytes of the path, independent of the machine's locale.
    return hashlib.sha256(f"{seed}:".encode() + os.fsencode(path)).digest()
