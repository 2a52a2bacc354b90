"""Checks of a dataset after its images are read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from cyclegan_ad.data.notes import describe_ignored
from cyclegan_ad.data.samples import Sample
from cyclegan_ad.data.split import Split, split_samples
from cyclegan_ad.errors import UserError
from cyclegan_ad.text import counted


def require_readable(unreadable: Mapping[str, str], count: int, what: str, root: Path) -> None:
    """Check that all files could be read.

    Args:
        unreadable: Path -> why it cannot be read.
        count: Number of all files.
        what: Kind of the files, for the message.
        root: Folder of the dataset.

    Raises:
        UserError: If there are unreadable files; names all of them.
    """
    if unreadable:
        alike: dict[str, list[str]] = {}
        for path, reason in unreadable.items():
            alike.setdefault(reason, []).append(path)
        listed = ", ".join(f"{', '.join(paths)} ({reason})" for reason, paths in alike.items())
        raise UserError(
            f"{len(unreadable)} of {count} {what} in {root} cannot be used: {listed}; "
            "repair or remove them, or skip them with dataset.skip_unreadable=true"
        )


def require_both_classes(
    samples: Sequence[Sample],
    kept: Sequence[Sample],
    dataset: str,
    root: Path,
    ignored_files: Counter[str],
) -> None:
    """Check that each class has enough images to be split.

    Args:
        samples: All images.
        kept: Those that can be read.
        dataset: Name of the dataset.
        root: Its folder.
        ignored_files: Suffix -> number of files without an image suffix.

    Raises:
        UserError: If a class has fewer than two.
    """
    others = f" ({describe_ignored(ignored_files)} ignored)" if ignored_files else ""
    for label, word in ((0, "normal"), (1, "abnormal")):
        listed, found = (sum(s.label == label for s in some) for some in (samples, kept))
        if found < 2:
            skipped = f" ({listed - found} unreadable skipped)" if listed > found else ""
            raise UserError(
                f"dataset {dataset} has {counted(found, f'{word} image')} "
                f"in {root}{skipped}{others}: expected at least 2 per class, one to train and one "
                "to test; add images or use another folder with dataset.root=PATH"
            )


def draw_split(
    samples: Sequence[Sample],
    sha256: Sequence[str],
    seed: int,
    calibration_fraction: float,
    dataset: str,
) -> Split:
    """Draw the split of a seed (see :func:`cyclegan_ad.data.split.split_samples`).

    Args:
        samples: All images that can be read, at least two of each class.
        sha256: SHA-256 of the contents of each file.
        seed: Seed of the split.
        calibration_fraction: Fraction of the abnormal training images kept out of training.
        dataset: Name of the dataset.

    Raises:
        UserError: If there are too few abnormal images for calibration.
    """
    try:
        return split_samples(
            [sample.path for sample in samples],
            [sample.label for sample in samples],
            seed,
            calibration_fraction=calibration_fraction,
            sha256=sha256,
        )
    except ValueError as error:
        raise UserError(
            f"invalid protocol.calibration_fraction={calibration_fraction} for dataset {dataset}: "
            f"{error}; add abnormal images or use protocol=crossfit"
        ) from error
