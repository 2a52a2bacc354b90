"""What the page draws, and the tables in which it looks up bounds."""

from pathlib import Path
from typing import Any

import pytest

from cyclegan_ad.inspection.images import InspectedImage
from cyclegan_ad.inspection.known_scores import known_scores
from cyclegan_ad.metrics.bounds import miss_rate_upper_bound


def described(normal: list[float], abnormal: list[float], **more: Any) -> dict[str, Any]:
    facts = {"value": 1.0, "set_on": "test images", "confidence": 0.9}
    different = {"different_abnormal": more.pop("different")} if "different" in more else {}
    stored = {
        "test_scores": {"normal": normal, "abnormal": abnormal},
        "calibration_scores": more.pop("kept", []),
        "thresholds": {more.pop("name", "paper"): facts | different},
    }
    return {"scores": {"sse": stored}}


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
    found = known_scores(described([1.0], [3.0] * 4, different=2), "sse", [])
    one, two = miss_rate_upper_bound(0, 2, 0.9), miss_rate_upper_bound(1, 2, 0.9)
    assert found["bounds"]["miss"]["fixed"] == pytest.approx([one, two, 1.0, 1.0, 1.0])


def test_without_a_test_set_the_normal_images_kept_out_are_shown() -> None:
    found = known_scores(described([], [], kept=[1.0, 2.0], name="quantile"), "sse", [])
    assert found["normal"] == [(1.0, None), (2.0, None)]
    assert found["bounds"]["miss"] == {"fixed": [], "any": []}


@pytest.mark.parametrize(
    ("scores", "axis"),
    [([1.0, 2.0, 3.0], "linear"), ([1.0, 2.0, 3.0, 100.0], "log"), ([-1.0, 2.0, 900.0], "linear")],
)
def test_one_outlier_does_not_empty_the_axis(scores: list[float], axis: str) -> None:
    assert known_scores(described(scores, []), "sse", [])["axis"] == axis
