"""The monitor of a detector: what it watches, what it says, and its state on disk."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from errors import assert_error, refuses

from cyclegan_ad.detector.decision import Decision
from cyclegan_ad.detector.drift_monitor import DriftMonitor
from cyclegan_ad.detector.prediction import Prediction
from cyclegan_ad.errors import UserError

THRESHOLD = 3.0
DECISION = Decision("sse", THRESHOLD, "paper", {})


def description(normal: int = 60) -> dict[str, Any]:
    random = np.random.default_rng(0)
    return {
        "sha256": {"weights.safetensors": "abc"},
        "scores": {"sse": {"computed_by": {"name": "sse"}}},
        "reference": {
            "brightness": random.normal(0.5, 0.02, normal).tolist(),
            "sharpness": random.normal(1.0, 0.05, normal).tolist(),
            "scores": {"sse": random.uniform(1.0, 4.0, normal).tolist()},
        },
    }


def open_monitor(file: Path, **changes: Any) -> DriftMonitor:
    arguments: dict[str, Any] = {"decision": DECISION, "images_per_false_warning": 10_000}
    return DriftMonitor(description(), file, **arguments | changes)


def images(count: int, seed: int = 1, brightness: float = 0.5, score: float = 0.0) -> list[Any]:
    """Predictions as the reference is, or darker, or with another score; some are rejected."""
    random = np.random.default_rng(seed)
    found = []
    for i in range(count):
        value = random.uniform(1.0, 4.0) + score
        passes = value < THRESHOLD
        found.append(
            Prediction(
                path=f"parts/{i:04d}.png",
                score=value,
                threshold=THRESHOLD,
                label="normal" if passes else "abnormal",
                zone="pass" if passes else "reject",
                brightness=random.normal(brightness, 0.02),
                sharpness=random.normal(1.0, 0.05),
            )
        )
    return found


def test_what_passed_is_to_be_reviewed_after_a_warning(tmp_path: Path) -> None:
    monitor = open_monitor(tmp_path / "drift.json")
    usual = images(300)
    assert [monitor.observe(one, save=False) for one in usual] == usual and monitor.warning is None
    darker = images(100, seed=2, brightness=0.46)
    found = [monitor.observe(one, save=False) for one in darker]
    warning = monitor.warning
    assert warning is not None and "\n" not in warning
    for words in ("darker", "mean brightness 0.46", "was 0.49", "sent to review"):
        assert words in warning
    zones = [one.zone for one in found]
    first = zones.index("review")
    assert sum(one.zone == "pass" for one in darker[: first + 1]) <= 20
    assert "pass" not in zones[first:] and "reject" in zones[first:]
    for before, after in zip(darker, found, strict=True):
        if after.zone == "review":
            assert before.zone == "pass" and after.label == "abnormal"
            assert "darker" in after.reason and after.score == before.score
        else:
            assert after == before


def test_only_images_that_pass_are_watched(tmp_path: Path) -> None:
    monitor = open_monitor(tmp_path / "drift.json")
    scores = description()["reference"]["scores"]["sse"]
    assert monitor.reference_images == sum(score < THRESHOLD for score in scores) < 60
    assert f"{monitor.reference_images} normal images" in monitor.describe()
    assert "one false warning in 10,000 images" in monitor.describe()
    rejected = [one for one in images(600, brightness=0.2) if one.zone == "reject"]
    unreadable = Prediction("x", math.nan, THRESHOLD, "abnormal", "damaged")
    for one in [*rejected, unreadable]:
        assert monitor.observe(one) is one
    assert monitor.warning is None


def test_scores_are_watched(tmp_path: Path) -> None:
    monitor = open_monitor(tmp_path / "drift.json")
    for one in [*images(200), *images(300, seed=2, score=-1.2)]:
        monitor.observe(one, save=False)
    assert monitor.warning is not None and "lower scores" in monitor.warning


def test_the_warning_names_the_image_since_when(tmp_path: Path) -> None:
    monitor = open_monitor(tmp_path / "drift.json")
    for one in images(150):
        monitor.observe(replace(one, path="old/line\n0.png"), save=False)
    for i, one in enumerate(images(40, seed=2, brightness=0.7)):
        monitor.observe(replace(one, path=f"new/line\n{i}.png"), save=False)
    assert monitor.warning is not None and "\n" not in monitor.warning
    assert any(f" line\\n{i}.png, image" in monitor.warning for i in range(4))


def test_a_restart_continues(tmp_path: Path) -> None:
    stream = [*images(60), *images(40, seed=2, brightness=0.4)]
    whole = open_monitor(tmp_path / "whole.json")
    expected = [whole.observe(one) for one in stream]
    found = []
    for begin in range(0, len(stream), 25):
        monitor = open_monitor(tmp_path / "parts.json")
        found += [monitor.observe(one, save=False) for one in stream[begin : begin + 25]]
        monitor.save()
    assert found == expected and monitor.warning == whole.warning is not None
    assert (tmp_path / "parts.json").read_text() == (tmp_path / "whole.json").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts.json", "whole.json"]
    again = open_monitor(tmp_path / "whole.json")
    assert again.warning == whole.warning and again.observe(stream[0]).zone == "review"


@pytest.mark.parametrize("reset", ["reference", "images"])
def test_reset(tmp_path: Path, reset: str) -> None:
    file = tmp_path / "drift.json"
    monitor = open_monitor(file)
    dark = images(150, seed=2, brightness=0.4)
    for one in dark:
        monitor.observe(one, save=False)
    monitor.save()
    assert monitor.warning is not None
    monitor = open_monitor(file, reset=reset)
    assert monitor.warning is None and open_monitor(file).warning is None
    for one in images(200, seed=3, brightness=0.4):
        monitor.observe(one, save=False)
    assert (monitor.warning is None) == (reset == "images")
    assert ("without a reference" in monitor.describe()) == (reset == "images")
    # Without a file there is nothing to reset, but the choice holds.
    assert (open_monitor(tmp_path / "new.json", reset=reset).reference_images == 0) == (
        reset == "images"
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"format": 1}',
        b'{"format": 2}',
        b'{"format": 1, "warning": null, "identity": {}, "reference_images": 1, "recent": 5}',
    ],
)
def test_damaged_state(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "drift.json"
    file.write_bytes(content)
    with refuses(file=file, facts="damaged", remedy="drift.reset=reference"):
        open_monitor(file)
    assert open_monitor(file, reset="reference").warning is None
    assert open_monitor(file).warning is None


@pytest.mark.parametrize("part", ["test", "recent", "warning"])
def test_a_part_of_the_state_is_missing_or_of_another_kind(tmp_path: Path, part: str) -> None:
    file = tmp_path / "drift.json"
    monitor = open_monitor(file)
    monitor.observe(images(1)[0])
    stored = json.loads(file.read_text())
    for content in ({**stored, part: 7}, {k: v for k, v in stored.items() if k != part}):
        file.write_text(json.dumps(content))
        with refuses(file=file, facts="damaged"):
            open_monitor(file)


def test_the_state_of_another_detector(tmp_path: Path) -> None:
    file = tmp_path / "drift.json"
    open_monitor(file).save()
    with pytest.raises(UserError) as caught:
        open_monitor(file, decision=Decision("sse", 2.0, "paper", {}))
    assert_error(caught.value, file=file, facts="another detector", remedy=["out=", "drift.reset"])


def test_another_threshold_is_no_drift(tmp_path: Path) -> None:
    stream = images(400)
    usual = open_monitor(tmp_path / "usual.json")
    for one in stream:
        usual.observe(one, save=False)
    usual.save()
    for lower in (1.5, 4.5):  # as the inspector tries them
        monitor = open_monitor(tmp_path / f"{lower}.json")
        for one in stream:
            zone = "pass" if one.score < lower else "reject"
            assert (
                monitor.observe(replace(one, threshold=lower, zone=zone), save=False).zone == zone
            )
        monitor.save()
        assert monitor.warning is None
        assert (tmp_path / f"{lower}.json").read_text() == (tmp_path / "usual.json").read_text()
