"""Thresholds of a run that are not judged on the images they were set on."""

import csv
from typing import Any

import numpy as np

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import PATH_TEXT
from cyclegan_ad.protocols import calibrated, crossfit, fewest_groups
from cyclegan_ad.results import read_scores
from cyclegan_ad.run_directory import RunDirectory

LEAST_GROUPS = 2  # of different images a class, one to set a threshold on and one to judge


def check_protocol(settings: dict[str, Any], data: AnomalyDataModule) -> None:
    """Make sure, before hours are spent on a training, that the protocol can be applied.

    Args:
        settings: All settings of the job.
        data: Its data, set up.

    Raises:
        UserError: If not.
    """
    if settings["protocol"]["name"] == "crossfit":
        test = data.split.test
        _require(
            [data.samples[i].label for i in test],
            [data.sha256[i] for i in test],
            f"dataset {data.dataset_name}",
        )


def decide(run: RunDirectory, settings: dict[str, Any]) -> dict[str, Any]:
    """Set thresholds on other images than those they are judged on, from the scores on disk.

    Args:
        run: A run with ``scores.csv``, ``split.csv`` and maybe ``calibration.csv``.
        settings: Its settings, with the protocol asked for.

    Returns:
        ``protocol`` (the name asked for), ``protocol_settings`` and ``protocols``: the name of an
        honest protocol -> column -> what :func:`cyclegan_ad.protocols.crossfit` and
        :func:`cyclegan_ad.protocols.calibrated` say.

    Raises:
        UserError: If the protocol asked for cannot be applied to this run.
    """
    wanted = settings["protocol"]
    rows = read_scores(run.path)
    labels = np.array([row["label"] for row in rows])
    columns = {name: _column(rows, name) for name in rows[0] if name not in ("path", "label")}
    groups = _hashes(run, rows)
    shared = {"margin": wanted["margin"], "confidence": wanted["confidence"]}
    decided: dict[str, dict[str, Any]] = {}
    if wanted["name"] == "crossfit":
        _require(labels.tolist(), groups, str(run.path))
    if fewest_groups(labels, groups) >= LEAST_GROUPS:
        shuffled = {"folds": wanted["folds"], "seed": settings["seed"]}
        decided["crossfit"] = {
            name: crossfit(scores, labels, groups, **shuffled, **shared)
            for name, scores in columns.items()
        }
    if run.calibration.is_file():
        kept = read_scores(run.path, run.calibration.name)
        kept_groups = _hashes(run, kept)
        decided["calibrated"] = {
            name: calibrated(
                _column(kept, name), scores, labels, calibration_groups=kept_groups, **shared
            )
            for name, scores in columns.items()
            if name in kept[0]
        }
    elif wanted["name"] == "calibrated":
        raise UserError(
            f"{run.calibration} is gone; score the run again: "
            f"python -m cyclegan_ad.evaluate run={run.path}"
        )
    return {
        "protocol": wanted["name"],
        "protocol_settings": protocol_settings(settings),
        "protocols": decided,
    }


def protocol_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """What the decisions depend on beside the scores."""
    return {name: settings["protocol"][name] for name in ("folds", "margin", "confidence")}


def _require(labels: list[int], groups: list[str], where: str) -> None:
    if fewest_groups(np.array(labels), groups) < LEAST_GROUPS:
        raise UserError(
            f"protocol=crossfit cannot be applied to {where}: it needs {LEAST_GROUPS} different "
            "test images of each class or more; add images or use protocol=paper"
        )


def _column(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows], dtype=np.float64)


def _hashes(run: RunDirectory, rows: list[dict[str, Any]]) -> list[str]:
    """SHA-256 of the image of each row."""
    if not run.split.is_file():
        raise UserError(f"{run.split} is gone; put it back or start anew with overwrite=true")
    with run.split.open(newline="", **PATH_TEXT) as file:
        table = list(csv.DictReader(file))
    try:
        hashes = {row["path"]: row["sha256"] for row in table}
        return [hashes[row["path"]] for row in rows]
    except KeyError as error:
        raise UserError(
            f"{run.split} is damaged, it does not say {error}; put it back or start anew with "
            "overwrite=true"
        ) from error
