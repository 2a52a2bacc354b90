"""Thresholds that a person picked on the page, for a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cyclegan_ad.detector.decision import Decision, rounding


def picked_decision(
    description: Mapping[str, Any],
    saved: Decision,
    stored: Sequence[Decision],
    threshold: float,
    upper: float | None = None,
) -> Decision:
    """Return the decision by thresholds that were picked.

    Unless they are some of the detector, they are moved apart by what rounding may change in a
    score, as those of the detector are.

    Args:
        description: Content of ``detector.json``.
        saved: Decision of the detector, by the score that decides.
        stored: All its thresholds for this score.
        threshold: Scores below it pass.
        upper: Scores at or above it are rejected, those between are for review; None: there is no
            review.
    """
    for one in stored:
        if (one.threshold, one.upper) == (threshold, upper):
            return one
    computed_by = description["scores"][saved.column]["computed_by"]
    lower = threshold - rounding(threshold, computed_by)
    if upper is not None:
        upper = max(lower, upper + rounding(upper, computed_by))
    return Decision(saved.column, lower, f"threshold={lower:g}", {}, upper)
