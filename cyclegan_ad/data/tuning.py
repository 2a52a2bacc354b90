"""Images kept out of the training of the networks, for what is fitted on top of them."""

from collections.abc import Sequence

from cyclegan_ad.data.choose_groups import Sizes, choose_groups
from cyclegan_ad.data.groups import join_copies
from cyclegan_ad.text import counted

_CLASSES = ("normal", "abnormal")


class TooFewToTune(ValueError):
    """There are too few images to train and to tune."""


def choose_tuning(
    train: Sequence[int],
    fraction: float,
    *,
    labels: Sequence[int],
    names: Sequence[str],
    sha256: Sequence[str],
    judged: set[str],
    order: Sequence[bytes],
) -> set[int]:
    """Choose a share of the training images of each class.

    Images of one name, or of equal content, are all chosen or all not chosen. Of the sets of whole
    names, the one whose sizes are closest to the share is taken, as by
    :func:`.choose_groups.choose_groups`; where all names and contents differ, these are the first
    images of each class in the given order.

    Args:
        train: Indices of the training images.
        fraction: Share of the images of each class, in (0, 1), rounded to the nearest integer; at
            least one image of each class, and never all.
        labels: Label of each image of the dataset, 0 normal or 1 abnormal.
        names: Name of each image, such as its group.
        sha256: SHA-256 of each file.
        judged: SHA-256 of the files that test or calibrate, whose copies are not chosen.
        order: Key of each image; images, or the smallest keys of a name, are tried in this order.

    Returns:
        Indices of the chosen images.

    Raises:
        TooFewToTune: If a class would have no image to tune or none left to train.
    """
    counts = [sum(labels[index] == label for index in train) for label in (0, 1)]
    for label, count in enumerate(counts):
        if count < 2:
            raise _too_few(count, label, "left")
    joined = join_copies([names[i] for i in train], [sha256[i] for i in train])
    units: dict[str, list[int]] = {}
    for index, name in zip(train, joined, strict=True):
        units.setdefault(name, []).append(index)
    possible = sorted(
        (unit for unit in units.values() if judged.isdisjoint(sha256[index] for index in unit)),
        key=lambda unit: min(order[index] for index in unit),
    )
    sizes = [_sizes(unit, labels) for unit in possible]
    wanted = [min(max(1, round(fraction * count)), count - 1) for count in counts]
    found = [any(size[label] for size in sizes) for label in (0, 1)]
    chosen = set(choose_groups(sizes, (wanted[0] * found[0], wanted[1] * found[1])))
    for label in (0, 1):
        if any(sizes[number][label] for number in chosen):
            continue
        # What is left to train may be images that cannot be chosen, as their copies are judged.
        taken = [sum(sizes[number][kind] for number in chosen) for kind in (0, 1)]
        fitting = (
            number
            for number, size in enumerate(sizes)
            if size[label] and all(taken[k] + size[k] < counts[k] for k in (0, 1))
        )
        number = next(fitting, None)
        if number is None:
            different = sum(size[label] > 0 for size in sizes)
            raise _too_few(different, label, "left that is no copy of a test image or of another")
        chosen.add(number)
    return {index for number in chosen for index in possible[number]}


def _sizes(unit: Sequence[int], labels: Sequence[int]) -> Sizes:
    abnormal = sum(labels[index] for index in unit)
    return len(unit) - abnormal, abnormal


def _too_few(found: int, label: int, which: str) -> TooFewToTune:
    return TooFewToTune(
        f"{counted(found, f'{_CLASSES[label]} image')} {which}, expected at least 2 (one to train, "
        "one to tune)"
    )
