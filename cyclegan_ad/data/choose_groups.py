"""Choice of whole groups whose sizes add up to a wanted number of images of each class."""

from collections.abc import Sequence

import numpy as np

Sizes = tuple[int, int]
"""Normal and abnormal images, of a group or of a choice."""

# Above this number of possible sums, the groups with images of both classes are chosen one by one.
_MOST_SUMS = 2**20


def choose_groups(sizes: Sequence[Sizes], target: Sizes) -> list[int]:
    """Choose groups so that their images come closest to a target, and not all of a class.

    The distance is the sum over both classes. Of equally close sums, the one with classes of more
    equal size (if a group has both), then the smaller one is taken, in the way that reaches least
    far into the given order. Where all groups have one image, these are the first ones of each
    class.

    Args:
        sizes: Images of each group, in the order of preference.
        target: Wanted images; a class with target 0 is not asked for.

    Returns:
        Indices of the groups, ascending. Each class that is asked for has at least one image among
        them and one outside, if it has at least two groups.

    Example:
        >>> choose_groups([(0, 3), (0, 2), (2, 0), (0, 2), (1, 0), (1, 0)], (2, 4))
        [1, 2, 3]
    """
    if all(0 in size for size in sizes):  # the classes do not depend on each other
        chosen: list[int] = []
        for label in (0, 1):
            if target[label]:
                members = [i for i, size in enumerate(sizes) if size[label]]
                own: Sizes = (target[0], 0) if label == 0 else (0, target[1])
                chosen += [members[i] for i in _choose([sizes[i] for i in members], own)]
        return sorted(chosen)
    return _choose(sizes, target)


def _choose(sizes: Sequence[Sizes], target: Sizes) -> list[int]:
    totals = [sum(size[label] for size in sizes) for label in (0, 1)]
    largest = [max((size[label] for size in sizes), default=0) for label in (0, 1)]
    # Any two groups are possible, which suffice for one image of each class.
    most = [
        min(total - 1, wanted + 2 * large) if wanted else total
        for total, wanted, large in zip(totals, target, largest, strict=True)
    ]
    least = [min(1, wanted) for wanted in target]
    if (most[0] + 1) * (most[1] + 1) > _MOST_SUMS and min(most) > 0:
        return _one_by_one(sizes, target, most)
    first = np.full(
        (most[0] + 1, most[1] + 1), -1, dtype=np.int32
    )  # group that reaches a sum first
    reached = np.zeros(first.shape, dtype=np.bool_)
    reached[0, 0] = True
    for index, (normal, abnormal) in enumerate(sizes):
        if normal > most[0] or abnormal > most[1]:
            continue
        new = np.zeros_like(reached)
        new[normal:, abnormal:] = reached[: most[0] + 1 - normal, : most[1] + 1 - abnormal]
        new &= ~reached
        first[new] = index
        reached |= new
        if target[0] <= most[0] and target[1] <= most[1] and reached[target]:
            break
    sums = [(int(a), int(b)) for a, b in np.argwhere(reached) if a >= least[0] and b >= least[1]]
    if not sums:
        return []
    at = min(sums, key=lambda found: _rank(found, target))
    chosen = []
    while at != (0, 0):
        index = int(first[at])
        chosen.append(index)
        at = (at[0] - sizes[index][0], at[1] - sizes[index][1])
    return sorted(chosen)


def _rank(found: Sizes, target: Sizes) -> tuple[int, int, Sizes]:
    asked = [label for label in (0, 1) if target[label]]
    distance = sum(abs(found[label] - target[label]) for label in asked)
    return distance, abs(found[0] - found[1]) if len(asked) == 2 else 0, found


def _one_by_one(sizes: Sequence[Sizes], target: Sizes, most: Sequence[int]) -> list[int]:
    """Take each group, in order, that brings the sums closer to the target."""
    chosen, at = [], (0, 0)
    for index, size in enumerate(sizes):
        then = (at[0] + size[0], at[1] + size[1])
        fits = then[0] <= most[0] and then[1] <= most[1]
        missing = any(at[label] == 0 < size[label] for label in (0, 1))
        if fits and (missing or _rank(then, target)[0] < _rank(at, target)[0]):
            chosen.append(index)
            at = then
    return chosen
