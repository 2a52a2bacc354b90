"""The calibrations in ``detector.json``: thresholds set later, and defects that escaped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RECALIBRATED = "recalibrated"
"""Name of the threshold that ``python -m cyclegan_ad.calibrate`` sets."""


def escape_limit(described: Mapping[str, Any], column: str) -> float | None:
    """Return the smallest score of the reported escapes, above which no threshold may be.

    Args:
        described: Content of ``detector.json``.
        column: Score column.

    Returns:
        None if no escape was reported with this score.
    """
    scores = [
        escape["score"]
        for calibration in described.get("calibrations", [])
        for escape in calibration["escapes"]
        if calibration["score"] == column
    ]
    return min(scores, default=None)


def escaped_files(described: Mapping[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of each file that was reported as an escape -> when it was."""
    return {
        escape["sha256"]: calibration["time"]
        for calibration in reversed(described.get("calibrations", []))
        for escape in calibration["escapes"]
    }


def accepted_misses(described: Mapping[str, Any], column: str) -> set[str]:
    """Return the SHA-256 of the abnormal images that calibrations to a target let pass.

    Args:
        described: Content of ``detector.json``.
        column: Score column.
    """
    return {
        one["sha256"]
        for calibration in described.get("calibrations", [])
        if calibration["score"] == column and calibration["aim"]["name"] != "zero_misses"
        for one in calibration["files"]
        if one["label"] == "abnormal" and one["score"] < calibration["after"]
    } - set(escaped_files(described))


def add_calibration(
    described: Mapping[str, Any], entry: Mapping[str, Any], threshold: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the description of a detector that decides by a new threshold.

    Args:
        described: Content of ``detector.json``.
        entry: The calibration, with its ``score``.
        threshold: Value, bound and what it was set on, as the other thresholds of the score.
    """
    column = entry["score"]
    score = described["scores"][column]
    thresholds = score["thresholds"] | {RECALIBRATED: dict(threshold)}
    return dict(described) | {
        "protocol": RECALIBRATED,
        "score": column,
        "scores": described["scores"] | {column: score | {"thresholds": thresholds}},
        "calibrations": [*described["calibrations"], dict(entry)],
    }


def keep_calibrations(scores: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """Return newly described scores with the calibrations of the same weights.

    Args:
        scores: Result of :func:`cyclegan_ad.detector.description.describe_scores`.
        earlier: Content of ``detector.json`` before.

    Returns:
        The scores with ``calibrations`` and their thresholds. A detector that decided by one
        still does, whatever its run was evaluated with since.
    """
    kept = dict(scores) | {"calibrations": list(earlier.get("calibrations", []))}
    columns = {name: dict(score) for name, score in scores["scores"].items()}
    for name, score in columns.items():
        thresholds = earlier.get("scores", {}).get(name, {}).get("thresholds", {})
        if RECALIBRATED in thresholds:
            recalibrated = {RECALIBRATED: thresholds[RECALIBRATED]}
            score["thresholds"] = score["thresholds"] | recalibrated
    if earlier.get("protocol") == RECALIBRATED and earlier.get("score") in columns:
        kept |= {"protocol": RECALIBRATED, "score": earlier["score"]}
    return kept | {"scores": columns}


def stored_normal_scores(described: Mapping[str, Any], column: str) -> list[float]:
    """Return the scores of the normal images that the model did not train on, sorted.

    They are those of the test set; of a run without abnormal images, those kept out of training.
    """
    score = described["scores"][column]
    kept = score["calibration_scores"] if "quantile" in score["thresholds"] else []
    return sorted([*score["test_scores"]["normal"], *kept])
