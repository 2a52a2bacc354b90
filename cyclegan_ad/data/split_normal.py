"""Split of a dataset without abnormal images: what trains, and what sets the threshold."""

from collections.abc import Sequence

from cyclegan_ad.data.split import Split, order_key
from cyclegan_ad.text import counted


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
        >>> split = split_normal(["a", "b", "c", "d"], 0, fraction=0.5, groups=["1", "2", "1", "3"])
        >>> split.train, split.test
        ((1,), (0, 2, 3))
    """
    members: dict[str, list[int]] = {}
    for index in sorted(range(len(paths)), key=paths.__getitem__):
        members.setdefault(groups[index], []).append(index)
    if len(members) < 2:
        raise ValueError(f"{counted(len(members), 'different normal image')}, expected at least 2")
    ordered = sorted(members.values(), key=lambda group: order_key(seed, paths[group[0]]))
    wanted, kept = round(fraction * len(paths)), ordered[0]
    for group in ordered[1:-1]:
        if len(kept) >= wanted:
            break
        kept = kept + group
    return Split(
        train=tuple(i for i in range(len(paths)) if i not in set(kept)), test=tuple(sorted(kept))
    )
