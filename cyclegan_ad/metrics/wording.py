"""What a threshold protocol decided, in words for a person who has to rely on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cyclegan_ad.metrics.bounds import miss_rate_upper_bound
from cyclegan_ad.text import counted

PAPER_PROTOCOL = (
    "Both thresholds were set on these same test images, as in the paper: the two accuracies are "
    "optimistic."
)

CHOOSE_BEFOREHAND = (
    "Each bound holds for one score chosen beforehand: choosing the best of several by these "
    "results voids it."
)


def explain(decisions: Mapping[str, Any]) -> str:
    """Say in plain words what was decided, and what it supports.

    Args:
        decisions: from `crossfit` or `calibrated`, also when read back from JSON.

    Returns:
        A few sentences in ASCII, one line.

    Example:
        >>> from cyclegan_ad.metrics.protocols import calibrated
        >>> print(
        ...     explain(
        ...         calibrated(
        ...             [2.0, 3.0],
        ...             [1.0, 2.5],
        ...             [0, 1],
        ...             calibration_groups=["a", "b"],
        ...             margin=0.0,
        ...             confidence=0.95,
        ...         )
        ...     )
        ... )  # doctest: +NORMALIZE_WHITESPACE
        Threshold 2 was set on 2 abnormal images kept out of training, at the smallest score: no
        abnormal image was missed among 2; this supports a miss rate below 77.6 % with 95 %
        confidence, on images like these. The 1 abnormal test image was not missed (0.0 %; this
        count by itself supports a rate below 95.0 %); the 1 normal test image raised no false
        alarm (0.0 %); accuracy 100.0 %.
    """
    if len(decisions["thresholds"]) == 1:  # crossfit has two folds or more
        return _explain_calibrated(decisions)
    return _explain_crossfit(decisions)


def _explain_calibrated(decisions: Mapping[str, Any]) -> str:
    kept = decisions["calibration_abnormal"]
    misses, abnormal = decisions["misses"], decisions["abnormal"]
    if kept == 1:
        where, missed = "its score", "it was not missed"
    else:
        where, missed = "the smallest score", f"no abnormal image was missed among {kept}"
    alone = miss_rate_upper_bound(misses, abnormal, decisions["confidence"])
    supports = "no bound" if alone == 1 else f"a rate below {_percent(alone)}"
    text = (
        f"Threshold {decisions['thresholds'][0]:.6g} was set on "
        f"{counted(kept, 'abnormal image')} kept out of training, "
        f"{_place(decisions)} {where}{_unmoved(decisions)}: {missed}; this supports "
        f"{_bound(decisions)}, on images like these. "
        f"{_realised(decisions, f'; this count by itself supports {supports}')}"
    )
    # Of all abnormal images, kept out or tested, the lowest-scoring ones were all tested.
    chance = math.prod((abnormal - i) / (abnormal + kept - i) for i in range(misses))
    unlikely = 1 - decisions["confidence"]
    if chance < unlikely:
        text += (
            f" Were the images kept out like the test images, so many misses would be less than "
            f"{_percent(unlikely)} probable: do not rely on the bound."
        )
    return text


def _explain_crossfit(decisions: Mapping[str, Any]) -> str:
    thresholds = decisions["thresholds"]
    ends = [f"{value:.6g}" for value in (min(thresholds), max(thresholds))]
    span = ends[0] if ends[0] == ends[1] else " to ".join(ends)
    kept = decisions["calibration_abnormal"]
    text = (
        f"Each of {len(thresholds)} folds of the test images was judged with a threshold ({span}) "
        f"set on the other folds, {_place(decisions)} the smallest of at least "
        f"{counted(kept, 'abnormal score')}{_unmoved(decisions)}. {_realised(decisions)}"
    )
    if decisions["misses"] and (decisions["margin"] == 0 or margin_is_lost(decisions)):
        text += (
            " A miss or so is due to the procedure, whatever the score: the lowest-scoring "
            "abnormal image is judged without itself."
        )
    return text + (
        f" Each threshold by itself supports {_bound(decisions)}, on images like these; the counts "
        "over all folds are indicative, as the folds share images."
    )


def _realised(decisions: Mapping[str, Any], after_misses: str = "") -> str:
    misses, abnormal = decisions["misses"], decisions["abnormal"]
    alarms, normal = decisions["false_alarms"], decisions["normal"]
    if abnormal == 1:
        missed = f"The 1 abnormal test image was {'missed' if misses else 'not missed'}"
    else:
        were = "were" if misses > 1 else "was"
        missed = f"{misses or 'None'} of {abnormal} abnormal test images {were} missed"
    if normal == 1:
        alarmed = f"the 1 normal test image raised {'a' if alarms else 'no'} false alarm"
    else:
        alarmed = f"{alarms or 'none'} of {normal} normal test images raised a false alarm"
    return (
        f"{missed} ({_percent(decisions['miss_rate'])}{after_misses}); {alarmed} "
        f"({_percent(decisions['false_alarm_rate'])}); accuracy {_percent(decisions['accuracy'])}."
    )


def _place(decisions: Mapping[str, Any]) -> str:
    margin = decisions["margin"]
    return "at" if margin == 0 or not any(decisions["thresholds"]) else f"{100 * margin:g} % below"


def _unmoved(decisions: Mapping[str, Any]) -> str:
    """What is to be said of a margin where the score it is a part of is 0."""
    if not margin_is_lost(decisions):
        return ""
    which = "which is 0" if not any(decisions["thresholds"]) else "but at it where it is 0"
    return f" ({which}: a margin of {100 * decisions['margin']:g} % of 0 moves nothing)"


def margin_is_lost(decisions: Mapping[str, Any]) -> bool:
    """Whether a margin was asked for, and a threshold is 0, of which no part can be taken.

    Args:
        decisions: from `crossfit` or `calibrated`, also when read back from JSON.
    """
    return bool(decisions["margin"]) and 0 in decisions["thresholds"]


def _bound(decisions: Mapping[str, Any]) -> str:
    return (
        f"a miss rate below {_percent(decisions['miss_rate_bound'])} with "
        f"{100 * decisions['confidence']:g} % confidence"
    )


def _percent(fraction: float) -> str:
    # Two digits that count, so that a small bound is not said to be 0.
    percent = 100 * fraction
    decimals = 1 if percent >= 1 or percent == 0 else 1 - math.floor(math.log10(percent))
    return f"{percent:.{decimals}f} %"
