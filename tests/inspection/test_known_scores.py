"""What the page draws, and the tables in which it looks up bounds."""

from pathlib import Path
from typing import Any

import pytest

from cyclegan_ad.detector.decision import choose_decision
from cyclegan_ad.inspection.images import InspectedImage
from cyclegan_ad.inspection.known_scores import known_scores, state_bounds
from cyclegan_ad.metrics.bounds import miss_rate_upper_bound


def described(normal: list[float], abnormal: list[float], **more: Any) -> dict[str, Any]:
    facts = {"value": 1.0, "set_on": "test images", "confidence": 0.9}
    stored = {
        "computed_by": {"name": "sse", "precision": "float32"},
        "test_scores": {"normal": normal, "abnormal": abnormal},
        "independent": {"normal": len(normal), "abnormal": len(abnormal)}
        | more.pop("independent", {}),
        "thresholds": {"paper": facts} | more,
    }
    return {"scores": {"sse": stored}, "calibrations": []}


def image(name: str, score: float, truth: str) -> InspectedImage:
    return InspectedImage(
        id=name, name=name, path=Path(name), source="test", truth=truth, judged=True, score=score
    )


def test_scores_stand_beside_their_images() -> None:
    images = [image("a", 3.0, "abnormal"), image("b", 3.0, "normal"), image("c", 3.0, "abnormal")]
    found = known_scores(described([1.0, 3.0], [3.0, 3.0, 3.0, 5.0]), "sse", images)
    assert found["normal"] == [(1.0, None), (3.0, "b")]
    assert found["abnormal"] == [(3.0, "a"), (3.0, "c"), (3.0, None), (5.0, None)]


def test_a_bound_for_each_number_of_errors() -> None:
    found = known_scores(described([1.0, 2.0], [3.0] * 4), "sse", [])
    for name, images in (("miss", 4), ("alarm", 2)):
        bounds = found["bounds"][name]
        counts = range(images + 1)
        fixed = [miss_rate_upper_bound(k, images, 0.9) for k in counts]
        picked = [miss_rate_upper_bound(k, images, 1 - 0.1 / images) for k in counts]
        assert bounds["fixed"] == pytest.approx(fixed)
        assert bounds["any"] == pytest.approx(picked)
    assert found["confidence"] == 0.9


def test_copies_of_a_file_do_not_tighten_the_bound() -> None:
    independent = {"normal": 2, "abnormal": 2}
    found = known_scores(described([1.0] * 4, [3.0] * 4, independent=independent), "sse", [])
    one, two = miss_rate_upper_bound(0, 2, 0.9), miss_rate_upper_bound(1, 2, 0.9)
    for name in ("miss", "alarm"):
        assert found["bounds"][name]["fixed"] == pytest.approx([one, two, 1.0, 1.0, 1.0])


def test_each_threshold_has_bounds_of_its_own_confidence() -> None:
    normal, abnormal = [1.0, 2.0, 6.0], [3.0, 4.0, 5.0]
    recalibrated = {"value": 4.5, "set_on": "images", "confidence": 0.8, "upper": None}
    saved = described(normal, abnormal, recalibrated=recalibrated)
    # Whatever stands first in the file.
    thresholds = saved["scores"]["sse"]["thresholds"]
    saved["scores"]["sse"]["thresholds"] = dict(reversed(thresholds.items()))
    assert known_scores(saved, "sse", [])["confidence"] == 0.9
    paper, new = (choose_decision(saved, score="sse", protocol=p) for p in thresholds)
    assert state_bounds(saved, paper)["confidence"] == 0.9
    # What it does not state follows from the errors: two misses, one false alarm.
    found = state_bounds(saved, new)
    assert found == pytest.approx(
        {
            "miss_bound": miss_rate_upper_bound(2, 3, 1 - 0.2 / 3),
            "alarm_bound": miss_rate_upper_bound(1, 3, 0.8),
            "confidence": 0.8,
        }
    )
    recalibrated |= {"miss_rate_bound": 0.04, "false_alarm_rate_bound": 0.3}
    stated = state_bounds(saved, choose_decision(saved, score="sse", protocol="recalibrated"))
    assert stated == {"miss_bound": 0.04, "alarm_bound": 0.3, "confidence": 0.8}


def test_without_defects_there_is_no_bound_on_misses() -> None:
    saved = described([1.0, 2.0], [])
    found = known_scores(saved, "sse", [])
    assert found["normal"] == [(1.0, None), (2.0, None)]
    assert state_bounds(saved, choose_decision(saved, score="sse", protocol="paper")) == {
        **{"miss_bound": None, "alarm_bound": 1.0, "confidence": 0.9}
    }
    assert found["bounds"]["miss"] == {"fixed": [], "any": []}


@pytest.mark.parametrize(
    ("scores", "axis"),
    [([1.0, 2.0, 3.0], "linear"), ([1.0, 2.0, 3.0, 100.0], "log"), ([-1.0, 2.0, 900.0], "linear")],
)
def test_one_outlier_does_not_empty_the_axis(scores: list[float], axis: str) -> None:
    assert known_scores(described(scores, []), "sse", [])["axis"] == axis
