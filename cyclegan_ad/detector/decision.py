"""What decides about an image: score, thresholds and zones; without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cyclegan_ad.detector.history import RECALIBRATED, escape_limit, escaped_files
from cyclegan_ad.errors import UserError
from cyclegan_ad.metrics.recalibration import Zone
from cyclegan_ad.scoring.names import AROUND_ZERO
from cyclegan_ad.text import shown_name

# Scores of an image differ by rounding between batches, processors and runtimes, relative to the
# score, or to 1 for those of any sign. A threshold is lowered by as much, so that the image that it
# was set on is never missed; one that bounds false alarms is raised.
_ROUNDING = {"float32": 1e-5, "bf16": 1e-2}


@dataclass(frozen=True)
class Decision:
    """What decides: an image is abnormal if its score is at or above the threshold.

    Attributes:
        column: Score column.
        threshold: Scores at or above it are abnormal. It is the threshold of the detector, lowered
            by what rounding may change in a score (1e-5 of it, 1e-2 in bfloat16), so that the image
            that it was set on is not missed in another batch or on another processor. A
            ``quantile``, which bounds false alarms, is raised instead.
        name: Name of the threshold in ``detector.json``; ``threshold=...`` if the user gave it.
        facts: Its entry in ``detector.json``; empty if the user gave it.
        upper: Scores at or above it are rejected, those from ``threshold`` to it are for a person
            to review; it is raised by what rounding may change. None: all abnormal images are
            rejected.
    """

    column: str
    threshold: float
    name: str
    facts: Mapping[str, Any]
    upper: float | None = None

    def zone(self, score: float) -> Zone:
        """Return the zone of a score; ``review`` if it is not finite.

        >>> decision = Decision("sse", 2.0, "recalibrated", {}, upper=4.0)
        >>> [decision.zone(score) for score in (1.0, 2.0, 4.0, math.nan)]
        ['pass', 'review', 'reject', 'review']
        """
        if not math.isfinite(score):
            return "review"
        if score < self.threshold:
            return "pass"
        return "review" if self.upper is not None and score < self.upper else "reject"

    def describe(self) -> str:
        """Describe the threshold and the bound that it supports, in a line."""
        text = f"score {self.column}, threshold {self.threshold:.6g}"
        if not self.facts:
            return f"{text} (given; no bound is known for it)"
        bound = self.facts.get("miss_rate_bound")
        confidence = f"at {100 * self.facts.get('confidence', 0):g} % confidence"
        text += f" (protocol={self.name}, set on {self.facts['set_on']})"
        if bound is not None:
            text += (
                f": {confidence}, at most {100 * bound:.3g} % of abnormal "
                "images like those are missed"
            )
        elif "miss_rate_approximate" in self.facts:
            text += (
                f": {confidence}, about {100 * self.facts['miss_rate_approximate']:.3g} % of "
                "abnormal images like those are missed at most; an approximation, as the model "
                "saw them and the threshold is from fits without them"
            )
        elif self.name == RECALIBRATED:
            text += ": misses are not bounded"
        if self.facts.get("aim") == "false_alarm_rate":
            text += f" (it was chosen for a false-alarm rate of {100 * self.facts['rate']:g} %)"
        if self.facts.get("lowered_to_escape"):
            text += "; lowered to the score of a reported escape"
        if self.upper is not None:
            text += f"; from {self.upper:.6g} on reject, between them review"
        alarms = self.facts.get("false_alarm_rate_bound")
        if alarms is not None and self.name == "quantile":
            text += (
                f": {confidence}, at most {100 * alarms:.3g} % of normal "
                "images like those raise a false alarm; misses are not bounded"
            )
        return text


def choose_decision(
    described: Mapping[str, Any],
    *,
    score: str | None = None,
    protocol: str | None = None,
    threshold: float | None = None,
) -> Decision:
    """Choose the score and the threshold that decide.

    Args:
        described: Content of ``detector.json``.
        score: Score column; None for the one that the detector was saved with.
        protocol: Name of a threshold, such as ``paper`` or ``crossfit``; None likewise.
        threshold: A value instead.

    A threshold above the score of a reported escape is lowered to it, unless the user typed it.

    Raises:
        UserError: If the detector has no such score or threshold.
    """
    scores = described["scores"]
    column = described["score"] if score is None else score
    if column not in scores:
        raise UserError(
            f"invalid score={shown_name(column)}: this detector has {', '.join(scores)}; to add "
            "one, score its run again: python -m cyclegan_ad.evaluate run=RUN score=NAME"
        )
    if threshold is not None:
        if protocol is not None:
            raise UserError(
                f"invalid threshold={threshold:g} with protocol={protocol}: use one of the two"
            )
        return Decision(column, threshold, f"threshold={threshold:g}", {})
    thresholds = scores[column]["thresholds"]
    name = described["protocol"] if protocol is None else protocol
    if name not in thresholds:
        known = ", ".join(thresholds)
        if protocol is None:
            raise UserError(
                f"score {column} of this detector has no threshold {name}, which decides for score "
                f"{described['score']}; use protocol=NAME, one of {known}"
            )
        raise UserError(
            f"invalid protocol={shown_name(name)}: the thresholds of score {column} in this "
            f"detector are {known}"
        )
    facts = thresholds[name]
    value, limit = facts["value"], escape_limit(described, column)
    raised = name == "quantile"
    if limit is not None and value > limit:
        value, raised = limit, False
        facts = facts | {"lowered_to_escape": True, "false_alarm_rate_bound": None}
    computed_by = scores[column]["computed_by"]
    by = rounding(value, computed_by)
    value += by if raised else -by
    upper = facts.get("upper")
    if upper is not None:
        upper = max(value, upper + rounding(upper, computed_by))
    return Decision(column, value, name, facts, upper)


def identify(described: Mapping[str, Any], decision: Decision) -> dict[str, Any]:
    """Return what determines the decisions: hash of the weights, score, thresholds and escapes.

    Args:
        described: Content of ``detector.json``.
        decision: Score and thresholds that decide.
    """
    return {
        "weights": next(iter(described["sha256"].values())),
        "computed_by": described["scores"][decision.column]["computed_by"],
        "threshold": decision.threshold,
        "upper": decision.upper,
        "escapes": sorted(escaped_files(described)),
    }


def rounding(value: float, computed_by: Mapping[str, Any]) -> float:
    """Return what rounding may change in a score of this size.

    Args:
        value: A score or threshold.
        computed_by: Its entry in ``detector.json``: ``name`` and ``precision`` of the score.

    >>> rounding(-300.0, {"name": "sse", "precision": "bf16"})
    3.0
    """
    size = max(abs(value), 1.0) if computed_by["name"] in AROUND_ZERO else abs(value)
    return size * _ROUNDING[computed_by["precision"]]
