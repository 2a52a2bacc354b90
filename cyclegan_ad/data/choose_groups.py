"""Choice of whole groups whose sizes add up to a wanted number of images of each class."""

from collections.abc import Sequence

import numpy as np

Sizes = tuple[int, int]
"""Normal and abnormal images, of a group or of a choice."""

# Sums times groups that are tried exactly, about a second; of larger sets, some groups are taken as
# they come, and the rest of the target is met exactly.
_MOST_TRIALS = 2**28


def choose_groups(sizes: Sequence[Sizes], target: Sizes) -> list[int]:
    """Choose groups so that their images come closest to a target, and not all of a class.

    Of sets so large that this would take more than seconds, the result need not be the closest.

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
    # Any two groups are possible, which suffice for one image of each class.
    spare = [2 * max((size[label] for size in sizes), default=0) for label in (0, 1)]
    most = [
        min(total - 1, wanted + large) if wanted else 0
        for total, wanted, large in zip(totals, target, spare, strict=True)
    ]
    taken, at = _take_first(sizes, target, most)
    rest = sorted(set(range(len(sizes))) - set(taken))
    chosen = _reach([sizes[i] for i in rest], target, at, most)
    return sorted([*taken, *(rest[i] for i in chosen)])


def _take_first(
    sizes: Sequence[Sizes], target: Sizes, most: Sequence[int]
) -> tuple[list[int], Sizes]:
    """Take groups in order, until the rest is few enough to be tried exactly.

    Those are taken first that keep the classes even, as more choices are left with them.

    Returns:
        Indices of the groups, and their images.
    """
    taken: dict[int, None] = {}
    at = (0, 0)
    uneven = max((max(size) for size in sizes), default=0) if all(target) else sum(most)
    for allowed in (uneven, sum(most)):
        for index, size in enumerate(sizes):
            sums = (most[0] - at[0] + 1) * (most[1] - at[1] + 1)
            if sums * (len(sizes) - len(taken)) <= _MOST_TRIALS:
                return list(taken), at
            then = (at[0] + size[0], at[1] + size[1])
            fits = then[0] <= target[0] and then[1] <= target[1]
            if fits and index not in taken and abs(then[0] - then[1]) <= allowed:
                taken[index] = None
                at = then
    return list(taken), at


def _reach(sizes: Sequence[Sizes], target: Sizes, start: Sizes, most: Sequence[int]) -> list[int]:
    """Choose groups that, with what is taken already, come closest to the target.

    Args:
        sizes: Images of each group that is not taken.
        target: Wanted images.
        start: Images of the groups that are taken.
        most: Largest sums that are possible.
    """
    # Of each sum, the group by which it was reached first.
    first = np.full((most[0] - start[0] + 1, most[1] - start[1] + 1), -1, dtype=np.int32)
    reached = np.zeros(first.shape, dtype=np.bool_)
    reached[0, 0] = True
    goal = (target[0] - start[0], target[1] - start[1])
    possible = goal[0] < first.shape[0] and goal[1] < first.shape[1]
    for index, (normal, abnormal) in enumerate(sizes):
        if normal >= first.shape[0] or abnormal >= first.shape[1]:
            continue
        new = np.zeros_like(reached)
        new[normal:, abnormal:] = reached[: first.shape[0] - normal, : first.shape[1] - abnormal]
        new &= ~reached
        first[new] = index
        reached |= new
        if possible and reached[goal]:
            break
    least = [min(1, wanted) - taken for wanted, taken in zip(target, start, strict=True)]
    sums = [(int(a), int(b)) for a, b in np.argwhere(reached) if a >= least[0] and b >= least[1]]
    if not sums:
        return []
    at = min(sums, key=lambda found: _rank(found, goal))
    chosen = []
    while at != (0, 0):
        index = int(first[at])
        chosen.append(index)
        at = (at[0] - sizes[index][0], at[1] - sizes[index][1])
    return chosen


def _rank(found: Sizes, goal: Sizes) -> tuple[int, int, Sizes]:
    over = (found[0] - goal[0], found[1] - goal[1])
    return abs(over[0]) + abs(over[1]), abs(over[0] - over[1]), found
