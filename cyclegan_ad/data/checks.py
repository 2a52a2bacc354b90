"""What stops a job once its images are read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from cyclegan_ad.data.notes import describe_passed_over
from cyclegan_ad.data.samples import Sample
from cyclegan_ad.data.split import Split, split_samples
from cyclegan_ad.errors import UserError
from cyclegan_ad.text import counted


def refuse_unreadable(unreadable: Mapping[str, str], count: int, what: str, root: Path) -> None:
    """Stop if files cannot be read, naming all of them.

    Args:
        unreadable: Path -> why it cannot be read.
        count: Files in all.
        what: What they are, for the message.
        root: Folder of the dataset.

    Raises:
        UserError: If there are any.
    """
    if unreadable:
        alike: dict[str, list[str]] = {}
        for path, reason in unreadable.items():
            alike.setdefault(reason, []).append(path)
        listed = ", ".join(f"{', '.join(paths)} ({reason})" for reason, paths in alike.items())
        raise UserError(
            f"{len(unreadable)} of {count} {what} under {root} cannot be used: {listed}; "
            "repair or remove them, or go on without them with dataset.skip_unreadable=true"
        )


def require_both_classes(
    samples: Sequence[Sample],
    kept: Sequence[Sample],
    dataset: str,
    root: Path,
    passed_over: Counter[str],
) -> None:
    """Stop if a class has too few images to be split.

    Args:
        samples: All images.
        kept: Those that can be read.
        dataset: Name of the dataset.
        root: Its folder.
        passed_over: Suffix -> files that were not read.

    Raises:
        UserError: If a class has fewer than two.
    """
    others = f" (not read: {describe_passed_over(passed_over)})" if passed_over else ""
    for label, word in ((0, "normal"), (1, "abnormal")):
        listed, found = (sum(s.label == label for s in some) for some in (samples, kept))
        if found < 2:
            skipped = f" ({listed - found} unreadable skipped)" if listed > found else ""
            raise UserError(
                f"dataset {dataset} has {counted(found, f'{word} image')} "
                f"under {root}{skipped}{others}, but each class needs at least 2, one to train "
                "and one to test: add images or name another folder with dataset.root=PATH"
            )


def split_or_refuse(
    samples: Sequence[Sample],
    sha256: Sequence[str],
    seed: int,
    calibration_fraction: float,
    dataset: str,
) -> Split:
    """The split of a seed (see :func:`cyclegan_ad.data.split.split_samples`).

    Args:
        samples: All images that can be read, at least two of each class.
        sha256: Of their contents.
        seed: Of the split.
        calibration_fraction: Part of the abnormal training images kept out of training.
        dataset: Name of the dataset.

    Raises:
        UserError: If there are too few abnormal images to keep that part.
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
            f"protocol.calibration_fraction={calibration_fraction} cannot be taken from "
            f"{dataset}: {error}; add abnormal images or use protocol=crossfit"
        ) from error
