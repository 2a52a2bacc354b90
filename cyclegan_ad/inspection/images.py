"""The images of the inspector, each known by an id: test images, those of a folder, and uploads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any, Literal

from cyclegan_ad.data.decoded_files import hash_file
from cyclegan_ad.data.layouts.sample import CLASSES, class_of
from cyclegan_ad.data.locate import find_dataset_folder
from cyclegan_ad.detector.find_images import find_images
from cyclegan_ad.errors import UserError
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import read_scores, read_split
from cyclegan_ad.text import printable

MOST_PICKED = 5000
"""Images of a folder beyond this number are not offered: the page lists each of them."""


@dataclass(slots=True, eq=False)
class InspectedImage:
    """An image and what is known about it.

    Attributes:
        id: What the page calls it; never a path.
        name: What the page shows, printable.
        path: File of the image.
        source: ``test`` (of the run), ``folder`` (setting ``images``) or ``upload``.
        sha256: SHA-256 of the file, hexadecimal; empty until it was read.
        truth: ``normal`` or ``abnormal`` if it is known.
        judged: Whether there is a decision.
        score: Anomaly score, raw units; None without one.
        reason: Why there is no score.
        doubt: Why the image does not pass, whatever its score: it was reported as a defect that
            passed, or came after a warning that the images have changed.
        time: When it was judged or refused, UTC, ISO 8601; empty if not by this session.
        revision: Number of the change that made it what it is; 0 at the start.
    """

    id: str
    name: str
    path: Path
    source: Literal["test", "folder", "upload"]
    sha256: str = ""
    truth: str | None = None
    judged: bool = False
    score: float | None = None
    reason: str = ""
    doubt: str = ""
    time: str = ""
    revision: int = 0

    def as_dict(self) -> dict[str, Any]:
        """What the page is told about it; neither path nor folder."""
        names = ("id", "name", "source", "sha256", "truth", "judged", "score", "reason", "doubt")
        return {name: getattr(self, name) for name in names}

    def decide(self, score: float | None, reason: str) -> None:
        """Take over a decision that was made now.

        Args:
            score: Anomaly score, raw units; None without one.
            reason: Why there is none, or why the image does not pass in spite of it.
        """
        self.reason, self.doubt = (reason, "") if score is None else ("", reason)
        self.time = datetime.now(UTC).isoformat(timespec="seconds")
        self.score, self.judged = score, True

    def hash(self) -> str:
        """Return the SHA-256 of the file, computed once; empty if it cannot be read."""
        if not self.sha256:
            self.sha256 = hash_file(self.path)
        return self.sha256


def shown_as(name: str, length: int = 120) -> str:
    """Return a file name as the page shows it: printable, of limited length, its end kept."""
    text = printable(name)
    return text if len(text) <= length else f"...{text[3 - length :]}"


def find_known_images(
    detector: Path, images: Path | None, column: str
) -> tuple[list[InspectedImage], str]:
    """Find the images to pick from.

    Args:
        detector: Setting ``detector``: those of a run directory have labels and stored scores.
        images: Setting ``images``; None for the test images of the run, if their files are there.
        column: Score that decides.

    Returns:
        The images, and a remark if there are none or not all.

    Raises:
        UserError: If ``images`` holds no images.
    """
    if images is not None:
        paths = find_images(images)
        return _of_folder(paths[:MOST_PICKED], images), _remark(len(paths))
    run = RunDirectory(detector.parent if detector.name == "detector" else detector)
    if not run.config.is_file():
        return [], "This detector has no test images beside it."
    settings = run.read_config()
    try:
        root = find_dataset_folder(settings.dataset, settings.data_dir, settings.cache_dir)
    except UserError:
        return [], "The test images of this detector are not on this machine."
    found = _of_run(run, root, column)
    if not found:
        return [], "The test images of this detector are not on this machine."
    return found[:MOST_PICKED], _remark(len(found))


def _remark(count: int) -> str:
    if count <= MOST_PICKED:
        return ""
    return f"The first {MOST_PICKED} of {count} images are shown."


def _of_run(run: RunDirectory, root: Path, column: str) -> list[InspectedImage]:
    hashes = {row.path: row.sha256 for row in read_split(run.path) if row.subset == "test"}
    found = []
    for number, row in enumerate(read_scores(run.path)):
        path = root / row["path"]
        if row["path"] not in hashes or not path.is_file():
            continue
        score = row.get(column)
        found.append(
            InspectedImage(
                id=f"t{number}",
                name=shown_as(row["path"]),
                path=path,
                source="test",
                sha256=hashes[row["path"]],
                truth=CLASSES[row["label"]],
                judged=score is not None,
                score=score,
            )
        )
    return found


def _of_folder(paths: Sequence[Path], folder: Path) -> list[InspectedImage]:
    root = folder if folder.is_dir() else None
    return [
        InspectedImage(
            id=f"f{number}",
            name=shown_as(str(path.relative_to(root)) if root is not None else path.name),
            path=path,
            source="folder",
            truth=None if root is None else _truth(path.relative_to(root)),
        )
        for number, path in enumerate(paths)
    ]


def _truth(path: PurePath) -> str | None:
    """What the folders of an image say it is, by their usual names (good, NOK ...)."""
    for folder in reversed(path.parent.parts):
        label = class_of(folder)
        if label is not None:
            return CLASSES[label]
    return None
