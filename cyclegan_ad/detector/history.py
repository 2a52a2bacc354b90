"""The calibrations in ``detector.json``: thresholds set later, and defects that escaped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

RECALIBRATED = "recalibrated"
"""Name of the threshold that ``python -m cyclegan_ad.calibrate`` sets."""


def escape_limit(described: Mapping[str, Any], column: str) -> float | None:
    """Return the smallest score of the reported escapes, above which no threshold may be.

    Args:
        described: Content of ``detector.json``.
        column: Score column.

    Returns:
        None if no escape was reported with this score, or all of them were withdrawn.
    """
    found = [one["score"] for entry, one in _escapes(described) if entry["score"] == column]
    return min(found, default=None)


def escaped_files(described: Mapping[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of each file that was reported as an escape -> when it first was."""
    return {one["sha256"]: entry["time"] for entry, one in reversed(_escapes(described))}


def _escapes(described: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return the escapes that were not withdrawn since, each after the calibration it is of."""
    found: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
    for entry in described.get("calibrations", []):
        found = [(of, one) for of, one in found if one["sha256"] != entry.get("withdrawn")]
        found += [(entry, one) for one in entry["escapes"]]
    return found


def withdraw_escape(described: Mapping[str, Any], sha256: str) -> dict[str, Any]:
    """Return the description of a detector without a reported escape; thresholds stay.

    Args:
        described: Content of ``detector.json``; not changed.
        sha256: Of the file that was reported.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entry = {"time": now, "withdrawn": sha256, "files": [], "escapes": []}
    return dict(described) | {"calibrations": [*described["calibrations"], entry]}


def accepted_misses(described: Mapping[str, Any], column: str) -> set[str]:
    """Return the SHA-256 of the abnormal images that calibrations to a target let pass.

    Args:
        described: Content of ``detector.json``.
        column: Score column.
    """
    return {
        one["sha256"]
        for calibration in described.get("calibrations", [])
        if calibration.get("score") == column and calibration["aim"]["name"] != "zero_misses"
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
    """Return newly described scores with the calibrations of those computed as before.

    Args:
        scores: Result of :func:`cyclegan_ad.detector.description.describe_scores`.
        earlier: Content of ``detector.json`` before, with the same weights.

    Returns:
        The scores with ``calibrations`` and their thresholds. A detector that decided by one
        still does, whatever its run was evaluated with since.
    """
    columns = {name: dict(score) for name, score in scores["scores"].items()}
    before = earlier.get("scores", {})
    changed = {name for name in columns if not _same_score(columns[name], before.get(name, {}))}
    calibrations = [
        one for one in earlier.get("calibrations", []) if one.get("score") not in changed
    ]
    kept = dict(scores) | {"calibrations": calibrations}
    for name in columns.keys() - changed:
        thresholds = before[name].get("thresholds", {})
        if RECALIBRATED in thresholds:
            recalibrated = {RECALIBRATED: thresholds[RECALIBRATED]}
            columns[name]["thresholds"] = columns[name]["thresholds"] | recalibrated
    if earlier.get("protocol") == RECALIBRATED and earlier.get("score") in columns.keys() - changed:
        kept |= {"protocol": RECALIBRATED, "score": earlier["score"]}
    return kept | {"scores": columns}


def _same_score(score: Mapping[str, Any], earlier: Mapping[str, Any]) -> bool:
    """Return whether two descriptions of a score give equal scores, with equal weights."""
    return all(score.get(name) == earlier.get(name) for name in ("computed_by", "fusion"))
