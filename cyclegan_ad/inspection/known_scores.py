"""What the page draws and looks up: the known scores, and the bound for each number of errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from cyclegan_ad.detector.decision import Decision, choose_decision
from cyclegan_ad.detector.history import RECALIBRATED
from cyclegan_ad.display.score_axis import choose_axis
from cyclegan_ad.inspection.images import InspectedImage
from cyclegan_ad.metrics.bounds import rate_bounds
from cyclegan_ad.metrics.recalibration import choose_upper


def known_scores(
    described: Mapping[str, Any], column: str, images: Iterable[InspectedImage]
) -> dict[str, Any]:
    """Collect the scores of images whose label is known, as the detector stores them.

    Args:
        described: Content of ``detector.json``.
        column: Score that decides.
        images: Images of the page; one with a stored score is named beside it.

    Returns:
        ``normal`` and ``abnormal``: lists of ``[score, id or None]`` in ascending order; ``axis``:
        ``linear`` or ``log``; ``bounds``: upper bounds on the rates of misses and alarms for 0,
        1, ... errors among these images; ``confidence`` of the bounds; ``upper``: the upper
        threshold that rejects none of these normal images, None without any.
    """
    stored = described["scores"][column]
    scores = stored["test_scores"]
    confidence = _confidence(stored["thresholds"])
    return {
        **_with_ids(scores, images),
        "axis": _axis([value for values in scores.values() for value in values]),
        "bounds": {
            "miss": _bounds(stored, "abnormal", confidence),
            "alarm": _bounds(stored, "normal", confidence),
        },
        "confidence": confidence,
        "upper": choose_upper(scores["normal"], 0.0)[0] if scores["normal"] else None,
    }


def stored_decisions(described: Mapping[str, Any], column: str) -> list[Decision]:
    """Return all thresholds of a detector for a score, the lowest first."""
    found = [
        choose_decision(described, score=column, protocol=name)
        for name in described["scores"][column]["thresholds"]
    ]
    return sorted(found, key=lambda one: one.threshold)


def state_bounds(described: Mapping[str, Any], decision: Decision) -> dict[str, float | None]:
    """Return the bounds of a threshold of the detector, with their confidence.

    Those that it states; else, from the errors among the known scores, the one of misses that holds
    for all thresholds at once, and the one of false alarms of a threshold that was not set on them.

    Args:
        described: Content of ``detector.json``.
        decision: The threshold.

    Returns:
        ``miss_bound`` and ``alarm_bound``, None without known scores, and ``confidence`` of both.
    """
    stored, facts = described["scores"][decision.column], decision.facts
    confidence = facts.get("confidence", _confidence(stored["thresholds"]))
    scores = {name: np.array(values) for name, values in stored["test_scores"].items()}
    missed = int((scores["abnormal"] < decision.threshold).sum())
    alarms = int((scores["normal"] >= decision.threshold).sum())
    miss = _bounds(stored, "abnormal", confidence)["any"]
    alarm = _bounds(stored, "normal", confidence)["fixed"]
    stated = facts.get("miss_rate_bound"), facts.get("false_alarm_rate_bound")
    return {
        "miss_bound": miss[missed] if stated[0] is None and miss else stated[0],
        "alarm_bound": alarm[alarms] if stated[1] is None and alarm else stated[1],
        "confidence": confidence,
    }


def _with_ids(
    scores: Mapping[str, list[float]], images: Iterable[InspectedImage]
) -> dict[str, list[tuple[float, str | None]]]:
    """Put beside each score an image that has it, if its file is there."""
    waiting: dict[tuple[str | None, float], list[str]] = {}
    for image in images:
        if image.source == "test" and image.score is not None:
            waiting.setdefault((image.truth, image.score), []).append(image.id)
    found: dict[str, list[tuple[float, str | None]]] = {}
    for name, values in scores.items():
        ids = [waiting.get((name, value), []) for value in values]
        found[name] = [
            (value, names.pop(0) if names else None)
            for value, names in zip(values, ids, strict=True)
        ]
    return found


def _bounds(stored: Mapping[str, Any], name: str, confidence: float) -> dict[str, list[float]]:
    """Bound the rate of a class for each number of errors, from the independent images alone.

    All errors are taken to be of these, so the bounds are conservative. ``fixed`` holds for
    a rule that was fixed before the scores were seen, ``any`` for a threshold picked by looking.
    """
    images, independent = len(stored["test_scores"][name]), stored["independent"][name]
    found: dict[str, list[float]] = {"fixed": [], "any": []}
    if independent:
        for kind, picked in (("fixed", False), ("any", True)):
            bounds = rate_bounds(independent, confidence, any_threshold=picked)
            found[kind] = [float(bounds[min(errors, independent)]) for errors in range(images + 1)]
    return found


def _confidence(thresholds: Mapping[str, Mapping[str, Any]]) -> float:
    """Return the confidence level of the thresholds of the run, which share one."""
    return float(
        next(
            facts["confidence"]
            for name, facts in thresholds.items()
            if name != RECALIBRATED and "confidence" in facts
        )
    )


def _axis(scores: list[float]) -> str:
    """Choose the axis as the histograms of a run do, but a linear one for scores of both signs."""
    if not scores:
        return "linear"
    chosen = choose_axis(np.array(scores), ()).scale["value"]
    return "log" if chosen == "log" else "linear"
