"""Split into training and test images (Sec. 3.1); one run of the paper is one seed."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from cyclegan_ad.text import counted


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into the list of images, ascending; every image is in exactly one of the three.

    Attributes:
        train: Training images.
        test: Test images, as many normal as abnormal ones.
        calibration: Abnormal images used for neither, to set a threshold on.

    Without abnormal images (`split_normal`), ``test`` has the normal images kept out of training.
    """

    train: tuple[int, ...]
    test: tuple[int, ...]
    calibration: tuple[int, ...] = ()


def split_samples(
    paths: Sequence[str],
    labels: Sequence[int],
    seed: int,
    *,
    calibration_fraction: float = 0.0,
    sha256: Sequence[str] | None = None,
) -> Split:
    """Draw a balanced test set: half of the smaller class, and as many of the other one.

    The images of each class are ordered by the SHA-256 of ``"<seed>:<path>"``, and the first ones
    form the test set. The split depends only on the arguments, not on library versions, the machine
    or the order of the images.

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

    Returns:
        Split with ``min(n_normal, n_abnormal) // 2`` test images per class.

    Raises:
        ValueError: Lengths differ, a path occurs twice, a label is neither 0 nor 1, a class has
            fewer than 2 images, or no abnormal image would be left to train or to calibrate.

    Example:
        >>> split_samples(["a", "b", "c", "d", "e"], [0, 0, 0, 1, 1], seed=0)
        Split(train=(1, 2, 4), test=(0, 3), calibration=())
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
    for indices in classes.values():
        indices.sort(key=lambda index: _order_key(seed, paths[index]))
    test = {index for indices in classes.values() for index in indices[:test_per_class]}
    hashes = paths if sha256 is None else sha256
    tested = {hashes[index] for index in test}
    calibration = _choose_calibration(
        classes[1][test_per_class:], calibration_fraction, tested, hashes
    )
    return Split(
        train=tuple(i for i in range(len(paths)) if i not in test and i not in calibration),
        test=tuple(sorted(test)),
        calibration=tuple(sorted(calibration)),
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
        fraction: Fraction of the images to keep out, in (0, 1): rounded to the nearest integer, but
            at least one group and never all of them.
        groups: Name of the group of each image, e.g. the SHA-256 of the file; images of one group
            are in the same part.

    Returns:
        Split whose ``test`` holds these images.

    Raises:
        ValueError: If there are fewer than 2 groups.

    Example:
        >>> split_normal(["a", "b", "c", "d"], 0, fraction=0.5, groups=["1", "2", "1", "3"])
        Split(train=(0, 2), test=(1, 3), calibration=())
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
        raise ValueError(
            f"{counted(len(possible), 'abnormal image')} outside the test set, expected at least 2 "
            "(one to train, one to calibrate)"
        )
    count = min(max(1, round(fraction * len(abnormal))), len(abnormal) - 1)
    kept = set(possible[:count])
    chosen = {hashes[index] for index in kept}
    with_copies = {index for index in possible if hashes[index] in chosen}
    return with_copies if len(with_copies) < len(abnormal) else kept


def _order_key(seed: int, path: str) -> bytes:
    # The bytes of the path, independent of the machine's locale.
    return hashlib.sha256(f"{seed}:".encode() + os.fsencode(path)).digest()
