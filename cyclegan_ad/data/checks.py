"""Checks of a dataset after its images are read: errors, and notes about possible problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cyclegan_ad.data.layouts.found import describe_ignored
from cyclegan_ad.data.layouts.unread import list_unread_folders
from cyclegan_ad.data.samples import Sample
from cyclegan_ad.data.split import Split, split_samples
from cyclegan_ad.data.split_normal import split_normal
from cyclegan_ad.data.tuning import TooFewToTune
from cyclegan_ad.errors import UserError
from cyclegan_ad.methods.names import NORMAL_ONLY
from cyclegan_ad.text import counted

if TYPE_CHECKING:
    from cyclegan_ad.data.datamodule import AnomalyDataModule

_NAMED = 3
_DARK = 64  # of 255
_IMAGES_AT_ONCE = 64


def require_readable(unreadable: Mapping[str, str], count: int, what: str, root: Path) -> None:
    """Check that all ``count`` files of a kind could be read.

    Raises:
        UserError: If there are unreadable ones (path -> reason); names all of them, but only the
            first few that a package to install would read.
    """
    if unreadable:
        alike: dict[str, list[str]] = {}
        for path, reason in unreadable.items():
            alike.setdefault(reason, []).append(path)
        names = {
            reason: _name(paths) if "pip install" in reason else ", ".join(paths)
            for reason, paths in alike.items()
        }
        listed = ", ".join(f"{paths} ({reason})" for reason, paths in names.items())
        raise UserError(
            f"{len(unreadable)} of {count} {what} in {root} cannot be used: {listed}; "
            "repair or remove them, or skip them with dataset.skip_unreadable=true"
        )


def require_classes(
    data: AnomalyDataModule, samples: Sequence[Sample], kept: Sequence[Sample]
) -> None:
    """Check that each class has enough images to be split.

    Args:
        data: Data module, for its settings.
        samples: All images.
        kept: Those that can be read.

    Raises:
        UserError: If a class has fewer than two images that can be read; with ``normal_only``, if
            there are abnormal ones. Without any abnormal images, it names what needs none.
    """
    of_class = Counter(sample.label for sample in samples)
    if data.normal_only and of_class[1]:
        raise UserError(
            f"invalid protocol=quantile for dataset {data.dataset_name} with "
            f"{counted(of_class[1], 'abnormal image')} in {data.root}: it is for datasets without; "
            "use protocol=crossfit, or leave them out with dataset.exclude=FILE"
        )
    ignored = data.ignored_files
    others = f" ({describe_ignored(ignored)} ignored)" if ignored else ""
    readable = Counter(sample.label for sample in kept)
    for label, word in enumerate(["normal"] if data.normal_only else ["normal", "abnormal"]):
        listed, found = of_class[label], readable[label]
        if found < 2:
            skipped = f" ({listed - found} unreadable skipped)" if listed > found else ""
            alone = ""  # what needs no abnormal images
            if label == 1 and listed == 0:
                both = "abnormal" in data.classes
                method = f"method={NORMAL_ONLY} and " if both else ""
                alone = f", or use {method}protocol=quantile: without abnormal images"
            raise UserError(
                f"dataset {data.dataset_name} has {counted(found, f'{word} image')} "
                f"in {data.root}{skipped}{others}: expected at least 2 per class, one to train and "
                f"one to test; add images or use another folder with dataset.root=PATH{alone}"
            )


def checked_split(
    data: AnomalyDataModule, samples: Sequence[Sample], groups: Sequence[str] | None = None
) -> Split:
    """Draw the split of a seed (see :mod:`cyclegan_ad.data.split`).

    Args:
        data: Data module, with the hashes of the samples.
        samples: The images that can be read.
        groups: Group of each, which no subset parts; None for none.

    Raises:
        UserError: If there are too few abnormal images for calibration, too few images of a class
            for tuning or, with ``normal_only``, too few different normal ones.
    """
    paths, fraction = [sample.path for sample in samples], data.calibration_fraction
    try:
        if data.normal_only:
            return split_normal(paths, data.seed, fraction=fraction, groups=groups or data.sha256)
        labels = [sample.label for sample in samples]
        return split_samples(
            paths,
            labels,
            data.seed,
            calibration_fraction=fraction,
            tuning_fraction=data.tuning_fraction,
            max_abnormal=data.max_abnormal,
            sha256=data.sha256,
            groups=groups,
        )
    except TooFewToTune as error:
        raise UserError(
            f"invalid method.tuning_fraction={data.tuning_fraction} for {_limited(data)}: "
            f"{error}; {_more(data)} or use method.tuning_fraction=0"
        ) from error
    except ValueError as error:
        remedy = (
            "add normal images" if data.normal_only else f"{_more(data)} or use protocol=crossfit"
        )
        raise UserError(
            f"invalid protocol.calibration_fraction={fraction} for {_limited(data)}: "
            f"{error}; {remedy}"
        ) from error


def _limited(data: AnomalyDataModule) -> str:
    limit = "" if data.max_abnormal is None else f" with dataset.max_abnormal={data.max_abnormal}"
    return f"dataset {data.dataset_name}{limit}"


def _more(data: AnomalyDataModule) -> str:
    return "add abnormal images" if data.max_abnormal is None else "use a larger number"


def collect_notes(data: AnomalyDataModule) -> Iterator[str]:
    """Yield one line per problem that makes the results less reliable than they seem.

    Args:
        data: Data module after ``setup``.
    """
    if data.ignored_files:
        yield f"{describe_ignored(data.ignored_files)} ignored"
    folders = list_unread_folders(data.layout, data.root, data.labelling)
    if folders:
        yield f"folders that are not part of layout {data.layout} ignored: {_name(folders)}"
    masks = [sample.path for sample in data.samples if _looks_like_mask(sample.path)]
    if masks:
        named = counted(len(masks), "image is named like a mask", "images are named like masks")
        yield f"{named} ({_name(masks)}); check whether they belong to the dataset"
    brightest = _brightest(data)
    if brightest < _DARK:
        yield (
            f"the brightest pixel of all images is {brightest} of 255; brighten them, or narrow "
            "dataset.window=[LOW,HIGH] if they have more than 8 bits"
        )
    yield from _notes_on_groups(data)
    both = _with_both_labels(data)
    if both:
        files = counted(len(both), "file is", "files are")
        yield f"{files} byte-identical to a file of the other class ({_name(both)})"
    empty = [data.samples[i].path for i in data.masks.empty]
    if empty:
        yield (
            f"the masks of {counted(len(empty), 'abnormal image')} are all black "
            f"({_name(empty)}); they are treated as missing"
        )
    mostly = [data.samples[i].path for i in data.masks.mostly]
    if mostly:
        yield (
            f"the masks of {counted(len(mostly), 'image')} cover more than half of the image "
            f"({_name(mostly)}); nonzero pixels must mark the defect"
        )
    leaked = leaked_images(data)
    if leaked:
        judged = "test or calibration" if data.split.calibration else "test"
        yield (
            f"{counted(len(leaked), f'{judged} image is', f'{judged} images are')} byte-identical "
            f"to a training image, so the results are optimistic ({_name(leaked)})"
        )


def _notes_on_groups(data: AnomalyDataModule) -> Iterator[str]:
    """Say what the split would be if the images of a group were allowed to part."""
    found, tested = (
        [sum(data.samples[i].label == label for i in indices) for label in (0, 1)]
        for indices in (range(len(data.samples)), data.split.test)
    )
    wanted = min(found) // 2
    if not data.normal_only and data.split.test and tested != [wanted, wanted]:
        yield (
            f"the test set has {tested[0]} normal and {tested[1]} abnormal images instead of "
            f"{wanted} of each, as images of one group are kept together"
        )
    unused = Counter(data.samples[i].label for i in data.split.unused)
    if unused[0]:
        yield (
            f"{counted(unused[0], 'normal image')} not used, as abnormal images of "
            "the same group are kept for calibration"
        )
    if unused[1]:
        yield (
            f"{counted(unused[1], 'abnormal image')} not used, as dataset.max_abnormal="
            f"{data.max_abnormal}"
        )


def leaked_images(data: AnomalyDataModule) -> list[str]:
    """Return the paths of test and calibration images byte-identical to a training image."""
    train = {data.sha256[i] for label in data.trained_labels for i in data.train_indices(label)}
    judged = (*data.split.test, *data.split.calibration)
    return [data.samples[i].path for i in judged if data.sha256[i] in train]


def _looks_like_mask(path: str) -> bool:
    folder, _, name = path.lower().rpartition("/")
    return "_mask" in name or folder.rpartition("/")[2] in ("mask", "masks", "ground_truth")


def _brightest(data: AnomalyDataModule) -> int:
    """Return the largest value of all pixels, or of those up to the first bright batch."""
    brightest = 0
    for start in range(0, len(data.rows), _IMAGES_AT_ONCE):
        rows = data.rows[start : start + _IMAGES_AT_ONCE]
        brightest = max(brightest, int(data.images[rows].max(initial=0)))
        if brightest >= _DARK:
            break
    return brightest


def _with_both_labels(data: AnomalyDataModule) -> list[str]:
    """Return the paths of images whose content also occurs with the other label."""
    labels: dict[str, set[int]] = {}
    for sample, sha256 in zip(data.samples, data.sha256, strict=True):
        labels.setdefault(sha256, set()).add(sample.label)
    return [
        sample.path
        for sample, sha256 in zip(data.samples, data.sha256, strict=True)
        if len(labels[sha256]) > 1
    ]


def _name(paths: Collection[str]) -> str:
    return ", ".join(list(paths)[:_NAMED]) + (", ..." if len(paths) > _NAMED else "")
