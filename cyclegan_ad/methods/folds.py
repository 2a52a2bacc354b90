"""Folds of images: every class in each, and images of one group never part."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def smallest_class(labels: Sequence[int], groups: Sequence[str]) -> tuple[int, int]:
    """Return the class with the fewest groups, and their number; the abnormal one if equal.

    >>> smallest_class([0, 0, 1, 1], ["a", "b", "c", "c"])
    (1, 1)
    """
    pairs = set(zip(labels, groups, strict=True))
    return min(
        ((label, sum(own == label for own, _ in pairs)) for label in (1, 0)),
        key=lambda found: found[1],
    )


def assign_folds(
    labels: Sequence[int], groups: Sequence[str], folds: int, seed: int
) -> NDArray[np.int64]:
    """Divide images into folds that share the classes evenly; images of one group never part.

    Groups that mix classes come first, then abnormal ones. Within these, groups are ordered by
    size, then by the SHA-256 of ``"<seed>:<group>"``; each goes to the fold that has the fewest
    images of its classes, then the fewest of all. The result depends only on
    the arguments, not on the order of the images or on library versions.

    Args:
        labels: Label of each image, 0 normal or 1 abnormal.
        groups: Group of each image, e.g. the SHA-256 of its file.
        folds: Number of folds, from 2 to the groups of the smaller class.
        seed: Seed of the order.

    Returns:
        (N,) int64, the fold of each image, from 0. Each fold has images of both classes unless
        groups that mix them prevent it; without any one fold, both classes are left.

    Raises:
        ValueError: If there are more folds than groups of a class, or fewer than 2 folds.

    Example:
        >>> assign_folds([0, 0, 0, 1, 1], ["a", "b", "a", "c", "d"], folds=2, seed=0).tolist()
        [0, 1, 0, 1, 0]
    """
    _, possible = smallest_class(labels, groups)
    if not 2 <= folds <= possible:
        raise ValueError(f"invalid folds={folds}: expected 2 to {possible}, the groups of a class")
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)

    def order(group: str) -> tuple[int, str]:
        # Names of groups need not be valid UTF-8.
        named = f"{seed}:{group}".encode(errors="surrogateescape")
        digest = hashlib.sha256(named).hexdigest()
        return -len(members[group]), digest

    counts = np.zeros((folds, 2), np.int64)
    # Mixed groups first: two of them are then in different folds, and so is a group of a class
    # that one mixed group has. Abnormal ones before normal ones, which even out the sizes.
    classes = {name: {labels[index] for index in members[name]} for name in members}
    ordered = sorted(members, key=order)
    ordered.sort(key=lambda group: (-len(classes[group]), -max(classes[group])))
    found = np.zeros(len(labels), np.int64)
    for group in ordered:
        own = np.bincount([labels[index] for index in members[group]], minlength=2)
        same_class = counts[:, own > 0].sum(axis=1)
        fold = min(range(folds), key=lambda k: (same_class[k], counts[k].sum(), k))
        counts[fold] += own
        found[members[group]] = fold
    return found
