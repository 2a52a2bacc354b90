"""Explanations of the results of threshold protocols for users."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cyclegan_ad.metrics.bounds import calibration_bound, miss_rate_upper_bound
from cyclegan_ad.metrics.crossval import ONE_FOLD
from cyclegan_ad.text import counted

PAPER_PROTOCOL = (
    "Both thresholds were set on the same test images, as in the paper: the two accuracies are "
    "optimistic."
)

CHOOSE_BEFOREHAND = (
    "Each bound is valid for one score chosen in advance, not for the best of several by these "
    "results."
)

NO_TEST = "Without abnormal images there is no test: misses, accuracy and AUROC are unknown."

FEW_IMAGES = 30  # abnormal test images, below which every table says what they support


def explain(decisions: Mapping[str, Any]) -> str:
    """Explain the results of a protocol and the bound that they support.

    Args:
        decisions: Result of `crossfit`, `calibrated`, `crossval` or `quantile`, or the same read
            from JSON.

    Returns:
        A few sentences in ASCII, one line.
    """
    if "false_alarm_rate_target" in decisions:
        return _explain_quantile(decisions)
    if "guaranteed_by" in decisions:
        return _explain_crossval(decisions)
    if len(decisions["thresholds"]) == 1:  # crossfit has two folds or more
        return _explain_calibrated(decisions)
    return _explain_crossfit(decisions)


def few_images(metrics: Mapping[str, Any]) -> str | None:
    """Say what few abnormal test images support at best; None from 30 images up, or without any.

    If none of ``n`` independent images is missed, the bound on the miss rate is that of
    `calibration_bound`. Every table of results asks here whether to say so.

    Args:
        metrics: Content of ``metrics.json``.

    Example:
        >>> images = {"test_abnormal": 12, "independent": {"abnormal": 12}}
        >>> few_images(images | {"protocol_settings": {"confidence": 0.95}}).partition(", ")[2]
        'the miss rate may be up to 22.1 % (95 % confidence)'
    """
    tested, independent = metrics["test_abnormal"], metrics["independent"]["abnormal"]
    if not tested or independent >= FEW_IMAGES:
        return None
    confidence = metrics["protocol_settings"]["confidence"]
    images = counted(tested, "abnormal test image")
    if independent < tested:
        images += f", {independent} of them independent"
    most = calibration_bound(independent, confidence) if independent else 1.0
    return (
        f"{images}: even with none missed, the miss rate may be up to {_percent(most)} "
        f"({100 * confidence:g} % confidence)"
    )


def _explain_quantile(decisions: Mapping[str, Any]) -> str:
    different, rank = decisions["different"], decisions["rank"]
    copies = decisions["normal"] - different
    not_counted = f" ({copies} others of their groups or content not counted)" if copies else ""
    which = "largest" if rank == 1 else f"{_ordinal(rank)} largest"
    return (
        f"Threshold {decisions['thresholds'][0]:.6g} was set just above the {which} score of "
        f"{counted(different, 'different normal image')} kept out of training"
        f"{not_counted}. On "
        "similar normal images, false alarms are expected at a rate of "
        f"{_percent(decisions['false_alarm_rate_expected'])} (asked for: at most "
        f"{_percent(decisions['false_alarm_rate_target'])}); this supports a rate below "
        f"{_percent(decisions['false_alarm_rate_bound'])} with "
        f"{100 * decisions['confidence']:g} % confidence. {NO_TEST}"
    )


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def _explain_calibrated(decisions: Mapping[str, Any]) -> str:
    score = "the score" if decisions["calibration_images"] == 1 else "the smallest score"
    return (
        f"Threshold {decisions['thresholds'][0]:.6g} was set {_position(decisions)} {score} of "
        f"{_set_on(decisions, 'abnormal image')} kept out of training{_explain_zero(decisions)}; "
        f"this supports {_bound(decisions)}, on similar images. "
        f"{_counts(decisions, _count_alone(decisions))}{_surprise(decisions, 'images kept out')}"
        f"{_of_groups(decisions)}"
    )


def _explain_crossval(decisions: Mapping[str, Any]) -> str:
    folds = decisions["folds"]
    images = _set_on(decisions, "abnormal training image")
    expected = f"{_percent(decisions['miss_rate_expected'])}, 1/(n + 1)"
    counts = _counts(decisions, _count_alone(decisions))
    if folds == 1:
        return (
            f"Threshold {decisions['thresholds'][0]:.6g} was set {_position(decisions)} the "
            f"smallest score of {images} (n), none of which the model saw"
            f"{_explain_zero(decisions)}; this supports {_bound(decisions)}, and on average "
            f"one of {expected}, on similar images. {counts}"
            f"{_surprise(decisions, 'training images')}{_of_groups(decisions)}"
        )
    largest, rate = decisions["largest_fold"], _percent(decisions["miss_rate_guaranteed"])
    source = (
        f"1/({largest} + 1) from the {largest} in the largest fold alone (split conformal "
        "prediction)"
        if decisions["guaranteed_by"] == ONE_FOLD
        else "1/(K + 1) from the K folds of one size (CV+ of Barber et al., 2021)"
    )
    return (
        f"A test image passes only if it scores below all of {images} (n), each scored by a fit "
        f"without its fold, one of {folds}{_explain_zero(decisions)}. On similar images, the "
        f"miss rate expected is about {expected}; guaranteed on average over such fits is {rate}, "
        f"{source}; this supports {_bound(decisions)}. If leaving out a fold hardly changes the "
        f"scores, it is below {_percent(decisions['miss_rate_approximate'])} (an approximation). "
        f"{counts}{_of_groups(decisions)}"
    )


def _set_on(decisions: Mapping[str, Any], image: str) -> str:
    """Name the images that a threshold was set on, with the number that the bounds count last."""
    independent, images = decisions["calibration_abnormal"], decisions["calibration_images"]
    rest = "" if images == independent else f", {independent} of them independent"
    return f"{counted(images, image)}{rest}"


def _of_groups(decisions: Mapping[str, Any]) -> str:
    """Say what the rates of images that are not all independent refer to."""
    independent = decisions["independent"]
    if (
        decisions["calibration_images"] == decisions["calibration_abnormal"]
        and decisions["abnormal"] == independent["abnormal"]
    ):
        return ""
    return (
        " Images of one group or of equal content count once, and not if the run used one of them "
        "otherwise; the bounds are on the share of groups with a missed image."
    )


def _count_alone(decisions: Mapping[str, Any]) -> str:
    """Say what the misses of the test set support by themselves."""
    independent = decisions["independent"]
    misses, abnormal = independent["misses"], independent["abnormal"]
    alone = miss_rate_upper_bound(misses, abnormal, decisions["confidence"]) if abnormal else 1.0
    supports = "no bound" if alone == 1 else f"a rate below {_percent(alone)}"
    if (misses, abnormal) == (decisions["misses"], decisions["abnormal"]):
        return f"; this count alone supports {supports}"
    return f"; the count of the independent ones alone, {misses} of {abnormal}, supports {supports}"


def _surprise(decisions: Mapping[str, Any], images: str) -> str:
    """Say if there are more misses than images like those of one threshold explain."""
    kept = decisions["calibration_abnormal"]
    misses, abnormal = (decisions["independent"][name] for name in ("misses", "abnormal"))
    # Probability that the lowest-scoring abnormal images are all among the tested ones.
    chance = math.prod((abnormal - i) / (abnormal + kept - i) for i in range(misses))
    unlikely = 1 - decisions["confidence"]
    if chance >= unlikely:
        return ""
    return (
        f" If the {images} were similar to the test images, so many misses would have a "
        f"probability below {_percent(unlikely)}: do not rely on the bound."
    )


def _explain_crossfit(decisions: Mapping[str, Any]) -> str:
    thresholds = decisions["thresholds"]
    ends = [f"{value:.6g}" for value in (min(thresholds), max(thresholds))]
    span = ends[0] if ends[0] == ends[1] else " to ".join(ends)
    text = (
        f"Each of {len(thresholds)} folds of the test images was evaluated with a threshold "
        f"({span}) set on the other folds, {_position(decisions)} the smallest of at least "
        f"{_set_on(decisions, 'abnormal score')}{_explain_zero(decisions)}. {_counts(decisions)}"
    )
    if decisions["misses"] and (decisions["margin"] == 0 or margin_is_lost(decisions)):
        text += (
            " About one miss is due to the protocol, whatever the score: the threshold for the "
            "lowest-scoring abnormal image is set without this image."
        )
    return text + (
        f" Each threshold alone supports {_bound(decisions)}, on similar images; the counts over "
        f"all folds are indicative, as the folds share images.{_of_groups(decisions)}"
    )


def _counts(decisions: Mapping[str, Any], after_misses: str = "") -> str:
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


def _position(decisions: Mapping[str, Any]) -> str:
    margin = decisions["margin"]
    return "at" if margin == 0 or not any(decisions["thresholds"]) else f"{100 * margin:g} % below"


def _explain_zero(decisions: Mapping[str, Any]) -> str:
    """Explain a margin that has no effect because the smallest score is 0."""
    if not margin_is_lost(decisions):
        return ""
    which = "which is 0" if not any(decisions["thresholds"]) else "but at it if it is 0"
    return f" ({which}: a margin of {100 * decisions['margin']:g} % of 0 has no effect)"


def margin_is_lost(decisions: Mapping[str, Any]) -> bool:
    """Return whether a margin was requested but has no effect on a threshold of 0."""
    return bool(decisions["margin"]) and 0 in decisions["thresholds"]


def _bound(decisions: Mapping[str, Any]) -> str:
    if decisions["miss_rate_bound"] == 1:
        return "no bound on the miss rate"
    return (
        f"a miss rate below {_percent(decisions['miss_rate_bound'])} with "
        f"{100 * decisions['confidence']:g} % confidence"
    )


def _percent(fraction: float) -> str:
    # Two significant digits, so that a small bound is not rounded to 0.
    percent = 100 * fraction
    decimals = 1 if percent >= 1 or percent == 0 else 1 - math.floor(math.log10(percent))
    return f"{percent:.{decimals}f} %"
