"""A finished run, read from its directory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.stored_results import read_stored
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.train import Settings

if TYPE_CHECKING:
    from cyclegan_ad.detector.detect import Detector


@dataclass(frozen=True)
class Run:
    """A trained and evaluated run.

    Attributes:
        path: Run directory.
        settings: Settings of the training.
        metrics: Content of ``metrics.json``: ``scores`` maps each score column to its AUROC,
            accuracies and thresholds, ``protocols`` holds those of other threshold protocols.
        scores: Rows of ``scores.csv``, the test images: ``path``, ``label`` (0 normal, 1
            abnormal) and each score column.
        split: Rows of ``split.csv``: ``path``, ``sha256``, ``label`` and ``subset``.
    """

    path: Path
    settings: Settings = field(repr=False)
    metrics: dict[str, Any] = field(repr=False)
    scores: list[dict[str, Any]] = field(repr=False)
    split: list[Any] = field(repr=False)

    @property
    def image_folder(self) -> Path:
        """Folder that the paths of the images are relative to.

        Raises:
            UserError: If it was moved.
        """
        from cyclegan_ad.data.locate import find_dataset_folder

        settings = self.settings
        return find_dataset_folder(settings.dataset, settings.data_dir, settings.cache_dir)

    def detector(self, **choice: Any) -> Detector:
        """Load the saved detector; ``choice`` as in :func:`cyclegan_ad.load_detector`."""
        from cyclegan_ad.detector.load import load_detector

        return load_detector(self.path, **choice)


def read_run(path: str | Path) -> Run:
    """Read a finished run, after verifying that its metrics follow from its scores.

    Args:
        path: Run directory, such as ``runs/cyclegan-64/screw/seed0``.

    Raises:
        UserError: If it is not a finished run, or a file is damaged or was changed.
    """
    run = RunDirectory(Path(path).expanduser())
    config = run.read_config()
    stored = read_stored(run, config)
    if stored.unsupported:
        what, why = next(iter(stored.unsupported.items()))
        raise UserError(
            f"{run.path}: {what}: {why}; score it again: "
            f"python -m cyclegan_ad.evaluate run={run.path}"
        )
    return Run(
        path=run.path,
        settings=config,
        metrics=stored.metrics,
        scores=list(stored.rows),
        split=stored.split,
    )
