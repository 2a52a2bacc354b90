"""Reads a finished run from disk, and refuses one that cannot be trusted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.stored_results import read_stored
from cyclegan_ad.reference.differences import differences_from_paper
from cyclegan_ad.reporting.labels import Method, other_backbone
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.settings import Settings
from cyclegan_ad.text import counted, shown_name


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is not in the tables, and why.

    Attributes:
        what: a run directory, relative to the folder of runs, or a score column of one.
        reason: one line.
    """

    what: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A finished run as read from disk, N test images.

    Attributes:
        path: its directory.
        shown: the same, relative to the folder of runs, fit to print.
        metrics: ``metrics.json``, as far as it follows from the scores.
        config: ``config.yaml``.
        environment: ``environment.json``; empty if it cannot be read.
        image_paths: N paths, in the order of ``scores.csv``.
        labels: (N,) int, 0 normal, 1 abnormal.
        scores: column -> (N,) float64, raw units.
        unlike_paper: what was not as in the paper.
        test_set: fingerprint of the test images: paths, contents and labels.
        images: fingerprint of all images of the dataset.
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

    @property
    def seed(self) -> int:
        """Seed of the split and of the training."""
        return int(self.metrics["seed"])

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return str(self.metrics["dataset"])

    @property
    def method(self) -> Method:
        """The column of Table 2 that it belongs to."""
        row = self.metrics
        return Method(
            run=str(row["run"]),
            name=str(row["method"]),
            resolution=int(row["resolution"]),
            backbone=other_backbone(self.config),
        )


def read_run(path: Path, shown: str) -> tuple[Run, list[LeftOut]]:
    """Read a run and check that its files belong together.

    Args:
        path: the run directory.
        shown: how to call it.

    Returns:
        The run with the score columns that can be trusted, and the others.

    Raises:
        UserError: if the run is not finished, damaged, of another version, or its files disagree.
    """
    directory = RunDirectory(path)
    config = directory.read_config()
    training = directory.read_training()
    if not training["finished"]:
        raise UserError(
            f"not finished: {counted(training['epochs'], 'epoch is', 'epochs are')} trained; the "
            "train command that started it resumes it"
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
            "stands in scores.csv alone; evaluate the run again with this score",
        )
        for name in stored.unused
    ]
    tested = [row for row in stored.split if row.subset == "test"]
    run = Run(
        path=path,
        shown=shown,
        metrics=stored.metrics,
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
        test_set=_fingerprint(row[:3] for row in tested),
        images=_fingerprint(row[:3] for row in stored.split if row.subset != "mask"),
    )
    return run, left_out


def _read_environment(path: Path) -> dict[str, Any]:
    try:
        environment = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return environment if isinstance(environment, dict) else {}


def _fingerprint(rows: Iterable[tuple[object, ...]]) -> str:
    lines = "\n".join(sorted(repr(tuple(row)) for row in rows))
    return hashlib.sha256(lines.encode()).hexdigest()
