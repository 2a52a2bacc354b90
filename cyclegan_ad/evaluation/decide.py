"""Thresholds of a run that are not judged on the images they were set on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cyclegan_ad.errors import UserError
from cyclegan_ad.metrics.protocols import calibrated, crossfit, fewest_groups
from cyclegan_ad.runs.results import Rows, SplitRow
from cyclegan_ad.settings import Protocol

if TYPE_CHECKING:  # it brings torch, which the report does without
    from cyclegan_ad.data.datamodule import AnomalyDataModule

LEAST_GROUPS = 2  # of different images a class, one to set a threshold on and one to judge


def check_protocol(protocol: Protocol, data: AnomalyDataModule) -> None:
    """Make sure, before hours are spent on a training, that the protocol can be applied.

    Args:
        protocol: ``protocol.*``.
        data: The data of the job, set up.

    Raises:
        UserError: If not.
    """
    if protocol.name == "crossfit":
        test = data.split.test
        _require(
            [data.samples[i].label for i in test],
            [data.sha256[i] for i in test],
            f"dataset {data.dataset_name}",
        )


def decide(
    rows: Rows,
    kept: Rows,
    split: Sequence[SplitRow],
    protocol: Protocol,
    *,
    seed: int,
    where: str,
) -> dict[str, Any]:
    """Set thresholds on other images than those they are judged on.

    Args:
        rows: Of ``scores.csv``, the test images.
        kept: Of ``calibration.csv``; may be empty.
        split: Of ``split.csv``.
        protocol: ``protocol.*``, with the protocol asked for.
        seed: That of the run.
        where: How to call the run in a message.

    Returns:
        ``protocol`` (the name asked for), ``protocol_settings`` and ``protocols``: the name of an
        honest protocol -> column -> decisions.

    Raises:
        UserError: If the protocol asked for cannot be applied to this run.
    """
    if protocol.name == "crossfit":
        groups = _hashes(rows, split, "test", "scores.csv")
        _require([row["label"] for row in rows], groups, where)
    chosen = protocol_settings(protocol)
    decided = {}
    if by_crossfit := decide_by_crossfit(rows, split, seed=seed, **chosen):
        decided["crossfit"] = by_crossfit
    if kept:
        decided["calibrated"] = decide_by_calibration(rows, kept, split, **chosen)
    return {"protocol": protocol.name, "protocol_settings": chosen, "protocols": decided}


def decide_by_crossfit(
    rows: Rows, split: Iterable[SplitRow], *, seed: int, **settings: Any
) -> dict[str, dict[str, Any]]:
    """Apply :func:`cyclegan_ad.metrics.protocols.crossfit` to every score.

    Args:
        rows: Of ``scores.csv``, the test images.
        split: Of ``split.csv``.
        seed: That of the run.
        settings: As `protocol_settings` gives them.

    Returns:
        Column -> decisions; empty where a class has too few different images.

    Raises:
        UserError: If the images of the scores are not the test images of the split.
    """
    groups = _hashes(rows, split, "test", "scores.csv")
    labels = np.array([row["label"] for row in rows])
    if fewest_groups(labels, groups) < LEAST_GROUPS:
        return {}
    return {
        name: crossfit(_column(rows, name), labels, groups, seed=seed, **settings)
        for name in score_columns_of(rows)
    }


def decide_by_calibration(
    rows: Rows,
    kept: Rows,
    split: Iterable[SplitRow],
    *,
    margin: float,
    confidence: float,
    **_: Any,
) -> dict[str, dict[str, Any]]:
    """Apply :func:`cyclegan_ad.metrics.protocols.calibrated` to every score of the images kept out.

    Args:
        rows: Of ``scores.csv``, the test images.
        kept: Of ``calibration.csv``.
        split: Of ``split.csv``.
        margin: As `protocol_settings` gives it.
        confidence: As `protocol_settings` gives it.

    Returns:
        Column -> decisions.

    Raises:
        UserError: If the images kept out are not those of the split.
    """
    groups = _hashes(kept, split, "calibration", "calibration.csv")
    labels = np.array([row["label"] for row in rows])
    shared: dict[str, Any] = {"margin": margin, "confidence": confidence}
    return {
        name: calibrated(
            _column(kept, name), _column(rows, name), labels, calibration_groups=groups, **shared
        )
        for name in score_columns_of(rows)
        if name in kept[0]
    }


def score_columns_of(rows: Rows) -> list[str]:
    """Names of the scores that the rows hold."""
    return [name for name in rows[0] if name not in ("path", "label")]


def protocol_settings(protocol: Protocol) -> dict[str, Any]:
    """What the decisions depend on beside the scores, as ``metrics.json`` holds it."""
    return {
        "folds": protocol.folds,
        "margin": protocol.margin,
        "confidence": protocol.confidence,
    }


def _require(labels: list[int], groups: list[str], where: str) -> None:
    if fewest_groups(np.array(labels), groups) < LEAST_GROUPS:
        raise UserError(
            f"protocol=crossfit cannot be applied to {where}: it needs {LEAST_GROUPS} different "
            "test images of each class or more; add images or use protocol=paper"
        )


def _column(rows: Rows, name: str) -> np.ndarray:
    return np.array([row[name] for row in rows], dtype=np.float64)


def _hashes(rows: Rows, split: Iterable[SplitRow], subset: str, file: str) -> list[str]:
    """SHA-256 of the image of each row; all images of the subset must be there, and no others."""
    named = {row.path: row for row in split if row.subset == subset}
    if named.keys() != {row["path"] for row in rows} or any(
        named[row["path"]].label != row["label"] for row in rows
    ):
        raise UserError(
            f"{file} and split.csv disagree on the images of the subset {subset}; evaluate the run "
            "again"
        )
    return [named[row["path"]].sha256 for row in rows]
