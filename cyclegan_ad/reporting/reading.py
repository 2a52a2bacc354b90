"""Reads a finished run from disk, and refuses one that cannot be trusted."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.errors import UserError
from cyclegan_ad.files import PATH_TEXT
from cyclegan_ad.reporting.checks import check_identity, check_metrics, check_scores
from cyclegan_ad.reporting.labels import Method, other_backbone, printable
from cyclegan_ad.results import read_metrics, read_scores
from cyclegan_ad.run_directory import RunDirectory


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
        metrics: ``metrics.json``, checked.
        config: ``config.yaml``.
        environment: ``environment.json``; empty if it cannot be read.
        image_paths: N paths, in the order of ``scores.csv``.
        labels: (N,) int, 0 normal, 1 abnormal.
        scores: column -> (N,) float64, raw units.
        test_set: fingerprint of the test images: paths, contents and labels.
        images: fingerprint of all images of the dataset.
    """

    path: Path
    shown: str
    metrics: dict[str, Any]
    config: dict[str, Any]
    environment: dict[str, Any]
    image_paths: tuple[str, ...]
    labels: NDArray[np.int64]
    scores: dict[str, NDArray[np.float64]]
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
            backbone=other_backbone(self.config["method"]),
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
            f"not finished: {training['epochs']} epochs are trained; the train command that "
            "started it goes on with it"
        )
    metrics = read_metrics(path)
    check_metrics(metrics)
    check_identity(metrics, config)
    rows = read_scores(path)
    labels = np.array([row["label"] for row in rows], dtype=np.int64)
    for name, label in (("test_normal", 0), ("test_abnormal", 1)):
        count = int((labels == label).sum())
        if count != metrics[name]:
            raise UserError(
                f"scores.csv and metrics.json disagree: {count} {name.removeprefix('test_')} "
                f"images against {metrics[name]}; evaluate the run again"
            )
    in_file = {
        name: np.array([row[name] for row in rows], dtype=np.float64)
        for name in rows[0]
        if name not in ("path", "label")
    }
    scores = {name: in_file[name] for name in in_file if name in metrics["scores"]}
    left_out = [
        LeftOut(
            f"{shown}, score {printable(name)}",
            f"stands in {'scores.csv' if name in in_file else 'metrics.json'} alone; evaluate the "
            "run again with this score",
        )
        for name in sorted(in_file.keys() ^ metrics["scores"].keys())
    ]
    for name, values in scores.items():
        check_scores(name, metrics["scores"][name], values, labels)
    split = _read_split(path)
    test = {row[0] for row in split if row[3] == "test"}
    image_paths = tuple(row["path"] for row in rows)
    if test != set(image_paths) or len(test) != len(image_paths):
        raise UserError(
            "scores.csv and split.csv disagree on which images are tested; evaluate the run again"
        )
    run = Run(
        path=path,
        shown=shown,
        metrics=metrics,
        config=config,
        environment=_read_environment(directory.environment),
        image_paths=image_paths,
        labels=labels,
        scores=scores,
        test_set=_fingerprint(row[:3] for row in split if row[3] == "test"),
        images=_fingerprint(row[:3] for row in split),
    )
    return run, left_out


def _read_split(path: Path) -> list[tuple[str, str, str, str]]:
    try:
        with (path / "split.csv").open(newline="", **PATH_TEXT) as file:
            rows = [
                (row["path"], row["sha256"], row["label"], row["subset"])
                for row in csv.DictReader(file, strict=True)
            ]
    except FileNotFoundError:
        raise UserError("split.csv is gone, so its images cannot be told; restore it") from None
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise UserError(f"split.csv is damaged ({error!r}); make the run anew") from error
    if any(None in row for row in rows):
        raise UserError("split.csv is damaged (a line is cut off); make the run anew")
    return rows


def _read_environment(path: Path) -> dict[str, Any]:
    try:
        environment = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return environment if isinstance(environment, dict) else {}


def _fingerprint(rows: Iterable[tuple[str, ...]]) -> str:
    lines = "\n".join(sorted(repr(row) for row in rows))
    return hashlib.sha256(lines.encode()).hexdigest()
