"""Groups of images that never part over the subsets: of one patient, lot or part, and copies."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from cyclegan_ad.data.layouts.sample import CLASSES, Labelling, Sample
from cyclegan_ad.data.listing import to_nfc
from cyclegan_ad.errors import UserError
from cyclegan_ad.text import counted, shown_name


def find_groups(samples: Iterable[Sample], pattern: str) -> list[Sample]:
    r"""Return the samples with the group that a regular expression finds in their paths.

    Args:
        samples: Images without a group.
        pattern: Searched in the relative path; the group is its first capture group, or what the
            whole expression matches if it has none.

    Raises:
        UserError: If an image has a group already, or the expression finds none in its path.

    Example:
        >>> [one] = find_groups([Sample("OK/P07_2.png", 0, "OK")], r"P(\d+)_")
        >>> one.group
        '07'
    """
    expression = re.compile(pattern)
    grouped = []
    for sample in samples:
        if sample.group is not None:
            raise UserError(
                f"invalid dataset.group={pattern}: dataset.table has a column group; remove one of "
                "them"
            )
        found = expression.search(sample.path)
        name = found[1 if expression.groups else 0] if found else None
        if not name:
            raise UserError(
                f"invalid dataset.group={pattern}: it finds no group in {shown_name(sample.path)}; "
                "change the expression, or leave the image out with dataset.exclude=FILE"
            )
        grouped.append(replace(sample, group=to_nfc(name)))
    return grouped


def group_images(samples: Sequence[Sample], sha256: Sequence[str]) -> list[str]:
    """Return the group of each image, in which files of equal content are together.

    Args:
        samples: The images.
        sha256: SHA-256 of each file, the name of its group if no groups were asked for.
    """
    names = [sample.group for sample in samples if sample.group is not None]
    return join_copies(names, sha256) if names else list(sha256)


def groups_to_split(
    samples: Sequence[Sample],
    sha256: Sequence[str],
    keep_copies_together: bool,
    labelling: Labelling,
    dataset: str,
) -> list[str] | None:
    """Return the groups that may not part over training, calibration and test.

    Args:
        samples: The images.
        sha256: SHA-256 of each file.
        keep_copies_together: Whether files of equal content may not part either.
        labelling: Which setting made the groups, for the message.
        dataset: Name of the dataset, for the message.

    Returns:
        Group of each image; None if any two images may part.

    Raises:
        UserError: If one group has all images of a class; names the setting.
    """
    groups = [sample.group for sample in samples if sample.group is not None]
    if keep_copies_together:
        groups = group_images(samples, sha256)
    if groups:
        _require_two_groups(samples, groups, labelling, dataset)
    return groups or None


def _require_two_groups(
    samples: Sequence[Sample], groups: Sequence[str], labelling: Labelling, dataset: str
) -> None:
    for label, word in CLASSES.items():
        own = [
            group for sample, group in zip(samples, groups, strict=True) if sample.label == label
        ]
        if len(set(own)) != 1:
            continue
        if samples[0].group is None:
            setting, what = "dataset.keep_copies_together=true", "copies of one file"
            remedy = "add images"
        else:
            table = f"dataset.table={labelling.table}"
            setting = table if labelling.group is None else f"dataset.group={labelling.group}"
            what, remedy = (
                f"in one group ({shown_name(own[0])})",
                "use smaller groups or add images",
            )
        raise UserError(
            f"invalid {setting} for dataset {dataset}: {counted(len(own), f'{word} image')} in "
            f"total, all {what}, expected at least 2 groups per class, one to train and one to "
            f"test; {remedy}"
        )


def require_one_class(samples: Iterable[Sample], sha256: Iterable[str], root: Path) -> None:
    """Check that no file is, byte for byte, in both classes.

    Raises:
        UserError: If one is; names both paths.
    """
    first: dict[str, Sample] = {}
    for sample, content in zip(samples, sha256, strict=True):
        other = first.setdefault(content, sample)
        if other.label != sample.label:
            normal, abnormal = sorted((other, sample), key=lambda one: one.label)
            raise UserError(
                f"one file is in both classes in {root}: normal {shown_name(normal.path)} and "
                f"abnormal {shown_name(abnormal.path)} are byte-identical; remove the wrong one or "
                "leave it out with dataset.exclude=FILE"
            )


def join_copies(names: Sequence[str], sha256: Sequence[str]) -> list[str]:
    """Return the groups in which files of equal content are in one group too.

    Args:
        names: Group of each image.
        sha256: SHA-256 of each file.

    Returns:
        Name of the group of each image: of groups that share a file, the first name.

    Example:
        >>> join_copies(["a", "b", "c", "d"], ["1", "2", "2", "3"])
        ['a', 'b', 'b', 'd']
    """
    parents = {name: name for name in names}

    def first_of(name: str) -> str:
        while parents[name] != name:
            parents[name] = name = parents[parents[name]]
        return name

    holder: dict[str, str] = {}
    for name, content in zip(names, sha256, strict=True):
        one, other = sorted((first_of(name), first_of(holder.setdefault(content, name))))
        parents[other] = one
    return [first_of(name) for name in names]
