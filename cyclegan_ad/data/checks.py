"""Checks of a dataset after its images are read, which end in an error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cyclegan_ad.data.layouts.found import describe_ignored
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
            reason: name_some(paths) if "pip install" in reason else ", ".join(paths)
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
            f"invalid method.tuning_fraction={data.tuning_fraction} for {limited(data)}: "
            f"{error}; {more_abnormal(data)} or use method.tuning_fraction=0 with "
            "score=signals"
        ) from error
    except ValueError as error:
        remedy = (
            "add normal images"
            if data.normal_only
            else f"{more_abnormal(data)} or use protocol=crossfit"
        )
        raise UserError(
            f"invalid protocol.calibration_fraction={fraction} for {limited(data)}: "
            f"{error}; {remedy}"
        ) from error


def limited(data: AnomalyDataModule) -> str:
    """Name the dataset of an error about its abnormal images, with the limit of their number."""
    limit = "" if data.max_abnormal is None else f" with dataset.max_abnormal={data.max_abnormal}"
    return f"dataset {data.dataset_name}{limit}"


def more_abnormal(data: AnomalyDataModule) -> str:
    """Say how there would be more abnormal images to train on."""
    limit = data.max_abnormal
    return "add abnormal images" if limit is None else "use a larger dataset.max_abnormal"


def name_some(paths: Collection[str]) -> str:
    """Name the first few paths."""
    return ", ".join(list(paths)[:_NAMED]) + (", ..." if len(paths) > _NAMED else "")
