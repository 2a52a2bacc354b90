"""What the page draws and looks up: the known scores, and the bound for each number of errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from cyclegan_ad.detector.decision import Decision, choose_decision
from cyclegan_ad.detector.history import stored_normal_scores
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
    normal = stored_normal_scores(described, column)
    scores = {"normal": normal, "abnormal": list(stored["test_scores"]["abnormal"])}
    confidence = _confidence(stored["thresholds"])
    different = _different_abnormal(stored["thresholds"], len(scores["abnormal"]))
    return {
        **_with_ids(scores, images),
        "axis": _axis([value for values in scores.values() for value in values]),
        "bounds": {
            "miss": _bounds(len(scores["abnormal"]), different, confidence),
            "alarm": _bounds(len(normal), len(normal), confidence),
        },
        "confidence": confidence,
        "upper": choose_upper(normal, 0.0)[0] if normal else None,
    }


def stored_decisions(described: Mapping[str, Any], column: str) -> list[Decision]:
    """Return all thresholds of a detector for a score, the lowest first."""
    found = [
        choose_decision(described, score=column, protocol=name)
        for name in described["scores"][column]["thresholds"]
    ]
    return sorted(found, key=lambda one: one.threshold)


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


def _bounds(images: int, different: int, confidence: float) -> dict[str, list[float]]:
    """Bound the rate for each number of errors: copies of one file count as one image.

    All errors are taken to be different images, so the bounds are conservative. ``fixed`` holds for
    a rule that was fixed before the scores were seen, ``any`` for a threshold picked by looking.
    """
    found: dict[str, list[float]] = {"fixed": [], "any": []}
    if images:
        for name, picked in (("fixed", False), ("any", True)):
            bounds = rate_bounds(different, confidence, any_threshold=picked)
            found[name] = [float(bounds[min(errors, different)]) for errors in range(images + 1)]
    return found


def _confidence(thresholds: Mapping[str, Mapping[str, Any]]) -> float:
    """Return the confidence level of the stored thresholds, which share one."""
    return float(
        next(facts["confidence"] for facts in thresholds.values() if "confidence" in facts)
    )


def _different_abnormal(thresholds: Mapping[str, Mapping[str, Any]], abnormal: int) -> int:
    for facts in thresholds.values():
        if facts["set_on"] == "test images" and facts.get("different_abnormal"):
            return min(int(facts["different_abnormal"]), abnormal)
    return abnormal


def _axis(scores: list[float]) -> str:
    """Choose the axis as the histograms of a run do, but a linear one for scores of both signs."""
    if not scores:
        return "linear"
    chosen = choose_axis(np.array(scores), ()).scale["value"]
    return "log" if chosen == "log" else "linear"
