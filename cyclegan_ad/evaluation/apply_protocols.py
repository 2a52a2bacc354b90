"""Threshold protocols of a run: thresholds evaluated on other images than they were set on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.apply_crossval import decide_by_crossval, training_folds
from cyclegan_ad.evaluation.score_rows import column_of, groups_of, score_columns, seen_groups
from cyclegan_ad.metrics.protocols import calibrated, count_smaller_class, crossfit
from cyclegan_ad.metrics.quantile import false_alarm_rank, least_images, quantile
from cyclegan_ad.runs.results import Rows, SplitRow
from cyclegan_ad.settings.protocol import Protocol
from cyclegan_ad.text import as_typed, counted

if TYPE_CHECKING:  # it imports torch, which the report does not need
    from cyclegan_ad.data.datamodule import AnomalyDataModule

# Different images or groups per class: one to set a threshold on and one to evaluate it.
LEAST_GROUPS = 2


def check_protocol(protocol: Protocol, data: AnomalyDataModule, *, refits: bool = False) -> None:
    """Check that the protocol can be applied; called before the training.

    Args:
        protocol: Settings ``protocol.*``.
        data: Data module of the job after ``setup``.
        refits: Whether the method sees abnormal images and is fitted again without some of them.

    Raises:
        UserError: If there are too few different images.
    """
    if protocol.name == "crossfit":
        test = data.split.test
        _require(
            [data.samples[i].label for i in test],
            [data.groups[i] for i in test],
            f"dataset {data.dataset_name}",
        )
    elif protocol.name == "crossval" and refits:
        training_folds(protocol, data)
    elif protocol.normal_only:
        groups = [data.groups[i] for i in data.split.test]
        _require_enough(groups, protocol.false_alarm_rate, f"dataset {data.dataset_name}")


def apply_protocols(
    rows: Rows,
    kept: Rows,
    split: Sequence[SplitRow],
    protocol: Protocol,
    *,
    seed: int,
    where: str,
    crossval: Rows = (),
) -> dict[str, Any]:
    """Apply all protocols that set thresholds on other images than they are evaluated on.

    Args:
        rows: Rows of ``scores.csv``, the test images.
        kept: Rows of ``calibration.csv``; may be empty.
        split: Rows of ``split.csv``.
        protocol: Settings ``protocol.*``, with the requested protocol.
        seed: Seed of the run.
        where: Name of the run, for messages.
        crossval: Rows of ``crossval.csv``; may be empty.

    Returns:
        ``protocol`` (name of the requested one), ``protocol_settings`` and ``protocols``:
        ``crossfit``, ``calibrated``, ``crossval`` or ``quantile`` -> column -> decisions.

    Raises:
        UserError: If the requested protocol cannot be applied to this run.
    """
    groups = groups_of(rows, split, "test", "scores.csv")
    if protocol.name == "crossfit":
        _require([row["label"] for row in rows], groups, where)
    chosen = protocol_settings(protocol)
    decided = {}
    if protocol.normal_only:
        _require_enough(groups, protocol.false_alarm_rate, where)
        decided["quantile"] = decide_by_quantile(rows, split, **chosen)
    if by_crossfit := decide_by_crossfit(rows, split, seed=seed, **chosen):
        decided["crossfit"] = by_crossfit
    if kept:
        decided["calibrated"] = decide_by_calibration(rows, kept, split, **chosen)
    if crossval:
        decided["crossval"] = decide_by_crossval(rows, crossval, split, **chosen)
    return {"protocol": protocol.name, "protocol_settings": chosen, "protocols": decided}


def decide_by_crossfit(
    rows: Rows, split: Sequence[SplitRow], *, seed: int, **settings: Any
) -> dict[str, dict[str, Any]]:
    """Apply :func:`cyclegan_ad.metrics.protocols.crossfit` to every score.

    Args:
        rows: Rows of ``scores.csv``, the test images.
        split: Rows of ``split.csv``.
        seed: Seed of the run.
        settings: Result of `protocol_settings`.

    Returns:
        Column -> decisions; empty if a class has too few different images.

    Raises:
        UserError: If the images of the scores are not the test images of the split.
    """
    groups = groups_of(rows, split, "test", "scores.csv")
    labels = np.array([row["label"] for row in rows])
    if count_smaller_class(labels, groups) < LEAST_GROUPS:
        return {}
    shared = {"seed": seed, "seen": seen_groups(split), **settings}
    return {
        name: crossfit(column_of(rows, name), labels, groups, **shared)
        for name in score_columns(rows)
    }


def decide_by_calibration(
    rows: Rows,
    kept: Rows,
    split: Sequence[SplitRow],
    *,
    margin: float,
    confidence: float,
    **_: Any,
) -> dict[str, dict[str, Any]]:
    """Apply :func:`cyclegan_ad.metrics.protocols.calibrated` to every score.

    Args:
        rows: Rows of ``scores.csv``, the test images.
        kept: Rows of ``calibration.csv``.
        split: Rows of ``split.csv``.
        margin: Fraction in [0, 1), from `protocol_settings`.
        confidence: Confidence level in (0, 1), from `protocol_settings`.

    Returns:
        Column -> decisions.

    Raises:
        UserError: If the calibration images are not those of the split.
    """
    shared: dict[str, Any] = {
        "calibration_groups": groups_of(kept, split, "calibration", "calibration.csv"),
        "groups": groups_of(rows, split, "test", "scores.csv"),
        "seen": seen_groups(split),
        "trained": seen_groups(split, ("train", "tuning")),
        "margin": margin,
        "confidence": confidence,
    }
    labels = np.array([row["label"] for row in rows])
    return {
        name: calibrated(column_of(kept, name), column_of(rows, name), labels, **shared)
        for name in score_columns(rows)
        if name in kept[0]
    }


def decide_by_quantile(
    rows: Rows,
    split: Iterable[SplitRow],
    *,
    false_alarm_rate: float | None = None,
    confidence: float,
    **_: Any,
) -> dict[str, dict[str, Any]]:
    """Apply :func:`cyclegan_ad.metrics.quantile.quantile` to every score.

    Args:
        rows: Rows of ``scores.csv``, normal images kept out of training.
        split: Rows of ``split.csv``.
        false_alarm_rate: Fraction in (0, 1), from `protocol_settings`; None for other protocols.
        confidence: Confidence level in (0, 1), from `protocol_settings`.

    Returns:
        Column -> decisions; empty for another protocol, or if there are abnormal images or too few
        different ones.

    Raises:
        UserError: If the images of the scores are not those of the split.
    """
    if false_alarm_rate is None or any(row["label"] for row in rows):
        return {}
    groups = groups_of(rows, split, "test", "scores.csv")
    if not false_alarm_rank(len(set(groups)), false_alarm_rate):
        return {}
    shared: dict[str, Any] = {"false_alarm_rate": false_alarm_rate, "confidence": confidence}
    return {name: quantile(column_of(rows, name), groups, **shared) for name in score_columns(rows)}


def protocol_settings(protocol: Protocol) -> dict[str, Any]:
    """Return the settings that affect the decisions, as stored in ``metrics.json``."""
    chosen: dict[str, Any] = {
        "folds": protocol.folds,
        "margin": protocol.margin,
        "confidence": protocol.confidence,
    }
    if protocol.normal_only:
        chosen |= {"false_alarm_rate": protocol.false_alarm_rate}
    return chosen


def _require(labels: list[int], groups: list[str], where: str) -> None:
    if count_smaller_class(np.array(labels), groups) < LEAST_GROUPS:
        raise UserError(
            f"invalid protocol=crossfit for {where}: expected at least {LEAST_GROUPS} different "
            "test images, or groups of them, per class; add images or use protocol=paper"
        )


def _require_enough(groups: Sequence[str], rate: float, where: str) -> None:
    different, least = len(set(groups)), least_images(rate)
    if different < least:
        raise UserError(
            f"invalid protocol.false_alarm_rate={as_typed(rate)} for {where}: expected at least "
            f"{counted(least, 'different normal image')} kept out of training, there are "
            f"{different}; add images, or raise protocol.false_alarm_rate or "
            "protocol.calibration_fraction"
        )
