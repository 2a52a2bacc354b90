"""Which images train and which test (Sec. 3.1): one run of the paper is one seed of this split."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from cyclegan_ad.text import counted


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into the list of images, ascending; every image is in exactly one of the three.

    Attributes:
        train: Images that train.
        test: Images that test, as many normal as abnormal ones.
        calibration: Abnormal images that neither train nor test, to set a threshold on.
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
    """Draws a balanced test set: half of the smaller class, and as many of the other one.

    The images of a class are ordered by the SHA-256 of ``"<seed>:<path>"`` and the first ones
    test, so the split depends on nothing but its arguments: no library version, no machine, and
    not the order in which the images are listed.

    Args:
        paths: Path of each image relative to the dataset's root, all different.
        labels: Label of each image, 0 normal or 1 abnormal.
        seed: Number of the run.
        calibration_fraction: Part, in [0, 1), of the abnormal images left for training that is
            kept for calibration instead: rounded to the nearest number, but at least one image
            and never all of them. The test set does not depend on it.
        sha256: Hash of each file. Copies of a test image are not taken for calibration; copies of
            a calibration image calibrate too instead of training, unless none would be left to
            train. None: all differ.

    Returns:
        A test set of ``min(n_normal, n_abnormal) // 2`` images a class; the rest trains, but for
        what is kept for calibration.

    Raises:
        ValueError: Lengths differ, a path occurs twice, a label is neither 0 nor 1, a class has
            fewer than 2 images, or no abnormal image would be left to train or to calibrate.

    Example:
        >>> split_samples(["a", "b", "c", "d", "e"], [0, 0, 0, 1, 1], seed=0)
        Split(train=(1, 2, 4), test=(0, 3), calibration=())
    """
    if len(paths) != len(labels):
        raise ValueError(
            f"{counted(len(paths), 'path')} for {counted(len(labels), 'label')}: give each path one"
        )
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
    for indices in classes.values():
        indices.sort(key=lambda index: _draw(seed, paths[index]))
    test = {index for indices in classes.values() for index in indices[:test_per_class]}
    hashes = paths if sha256 is None else sha256
    tested = {hashes[index] for index in test}
    calibration = _kept(classes[1][test_per_class:], calibration_fraction, tested, hashes)
    return Split(
        train=tuple(i for i in range(len(paths)) if i not in test and i not in calibration),
        test=tuple(sorted(test)),
        calibration=tuple(sorted(calibration)),
    )


def _kept(
    abnormal: list[int], fraction: float, tested: set[str], hashes: Sequence[str]
) -> set[int]:
    """Choose from the abnormal images, in order, that are not in the test set."""
    if fraction == 0:
        return set()
    possible = [index for index in abnormal if hashes[index] not in tested]
    if len(abnormal) < 2 or not possible:
        raise ValueError(
            f"{counted(len(possible), 'abnormal image')} beside the test set; one is "
            "needed to train and one to calibrate"
        )
    count = min(max(1, round(fraction * len(abnormal))), len(abnormal) - 1)
    kept = set(possible[:count])
    chosen = {hashes[index] for index in kept}
    with_copies = {index for index in possible if hashes[index] in chosen}
    return with_copies if len(with_copies) < len(abnormal) else kept


def _draw(seed: int, path: str) -> bytes:
    # The bytes of the name, whatever characters this machine's locale takes them for.
    return hashlib.sha256(f"{seed}:".encode() + os.fsencode(path)).digest()
