"""What few abnormal test images support, and a threshold from normal images alone, in words."""

from typing import Any

import pytest

from cyclegan_ad.metrics.bounds import calibration_bound
from cyclegan_ad.metrics.quantile import quantile
from cyclegan_ad.metrics.wording import explain, few_images


def few(abnormal: int, confidence: float = 0.95, independent: int | None = None) -> str | None:
    metrics: dict[str, Any] = {"test_abnormal": abnormal}
    metrics["independent"] = {"abnormal": abnormal if independent is None else independent}
    return few_images(metrics | {"protocol_settings": {"confidence": confidence}})


@pytest.mark.parametrize(("images", "bound"), [(1, "95.0 %"), (12, "22.1 %"), (29, "9.8 %")])
def test_few_images_say_what_they_support(images: int, bound: str) -> None:
    text = few(images)
    assert text is not None
    assert text.startswith(f"{images} abnormal test image")
    assert f"up to {bound} (95 % confidence)" in text
    assert f"{100 * calibration_bound(images):.1f} %" == bound


@pytest.mark.parametrize("images", [0, 30, 500])
def test_enough_images_or_none_say_nothing(images: int) -> None:
    assert few(images) is None


def test_many_images_of_few_patients_are_few() -> None:
    text = few(40, independent=4)
    assert text is not None
    assert text.startswith("40 abnormal test images, 4 of them independent: ")
    assert "up to 52.7 %" in text
    all_used = few(40, independent=0)
    assert all_used is not None and "up to 100.0 %" in all_used


def test_the_confidence_is_that_of_the_run() -> None:
    text = few(10, 0.5)
    assert text is not None and "6.7 % (50 % confidence)" in text


@pytest.mark.parametrize(
    ("images", "copies", "rank"), [(19, 0, "largest"), (40, 1, "2nd largest"), (60, 2, "3rd")]
)
def test_a_quantile_is_explained(images: int, copies: int, rank: str) -> None:
    groups = [str(i) for i in range(images)] + ["0"] * copies
    scores = [float(i) for i in range(images)] + [0.0] * copies
    found = quantile(scores, groups, false_alarm_rate=0.05, confidence=0.9)
    text = explain(found)
    assert f"just above the {rank}" in text
    assert f"{images} different normal images" in text
    assert ("not counted" in text) is bool(copies)
    assert "at most 5.0 %" in text
    assert f"below {100 * found['false_alarm_rate_bound']:.1f} % with 90 % confidence" in text
    assert "no test" in text
    assert "nan" not in text
    assert text.isascii()


def test_ordinals() -> None:
    scores = [float(i) for i in range(300)]
    groups = [str(i) for i in range(300)]
    for rate, rank in ((0.0367, "11th"), (0.0699, "21st"), (0.074, "22nd")):
        found = quantile(scores, groups, false_alarm_rate=rate, confidence=0.95)
        assert f"the {rank} largest" in explain(found)
