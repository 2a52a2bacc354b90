"""Labelled images for a calibration: a folder with normal and abnormal images, or a table."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cyclegan_ad.data.groups import join_copies
from cyclegan_ad.data.layouts.sample import ABNORMAL, CLASSES, NORMAL, class_of
from cyclegan_ad.data.layouts.table import label_of, read_rows, spellings
from cyclegan_ad.data.listing import file_name, list_folders, list_images, to_nfc
from cyclegan_ad.data.parallel import Progress
from cyclegan_ad.data.samples import list_samples
from cyclegan_ad.detector.detect import Detector
from cyclegan_ad.detector.history import escaped_files
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import PATH_TEXT, file_sha256
from cyclegan_ad.text import shown_name

EXPECTED = (
    "a folder with normal/ and abnormal/, or a CSV file with the columns path, label (normal or "
    "abnormal) and optionally group"
)


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """A file and what a person says that it shows.

    Attributes:
        path: The file.
        label: 0 normal, 1 abnormal.
        sha256: Hash of its content.
        counts: Whether a threshold may be set on it and a bound may count it.
        group: Name that it shares with images of the same part or patient; empty if it is alone.
    """

    path: Path
    label: int
    sha256: str
    counts: bool = True
    group: str = ""

    @property
    def independent_of(self) -> str:
        """What images of one group, of which the bounds count one, have in common."""
        return self.group or self.sha256

    def record(self, score: float) -> dict[str, Any]:
        """Return what ``detector.json`` keeps of the image."""
        found = {"sha256": self.sha256, "label": CLASSES[self.label], "score": score}
        return found if self.counts else found | {"trained": True}


def find_labelled(where: Path) -> tuple[list[LabelledImage], int]:
    """Find labelled images; files of equal content count once.

    Args:
        where: A folder with ``normal/`` or ``abnormal/`` or both (or other usual names), or a table
            whose ``path`` is relative to its own folder or to the working directory, or absolute.

    Returns:
        The different images, normal ones first, and the number of copies that were left out. Those
        of a table with the column ``group`` have groups.

    Raises:
        UserError: If there are no such images, a file cannot be read, or files of equal content
            have both labels.
    """
    if where.is_dir():
        by_label = sorted(_in_folder(where), key=lambda found: (found[1], found[0]))
        listed = [(path, label, "") for path, label in by_label]
    elif where.is_file():
        listed = list(_in_table(where))
    else:
        raise UserError(f"invalid images={where}: there is no such file; expected {EXPECTED}")
    if not listed:
        raise UserError(f"{where} lists no images; expected {EXPECTED}")
    images = [LabelledImage(path, label, _hash(path), group=group) for path, label, group in listed]
    if any(image.group for image in images):
        joined = join_copies([one.group for one in images], [one.sha256 for one in images])
        images = [replace(one, group=group) for one, group in zip(images, joined, strict=True)]
    known: dict[str, LabelledImage] = {}
    for image in images:
        first = known.setdefault(image.sha256, image)
        if first.label != image.label:
            raise UserError(
                f"{image.path} is {CLASSES[image.label]}, but "
                f"{_same_file(first.path, image.path)} is {CLASSES[first.label]} in "
                f"images={where}; remove one of them"
            )
    different = sorted(known.values(), key=lambda image: image.label)
    return different, len(listed) - len(different)


def count_classes(images: Sequence[LabelledImage]) -> tuple[int, int]:
    """Return the numbers of abnormal and of normal images that count, of each group one."""
    abnormal, normal = (
        len({one.independent_of for one in images if one.counts and one.label == label})
        for label in (1, 0)
    )
    return abnormal, normal


def hash_images(images: Sequence[LabelledImage]) -> str:
    """Return the SHA-256 over the sorted hashes of the files, a line each."""
    return hashlib.sha256("\n".join(sorted(one.sha256 for one in images)).encode()).hexdigest()


def mark_trained(images: list[LabelledImage], trained: set[str]) -> list[LabelledImage]:
    """Mark the images that the detector was trained on, or others of their groups.

    Their scores say nothing about new images.

    Args:
        images: The labelled images.
        trained: SHA-256 of the training images.
    """
    groups = {image.independent_of for image in images if image.sha256 in trained}
    return [replace(image, counts=image.independent_of not in groups) for image in images]


def score_labelled(
    detector: Detector, images: Sequence[LabelledImage], progress: Progress | None = None
) -> list[float]:
    """Compute the scores of labelled images.

    Raises:
        UserError: If an image has no score, or normal is said of a reported escape.
    """
    escaped = escaped_files(detector.description)
    for image in images:
        if image.label == 0 and image.sha256 in escaped:
            raise UserError(
                f"{image.path} is labelled normal, but was reported as an escaped defect on "
                f"{escaped[image.sha256][:10]}; label it abnormal or leave it out, or "
                f"take that report back with withdraw={image.path}"
            )
    scores = []
    paths = [image.path for image in images]
    for found in detector.stream(paths, maps=False, progress=progress):
        if not math.isfinite(found.score):
            raise UserError(
                f"{found.path} has no score ({found.reason}); repair or remove it; the detector "
                "is unchanged"
            )
        scores.append(found.score)
    return scores


def find_withdrawn(named: str, described: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a reported escape.

    Args:
        named: Its file, or the SHA-256.
        described: Content of ``detector.json``.

    Raises:
        UserError: If it was not reported as an escape.
    """
    path = Path(named).expanduser()
    sha256 = _hash(path) if path.is_file() else named.lower()
    if sha256 not in escaped_files(described):
        raise UserError(
            f"invalid withdraw={named}: expected the file or the SHA-256 of a reported escape, as "
            "detector.json lists them under calibrations"
        )
    return sha256


def _in_folder(root: Path) -> Iterator[tuple[Path, int]]:
    folders = [folder for folder in list_folders(root, "") if class_of(file_name(folder)) == NORMAL]
    bad = [folder for folder in list_folders(root, "") if class_of(file_name(folder)) == ABNORMAL]
    if not folders and not bad:
        raise UserError(f"invalid images={root}: expected {EXPECTED}")
    if not folders:  # escapes alone, which a dataset could not be
        for folder in bad:
            yield from ((root / path, ABNORMAL) for path in list_images(root, folder))
        return
    try:
        samples = list_samples("folder", root)
    except UserError as error:  # whose remedies are settings of a training
        problem = str(error).rpartition("; ")[0]
        raise UserError(f"invalid images={root}: {problem}; expected {EXPECTED}") from error
    yield from ((root / sample.path, sample.label) for sample in samples)


def _in_table(table: Path) -> Iterator[tuple[Path, int, str]]:
    rows, _ = read_rows(table, "images", EXPECTED, errors=PATH_TEXT["errors"])
    for line, fields in rows:
        label = label_of(fields["label"])
        # Relative to the table, or to the working directory, as predictions.csv has it.
        places = [
            place / path for path in spellings(fields["path"]) for place in (table.parent, Path())
        ]
        if label is None:
            raise UserError(
                f"{table}, line {line}: invalid label={shown_name(fields['label'])}: expected "
                "normal or abnormal"
            )
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            raise UserError(
                f"{table}, line {line}: {shown_name(fields['path'])} does not exist; correct it or "
                "remove the line"
            )
        yield Path(os.path.normpath(path)), label, to_nfc(fields.get("group", ""))


def _hash(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); repair or remove it") from error


def _same_file(first: Path, other: Path) -> str:
    return "the same file" if first == other else f"its copy {first}"
