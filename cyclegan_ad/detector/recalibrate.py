"""Recalibrate a detector: a new threshold with its zones from the scores of labelled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any

import numpy as np

from cyclegan_ad.detector.decision import Decision, choose_decision, rounding
from cyclegan_ad.detector.history import accepted_misses, add_calibration, escape_limit
from cyclegan_ad.detector.labelled_images import LabelledImage, hash_images
from cyclegan_ad.metrics.bounds import calibration_bound, miss_rate_upper_bound
from cyclegan_ad.metrics.quantile import false_alarm_rank
from cyclegan_ad.metrics.recalibration import Aim, choose_threshold, choose_upper, count_zones
from cyclegan_ad.text import counted

Entry = dict[str, Any]
Scored = tuple[str, float]  # name and score of an image


@dataclass(frozen=True)
class Request:
    """What a calibration is asked for.

    Attributes:
        aim: What the threshold is chosen for.
        reject_normal: Largest share of the normal images that may be rejected without review; None
            for no zone ``review``.
        allow_weaker_bound: Whether ``zero_misses`` may raise the threshold although the images
            support a weaker bound than the present one has.
    """

    aim: Aim
    reject_normal: float | None
    allow_weaker_bound: bool


def recalibrate(
    described: Mapping[str, Any],
    present: Decision,
    images: Sequence[LabelledImage],
    scores: Sequence[float],
    request: Request,
    *,
    copies: int = 0,
    time: datetime | None = None,
) -> dict[str, Any]:
    """Choose the new threshold and describe the detector that decides by it.

    The threshold is that of :func:`.choose_threshold`, but never above the score of an escape: an
    abnormal image that passed, now or in an earlier calibration. With ``zero_misses``, a threshold
    with a stronger bound is lowered, if need be, and not raised: of so few images the lowest score
    may be high by chance. Which of the bounds applies depends on the numbers of images alone.

    Args:
        described: Content of ``detector.json``; not changed.
        present: What decides until now.
        images: Different images. Those that do not count set no threshold and no bound, but may
            be escapes. Of a group, the lowest-scoring abnormal and the highest-scoring normal image
            count: it is missed, or a false alarm, if one of its images is.
        scores: Their finite scores.
        request: What is asked for.
        copies: Number of files that were not counted, for the history.
        time: Time of the calibration; None for now.

    Returns:
        The new content of ``detector.json``, whose last calibration is this one.

    Raises:
        ValueError: If there are too few images for the aim.
    """
    column, aim = present.column, request.aim
    now = (datetime.now(UTC) if time is None else time).isoformat(timespec="seconds")
    normal, abnormal = (_of_class(images, scores, label) for label in (0, 1))
    stored, stored_defects = (
        described["scores"][column]["test_scores"][name] for name in ("normal", "abnormal")
    )
    files = [image.record(score) for image, score in zip(images, scores, strict=True)]
    # Escapes count whether or not the detector was trained on them. What an earlier target let pass
    # with its knowledge is none under another target, so that a calibration can be repeated.
    accepted = set() if aim.name == "zero_misses" else accepted_misses(described, column)
    escapes = [
        one
        for one in files
        if one["label"] == "abnormal"
        and one["score"] < present.threshold
        and one["sha256"] not in accepted
    ]
    facts, limited_by, set_by = _choose(described, present, normal, abnormal, escapes, request, now)
    scored = {
        "normal": [score for _, score in normal],
        "abnormal": [score for _, score in abnormal],
    }
    upper = _upper((scored["normal"], stored), facts["value"], request.reject_normal)
    facts["upper"] = upper
    entry: Entry = {
        "time": now,
        "score": column,
        "aim": {"name": aim.name, "rate": aim.rate},
        "confidence": aim.confidence,
        "before": present.threshold,
        "before_protocol": present.name,
        "limited_by": limited_by,
        "set_by": set_by,
        "reject_normal": request.reject_normal,
        "images": {
            "abnormal": len(abnormal),
            "normal": len(normal),
            "copies": copies,
            "grouped": sum(one.counts for one in images) - len(abnormal) - len(normal),
            "trained": sum(not one.counts for one in images),
            "sha256": hash_images(images),
        },
        "files": files,
        "escapes": escapes,
    }
    after = choose_decision(add_calibration(described, entry, facts))
    alarms = _alarms(scored["normal"], present.threshold, after.threshold)
    cost = _alarms(stored, present.threshold, after.threshold)
    rank = None  # of the normal image that sets the threshold
    if aim.rate is not None and aim.name == "false_alarm_rate" and limited_by == "aim":
        rank = false_alarm_rank(len(normal), aim.rate)
    independent = described["scores"][column]["independent"]["normal"]
    alarm_bound, bound_of = _alarm_bound(
        (alarms["after"], len(normal)), (cost["after"], independent), rank, facts["confidence"]
    )
    facts["false_alarm_rate_bound"] = alarm_bound
    entry |= {
        "after": after.threshold,
        "upper": after.upper,
        "bounds": {
            "before": present.facts.get("miss_rate_bound"),
            "before_images": present.facts.get("calibration_abnormal"),
            "before_confidence": present.facts.get("confidence"),
            "after": facts["miss_rate_bound"],
            "after_confidence": facts["confidence"],
            "expected": facts["miss_rate_expected"],
            "false_alarms": alarm_bound,
            "false_alarms_of": bound_of,
            "set_on": facts["set_on"],
        },
        "misses": _misses(scored["abnormal"], present.threshold, after.threshold),
        "stored_misses": {
            "stored_abnormal": len(stored_defects),
            **_misses(stored_defects, present.threshold, after.threshold),
        },
        "false_alarms": alarms,
        "cost": {"stored_normal": len(stored)} | cost,
        "zones": {
            name: count_zones(values, after.threshold, after.upper)
            for name, values in (scored | {"stored_normal": stored}).items()
        },
    }
    return add_calibration(described, entry, facts)


def _choose(
    described: Mapping[str, Any],
    present: Decision,
    normal: Sequence[Scored],
    abnormal: Sequence[Scored],
    escapes: Sequence[Mapping[str, Any]],
    request: Request,
    now: str,
) -> tuple[Entry, str, str | None]:
    """Choose the threshold.

    Returns:
        Its entry in ``detector.json``; what limits it: ``aim``, ``present`` or ``escape``; and the
        name of the image that sets it, if the aim does.
    """
    aim, computed_by = request.aim, described["scores"][present.column]["computed_by"]
    good, defects = ([score for _, score in scored] for scored in (normal, abnormal))
    if aim.name == "false_alarm_rate":  # lowered again when it decides, and then still above it
        good = [score + 2 * rounding(score, computed_by) for score in good]
    choice = choose_threshold(defects, good, aim)
    given = f"{counted(len(abnormal), 'abnormal image')} and {len(normal)} normal given {now[:10]}"
    facts: Entry = {
        "value": choice.threshold,
        "set_on": given,
        "aim": aim.name,
        "rate": aim.rate,
        "abnormal": len(abnormal),
        "normal": len(normal),
        "confidence": aim.confidence,
        "miss_rate_bound": choice.miss_rate_bound,
        "miss_rate_expected": choice.miss_rate_expected,
    }
    limited_by = "aim"
    may_not_rise = aim.name == "zero_misses" and not request.allow_weaker_bound
    if may_not_rise and _is_weaker(len(abnormal), present.facts):
        kept = (
            *("set_on", "confidence", "miss_rate_bound", "miss_rate_expected"),
            "calibration_abnormal",
        )
        facts |= {name: present.facts.get(name) for name in kept}
        if facts["value"] > present.facts["value"]:
            facts["value"], limited_by = present.facts["value"], "present"
        elif "lowered" not in facts["set_on"]:
            facts["set_on"] += " and lowered since"
    known = escape_limit(described, present.column)
    limit = min([one["score"] for one in escapes] + ([] if known is None else [known]), default=inf)
    if choice.threshold > limit and facts["value"] >= limit:
        facts |= {"value": limit, "lowered_to_escape": True}
        limited_by = "escape"
    setting = normal if aim.name == "false_alarm_rate" else abnormal
    return facts, limited_by, setting[choice.position][0] if limited_by == "aim" else None


def _alarm_bound(
    given: tuple[int, int], stored: tuple[int, int], rank: int | None, confidence: float
) -> tuple[float | None, str]:
    """Bound the false alarms from those among the normal images; None without any.

    Of the stored scores if they are more, as those given may be a few that were flagged; of those
    given if the threshold is a rank of them, which is fixed by their number.
    """
    (alarms, images), of = given, "given"
    if rank is not None:
        alarms = max(alarms, rank - 1)
    elif images < stored[1]:
        alarms, images, of = min(stored), stored[1], "stored"  # at most so many are independent
    return (miss_rate_upper_bound(alarms, images, confidence) if images else None), of


def _of_class(images: Sequence[LabelledImage], scores: Sequence[float], label: int) -> list[Scored]:
    """Return name and score of the images of a class that count, of each group one."""
    found = [
        (one, score)
        for one, score in zip(images, scores, strict=True)
        if one.label == label and one.counts
    ]
    worst: dict[str, float] = {}
    for one, score in found:
        choose = min if label else max
        worst[one.independent_of] = choose(worst.get(one.independent_of, score), score)
    kept = []
    for one, score in found:
        if worst.get(one.independent_of) == score:
            del worst[one.independent_of]
            kept.append((one.path.name, score))
    return kept


def _is_weaker(abnormal: int, facts: Mapping[str, Any]) -> bool:
    """Return whether so many images support less than those that a threshold was set on."""
    bound = facts.get("miss_rate_bound")
    if bound is None:  # set by crossval of several fits, or for the best accuracy
        return abnormal < (facts.get("calibration_abnormal") or 0)
    return calibration_bound(abnormal, facts["confidence"]) > bound * (1 + 1e-9)


def _upper(lists: Sequence[Sequence[float]], threshold: float, share: float | None) -> float | None:
    """Return where ``reject`` begins; None if there is nothing between it and the threshold.

    It is the highest of those of the lists of normal scores, so that a few images do not lower it.
    """
    if share is None:
        return None
    upper = max((choose_upper(normal, share)[0] for normal in lists if normal), default=threshold)
    return upper if upper > threshold else None


def _misses(scores: Sequence[float], before: float, after: float) -> dict[str, int]:
    values = np.array(scores)
    return {"before": int((values < before).sum()), "after": int((values < after).sum())}


def _alarms(scores: Sequence[float], before: float, after: float) -> dict[str, int]:
    return {name: len(scores) - n for name, n in _misses(scores, before, after).items()}
