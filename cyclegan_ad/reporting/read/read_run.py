"""Read a finished run from disk and check that its files agree."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.stored_results import read_stored
from cyclegan_ad.reference.differences import differences_from_paper
from cyclegan_ad.reporting.labels import Method, dataset_order, other_backbone, score_order
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import SUBSETS, SplitRow
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.text import counted, shown_name


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something left out of the tables.

    Attributes:
        what: A run directory, relative to the folder of runs, or a score column of one.
        reason: One line with the reason and, if there is one, the remedy.
    """

    what: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A finished run as read from disk, N test images.

    Attributes:
        path: Directory of the run.
        shown: Printable path relative to the folder of runs.
        metrics: Content of ``metrics.json`` that the scores confirm.
        config: Content of ``config.yaml``.
        environment: Content of ``environment.json``; empty if it cannot be read.
        image_paths: N paths, in the order of ``scores.csv``.
        labels: (N,) int, 0 normal, 1 abnormal.
        scores: Column -> (N,) float64, raw units.
        unlike_paper: Differences from the paper's settings and images.
        test_set: Fingerprint of the test images: paths, contents and labels.
        images: Fingerprint of all images of the dataset.
        abnormal_used: Abnormal images of the split outside the test set; not all methods use them.
        copied: (N,) bool, whether an image of the split outside the test set has the same bytes as
            the test image.
    """

    path: Path
    shown: str
    metrics: dict[str, Any]
    config: Settings
    environment: dict[str, Any]
    image_paths: tuple[str, ...]
    labels: NDArray[np.int64]
    scores: dict[ScoreColumn, NDArray[np.float64]]
    unlike_paper: tuple[str, ...]
    test_set: str
    images: str
    abnormal_used: int
    copied: NDArray[np.bool_]

    @property
    def seed(self) -> int:
        """Seed of the split and of the training."""
        return int(self.metrics["seed"])

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return str(self.metrics["dataset"])

    @property
    def tested(self) -> bool:
        """Whether there are abnormal test images; without them, there are no accuracies."""
        return bool(self.metrics["test_abnormal"])

    @property
    def method(self) -> Method:
        """Column of Table 2 that the run belongs to."""
        row = self.metrics
        return Method(
            run=str(row["run"]),
            name=str(row["method"]),
            resolution=int(row["resolution"]),
            backbone=other_backbone(self.config),
        )

    @property
    def first_score(self) -> ScoreColumn:
        """The first score that the run was asked for and has; it was set before its results."""
        asked = (column for column in self.config.score.columns if column in self.scores)
        return next(asked, min(self.scores, key=score_order))

    @property
    def order(self) -> tuple[Any, ...]:
        """Sort key: dataset and method in the paper's order, then seed."""
        return dataset_order(self.dataset), self.method.order, self.seed


def read_run(path: Path, shown: str) -> tuple[Run, list[LeftOut]]:
    """Read a run and check that its files belong together.

    Args:
        path: Directory of the run.
        shown: Name of the run in the report.

    Returns:
        The run with the score columns that its files support, and the columns left out.

    Raises:
        UserError: If the run is unfinished, damaged or of another version, or its files disagree.
    """
    directory = RunDirectory(path)
    config = directory.read_config()
    training = directory.read_training()
    if not training["finished"]:
        raise UserError(
            f"not finished: {counted(training['epochs'], 'epoch')} trained; repeat its train "
            "command to resume it"
        )
    stored = read_stored(directory, config)
    rows = stored.rows
    left_out = [
        LeftOut(f"{shown}, {what}", f"{why}; evaluate the run again")
        for what, why in stored.unsupported.items()
    ]
    left_out += [
        LeftOut(
            f"{shown}, score {shown_name(name)}",
            "is only in scores.csv; evaluate the run again with this score",
        )
        for name in stored.unused
    ]
    fusions = stored.metrics.get("fusions", {})
    supported = {name: fusions[name] for name in stored.metrics["scores"] if name in fusions}
    metrics = stored.metrics | {"fusions": supported}
    run = Run(
        path=path,
        shown=shown,
        metrics=metrics,
        config=config,
        environment=_read_environment(directory.environment),
        image_paths=tuple(row["path"] for row in rows),
        labels=np.array([row["label"] for row in rows], dtype=np.int64),
        scores={
            ScoreColumn.parse(stored.metrics["columns"][name]): np.array(
                [row[name] for row in rows], dtype=np.float64
            )
            for name in stored.metrics["scores"]
        },
        unlike_paper=differences_from_paper(config, stored.split),
        test_set=_fingerprint(row[:3] for row in stored.split if row.subset == "test"),
        images=_fingerprint(row[:3] for row in stored.split if row.subset != "mask"),
        abnormal_used=sum(
            row.subset in SUBSETS and row.subset != "test" and row.label == 1
            for row in stored.split
        ),
        copied=_find_copied([row["path"] for row in rows], stored.split),
    )
    return run, left_out


def _find_copied(paths: Sequence[str], split: Sequence[SplitRow]) -> NDArray[np.bool_]:
    """Find the test images with the same bytes as an image of the split outside the test set."""
    used = {row.sha256 for row in split if row.subset in SUBSETS and row.subset != "test"}
    sha256 = {row.path: row.sha256 for row in split}
    return np.array([sha256.get(path) in used for path in paths], dtype=bool)


def _read_environment(path: Path) -> dict[str, Any]:
    try:
        environment = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return environment if isinstance(environment, dict) else {}


def _fingerprint(rows: Iterable[tuple[object, ...]]) -> str:
    lines = "\n".join(sorted(repr(tuple(row)) for row in rows))
    return hashlib.sha256(lines.encode()).hexdigest()
