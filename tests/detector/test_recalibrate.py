"""Recalibrated detectors: thresholds, zones, history, and escapes that never pass again."""

import copy
import hashlib
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from errors import refuses
from PIL import Image

from cyclegan_ad.detector.decision import choose_decision
from cyclegan_ad.detector.detect import Detector, Scored
from cyclegan_ad.detector.history import (
    accepted_misses,
    escape_limit,
    escaped_files,
    keep_calibrations,
    withdraw_escape,
)
from cyclegan_ad.detector.labelled_images import (
    LabelledImage,
    count_classes,
    find_withdrawn,
    mark_trained,
    score_labelled,
)
from cyclegan_ad.detector.recalibrate import Request, recalibrate
from cyclegan_ad.display.calibration_report import report_calibration
from cyclegan_ad.metrics.bounds import (
    calibration_bound,
    false_alarm_bound,
    miss_rate_upper_bound,
)
from cyclegan_ad.metrics.recalibration import Aim, explain_too_few

ZERO = Aim("zero_misses", None, 0.95)
STORED = [1.0, 2.0, 3.0, 4.0]
TIME = datetime(2026, 11, 26, 12, tzinfo=UTC)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def described(bound_of: int = 35, value: float = 5.0) -> dict[str, Any]:
    """A detector that decides by the lowest of some abnormal test scores."""
    computed_by = {"name": "sse", "precision": "float32"}
    paper = {
        "value": value,
        "set_on": "test images",
        "confidence": 0.95,
        "miss_rate_bound": calibration_bound(bound_of),
    }
    score = {
        "computed_by": computed_by,
        "thresholds": {"paper": paper, "best_accuracy": paper | {"miss_rate_bound": None}},
        "test_scores": {"normal": STORED, "abnormal": [value, 9.0]},
        "independent": {"normal": 4, "abnormal": 2},
    }
    return {
        "preprocessing": {"channels": 1, "window": None, "size_px": 8},
        "map_scale": [0.0, 1.0],
        "sha256": {"weights.safetensors": "abc"},
        "protocol": "paper",
        "score": "sse",
        "scores": {"sse": score, "other": copy.deepcopy(score)},
        "calibrations": [],
    }


def images(normal: Sequence[float], abnormal: Sequence[float]) -> tuple[list[Any], list[float]]:
    """Images that are told apart by their scores, and by how often these came before."""
    found = [
        LabelledImage(
            Path(f"{label}/{score}.png"),
            label,
            sha256(f"{score}{scores[:i].count(score) or ''}".encode()),
        )
        for label, scores in ((0, list(normal)), (1, list(abnormal)))
        for i, score in enumerate(scores)
    ]
    return found, [*normal, *abnormal]


def calibrated(
    before: dict[str, Any],
    normal: Sequence[float],
    abnormal: Sequence[float],
    aim: Aim = ZERO,
    reject_normal: float | None = 0.0,
    allow_weaker_bound: bool = False,
    **decide_by: Any,
) -> dict[str, Any]:
    present = choose_decision(before, **decide_by)
    request = Request(aim, reject_normal, allow_weaker_bound)
    unchanged = copy.deepcopy(before)
    after = recalibrate(before, present, *images(normal, abnormal), request, time=TIME)
    assert before == unchanged
    assert json.loads(json.dumps(after, allow_nan=False)) == after
    return after


def test_zero_misses_on_many_images_moves_the_threshold() -> None:
    abnormal = [6.0 + i for i in range(40)]
    after = calibrated(described(), [1.5, 2.5, 7.5], abnormal)
    assert (after["protocol"], after["score"]) == ("recalibrated", "sse")
    decision = choose_decision(after)
    # Lowered by what rounding may change.
    assert decision.threshold == pytest.approx(6.0 * (1 - 1e-5), rel=1e-12)
    assert decision.upper == pytest.approx(7.5 * (1 + 1e-5)) and decision.upper > 7.5
    assert decision.facts["miss_rate_bound"] == calibration_bound(40)
    said = decision.describe()
    assert "40 abnormal images and 3 normal given 2026-11-26" in said
    assert "at most 7.22 %" in said and "review" in said
    [entry] = after["calibrations"]
    assert (entry["time"], entry["score"]) == ("2026-11-26T12:00:00+00:00", "sse")
    assert (
        entry["before"] == pytest.approx(5.0, rel=1.1e-5) and entry["after"] == decision.threshold
    )
    assert (entry["limited_by"], entry["set_by"]) == ("aim", "6.0.png")
    assert entry["images"]["abnormal"] == 40 and len(entry["files"]) == 43
    assert entry["misses"] == {"before": 0, "after": 0}
    assert entry["false_alarms"] == {"before": 1, "after": 1}
    assert entry["cost"] == {"stored_normal": 4, "before": 0, "after": 0}
    # Of the stored scores, which are more.
    assert entry["bounds"]["false_alarms"] == miss_rate_upper_bound(0, 4)
    assert entry["bounds"]["false_alarms_of"] == "stored"
    assert decision.facts["false_alarm_rate_bound"] == miss_rate_upper_bound(0, 4)
    assert entry["zones"]["abnormal"] == {"pass": 0, "review": 2, "reject": 38}
    assert entry["zones"]["normal"] == {"pass": 2, "review": 1, "reject": 0}
    assert entry["escapes"] == []
    lines = "\n".join(sorted(one["sha256"] for one in entry["files"]))
    assert entry["images"]["sha256"] == sha256(lines.encode())
    # What else the detector knows is as it was.
    assert after["scores"]["other"] == described()["scores"]["other"]


def test_few_images_only_lower_the_threshold() -> None:
    after = calibrated(described(), [], [7.0, 8.0])
    [entry] = after["calibrations"]
    assert entry["limited_by"] == "present" and choose_decision(after).threshold < 5.0
    assert after["scores"]["sse"]["thresholds"]["recalibrated"]["value"] == 5.0
    assert entry["bounds"]["after"] == calibration_bound(35)
    assert "test images" in entry["bounds"]["set_on"]
    again = after
    for _ in range(3):  # the threshold does not creep
        again = calibrated(again, [], [7.0, 8.0])
        assert again["scores"]["sse"]["thresholds"]["recalibrated"]["value"] == 5.0
    raised = calibrated(described(), [], [7.0, 8.0], allow_weaker_bound=True)
    assert raised["scores"]["sse"]["thresholds"]["recalibrated"]["value"] == 7.0
    assert raised["calibrations"][0]["bounds"]["after"] == calibration_bound(2)
    # A threshold without a bound is not kept.
    free = calibrated(described(), [], [7.0], protocol="best_accuracy")
    assert free["scores"]["sse"]["thresholds"]["recalibrated"]["value"] == 7.0


def test_an_escape_lowers_the_threshold_and_says_what_it_costs() -> None:
    after = calibrated(described(), [], [2.5])
    [entry] = after["calibrations"]
    assert [one["score"] for one in entry["escapes"]] == [2.5]
    assert entry["cost"] == {"stored_normal": 4, "before": 0, "after": 2}
    assert choose_decision(after).threshold == pytest.approx(2.5 * (1 - 1e-5), rel=1e-12)
    # The bound of the present threshold still holds: a lower one misses less.
    assert entry["bounds"]["after"] == calibration_bound(35)
    # Neither many images nor another aim nor the thresholds of the run go above it.
    for aim in (ZERO, Aim("miss_rate", 0.2, 0.95), Aim("false_alarm_rate", 0.05, 0.95)):
        later = calibrated(after, [0.1 * i for i in range(50)], [8.0 + i for i in range(60)], aim)
        assert later["scores"]["sse"]["thresholds"]["recalibrated"]["value"] == 2.5
        assert later["calibrations"][-1]["limited_by"] == "escape"
    paper = choose_decision(after, protocol="paper")
    assert paper.threshold < 2.5 and "escape" in paper.describe()
    # It is a score of its own.
    assert choose_decision(after, score="other", protocol="paper").threshold > 4.9
    assert choose_decision(after, threshold=7.0).threshold == 7.0  # typed


def test_a_threshold_at_an_escape_is_not_said_to_be_limited_by_the_number_of_images() -> None:
    once = calibrated(described(), [], [2.5])
    again = calibrated(once, [], [7.0, 8.0])
    entry, facts = again["calibrations"][-1], choose_decision(again).facts
    assert (entry["limited_by"], facts["value"]) == ("escape", 2.5)
    assert facts["lowered_to_escape"] and facts["miss_rate_bound"] == calibration_bound(35)
    # Which more images do not change.
    assert calibrated(once, [], [7.0] * 60)["calibrations"][-1]["limited_by"] == "escape"
    # Below the escape it is the number of images.
    low = calibrated(described(value=2.0), [], [7.0], protocol="best_accuracy")
    low["calibrations"][0]["escapes"] = [{"sha256": "x", "score": 4.0, "label": "abnormal"}]
    kept = calibrated(low, [], [7.0], protocol="paper")["calibrations"][-1]
    assert kept["limited_by"] == "present"


def test_an_escape_that_was_reported_by_mistake_is_withdrawn() -> None:
    reported = calibrated(calibrated(described(), [], [2.5]), [], [1.5])
    first, second = (sha256(f"{score}".encode()) for score in (2.5, 1.5))
    assert set(escaped_files(reported)) == {first, second}
    after = withdraw_escape(reported, find_withdrawn(second, reported))
    assert after["calibrations"][:2] == reported["calibrations"]
    assert escape_limit(after, "sse") == 2.5 and set(escaped_files(after)) == {first}
    # The threshold stays until the next calibration, which is limited by the other escape alone.
    assert choose_decision(after).facts["value"] == 1.5
    later = calibrated(after, [], [7.0, 8.0], protocol="paper")
    assert choose_decision(later).facts["value"] == 2.5
    free = calibrated(withdraw_escape(after, first), [], [7.0, 8.0], protocol="paper")
    assert choose_decision(free).facts["value"] == 5.0
    assert escape_limit(free, "sse") is None
    # It can be reported again, and is withdrawn once.
    assert escape_limit(calibrated(after, [], [1.2], protocol="paper"), "sse") == 1.2
    with refuses(setting="withdraw", value=second):
        find_withdrawn(second, after)


def test_a_few_flagged_false_alarms_do_not_stand_for_all_normal_images() -> None:
    before = described(value=70.0)
    score = before["scores"]["sse"]
    score["test_scores"]["normal"] = [float(i) for i in range(1, 101)]
    score["independent"]["normal"] = 90  # ten of them are copies
    after = calibrated(before, [91.0], [60.0])
    [entry], decision = after["calibrations"], choose_decision(after)
    assert decision.upper == pytest.approx(100.0, rel=2e-5) and decision.upper > 100.0
    assert entry["zones"]["stored_normal"]["reject"] == 0
    # 60 to 100 are false alarms.
    assert entry["bounds"]["false_alarms"] == miss_rate_upper_bound(41, 90)
    assert entry["bounds"]["false_alarms_of"] == "stored"
    # Higher scores of new images raise it.
    assert choose_decision(calibrated(before, [120.0], [60.0])).upper > 120.0
    # As many are a sample of their own.
    many = [90.5 - i for i in range(90)]
    [entry] = calibrated(before, many, [60.0])["calibrations"]
    assert entry["bounds"]["false_alarms"] == miss_rate_upper_bound(31, 90)
    assert entry["bounds"]["false_alarms_of"] == "given"


def test_both_bounds_of_a_threshold_have_its_confidence() -> None:
    kept = calibrated(described(), [], [7.0, 8.0], Aim("zero_misses", None, 0.8))
    [entry] = kept["calibrations"]
    assert entry["limited_by"] == "present" and entry["bounds"]["after_confidence"] == 0.95
    assert entry["bounds"]["false_alarms"] == miss_rate_upper_bound(0, 4, 0.95)


def test_images_of_the_training_do_not_count_but_may_be_escapes() -> None:
    found, scores = images([1.5, 7.0], [6.0, 3.0, 8.0])
    found = mark_trained(found, {found[i].sha256 for i in (1, 3)})
    before = described(bound_of=1)
    after = recalibrate(
        before, choose_decision(before), found, scores, Request(ZERO, 0.0, False), time=TIME
    )
    [entry] = after["calibrations"]
    assert entry["images"] | {"sha256": ""} == {
        **{"abnormal": 2, "normal": 1, "copies": 0, "trained": 2, "grouped": 0},
        "sha256": "",
    }
    assert entry["bounds"]["after"] == calibration_bound(2)  # as 6 is the lowest that counts
    assert [one["score"] for one in entry["escapes"]] == [3.0]
    assert (entry["limited_by"], choose_decision(after).facts["value"]) == ("escape", 3.0)


def test_a_calibration_to_a_target_can_be_repeated_and_extended() -> None:
    normal, abnormal = [0.5, 1.5], [3.0 + i for i in range(40)]
    aim = Aim("miss_rate", 0.2, 0.95)
    once = calibrated(described(value=2.0), normal, abnormal, aim)
    limit = choose_decision(once).threshold
    passed = [score for score in abnormal if score < limit]
    assert len(passed) == 3  # of 40, so that the bound is 0.2
    again = calibrated(once, normal, abnormal, aim)
    assert choose_decision(again).threshold == limit and not again["calibrations"][1]["escapes"]
    extended = calibrated(once, normal, [*abnormal, 50.0, 51.0], aim)
    assert not extended["calibrations"][1]["escapes"]
    # A defect that passes and was not known is one, also with a target; without, all of them are.
    new = calibrated(once, normal, [*abnormal, 3.5], aim)
    assert [one["score"] for one in new["calibrations"][1]["escapes"]] == [3.5]
    strict = calibrated(once, normal, abnormal)
    assert [one["score"] for one in strict["calibrations"][1]["escapes"]] == passed
    # For good: another target does not let them pass again.
    later = calibrated(strict, normal, abnormal, aim)
    assert choose_decision(later).zone(passed[0]) != "pass"


def test_a_false_alarm_budget() -> None:
    normal = [float(i) for i in range(39)]
    after = calibrated(described(), normal, [36.5, 40.0], Aim("false_alarm_rate", 0.05, 0.95))
    # 5 % of 39 + 1: above the second largest, also after what rounding takes.
    decision, [entry] = choose_decision(after), after["calibrations"]
    assert 37.0 < decision.threshold < 37.0 * (1 + 2e-5)
    assert entry["false_alarms"]["after"] == 1 and entry["misses"]["after"] == 1
    assert entry["bounds"]["after"] == miss_rate_upper_bound(1, 2)
    assert entry["bounds"]["false_alarms"] == false_alarm_bound(2, 39)
    assert "chosen for a false-alarm rate of 5 %" in decision.describe()
    alone = calibrated(described(), normal, [], Aim("false_alarm_rate", 0.05, 0.95))
    assert alone["calibrations"][0]["bounds"]["after"] is None
    assert "misses are not bounded" in choose_decision(alone).describe()


@pytest.mark.parametrize("given", [20, 60])
@pytest.mark.parametrize(
    "aim",
    [
        Aim("zero_misses", None, 0.9),
        Aim("miss_rate", 0.15, 0.9),
        Aim("false_alarm_rate", 0.2, 0.9),
    ],
)
def test_no_stated_bound_is_exceeded_too_often(aim: Aim, given: int) -> None:
    """Of thresholds after the one of the run, with its escapes and what limits them.

    Scores of abnormal images are uniform on [0, 1], of normal ones on [-0.7, 0.3]: the rates of a
    threshold follow from it.
    """
    random, times = np.random.default_rng(given), 1000
    misses = alarms = 0
    for _ in range(times):
        detector = described(40, float(random.random(40).min()))
        detector["scores"]["sse"]["thresholds"]["paper"] |= {
            "confidence": 0.9,
            "miss_rate_bound": calibration_bound(40, 0.9),
        }
        normal, abnormal = random.random(50) - 0.7, random.random(given)
        if explain_too_few(aim, given, 50) is not None:
            aim = Aim("miss_rate", 0.3, 0.9)
        after = calibrated(detector, normal.tolist(), abnormal.tolist(), aim)
        threshold = choose_decision(after).threshold
        bounds = after["calibrations"][0]["bounds"]
        misses += min(max(threshold, 0.0), 1.0) > bounds["after"]
        alarms += min(max(0.3 - threshold, 0.0), 1.0) > bounds["false_alarms"]
    most = 0.1 + 3 * np.sqrt(0.09 / times)
    assert misses / times <= most and alarms / times <= most


def test_zones() -> None:
    abnormal = [5.0 + i for i in range(35)]
    for normal, share, upper in (
        ([1.0, 6.0, 7.0], 0.0, 7.0),
        ([1.0, 6.0, 7.0], 0.34, 6.0),
        ([1.0, 6.0, 7.0], None, None),
        ([1.0, 2.0, 3.0], 0.0, None),  # nothing between the classes
        ([], 0.0, None),  # the stored normal scores, likewise
    ):
        after = calibrated(described(), normal, abnormal, reject_normal=share)
        found = choose_decision(after).upper
        assert found == (None if upper is None else pytest.approx(upper, rel=2e-5))
    stored = calibrated(described(value=2.5), [], [2.5] * 3)
    assert choose_decision(stored).upper == pytest.approx(4.0, rel=2e-5)


def test_a_run_that_is_evaluated_again_keeps_its_calibrations() -> None:
    after = calibrated(described(), [], [2.5])
    fresh = described(value=8.0)
    fresh.pop("calibrations")
    kept = keep_calibrations(fresh, after)
    assert kept["calibrations"] == after["calibrations"]
    assert (kept["protocol"], kept["score"]) == ("recalibrated", "sse")
    assert choose_decision(kept) == choose_decision(after)
    assert kept["scores"]["sse"]["thresholds"]["paper"]["value"] == 8.0
    assert choose_decision(kept, protocol="paper").threshold < 2.5
    assert keep_calibrations(fresh, {})["calibrations"] == []
    assert keep_calibrations(fresh, {})["protocol"] == "paper"


@pytest.mark.parametrize("changed", ["computed_by", "fusion"])
def test_calibrations_of_a_score_that_is_computed_in_another_way_are_dropped(changed: str) -> None:
    before = described()
    before["scores"]["sse"]["fusion"] = {"weights": [1.0, 2.0]}
    paper = {"score": "sse", "protocol": "paper"}
    after = calibrated(calibrated(before, [], [3.5], score="other"), [], [2.5], **paper)
    fresh = {name: value for name, value in before.items() if name != "calibrations"}
    assert len(keep_calibrations(fresh, after)["calibrations"]) == 2
    other = {"precision": "bf16"} if changed == "computed_by" else {"weights": [1.0, 2.5]}
    fresh["scores"]["sse"][changed] = fresh["scores"]["sse"][changed] | other
    kept = keep_calibrations(fresh, after)
    assert [one["score"] for one in kept["calibrations"]] == ["other"]
    assert "recalibrated" not in kept["scores"]["sse"]["thresholds"]
    assert "recalibrated" in kept["scores"]["other"]["thresholds"]
    assert (kept["protocol"], escape_limit(kept, "sse")) == ("paper", None)


@pytest.mark.parametrize("seed", range(40))
def test_a_reported_escape_never_passes_again(seed: int) -> None:
    """Whatever calibrations, evaluations and changes of the score follow."""
    draw = random.Random(seed)
    detector, reported = described(value=draw.uniform(0.5, 9.0)), {}
    for _ in range(12):
        column = draw.choice(["sse", "other"])
        names = [*detector["scores"][column]["thresholds"], None]
        protocol = draw.choice(names)
        if protocol is None and detector["protocol"] not in names:
            protocol = "paper"
        aim = draw.choice(
            [
                Aim("zero_misses", None, draw.choice([0.5, 0.95])),
                Aim("miss_rate", draw.uniform(0.05, 0.9), 0.9),
                Aim("false_alarm_rate", draw.uniform(0.05, 0.9), 0.95),
            ]
        )
        # Scores of both signs, of other size, with ties.
        scale, shift = draw.choice([0.01, 1.0, 50.0]), draw.choice([0.0, 1.0, -3.0])
        normal, abnormal = (
            [round(draw.gauss(mean, 2.0), 2) * scale + shift for _ in range(draw.randrange(60))]
            for mean in (2.0, 5.0)
        )
        if explain_too_few(aim, len(abnormal), len(normal)) is not None:
            continue
        before = choose_decision(detector, score=column, protocol=protocol)
        accepted = set() if aim.name == "zero_misses" else accepted_misses(detector, column)
        detector = calibrated(
            detector,
            normal,
            abnormal,
            aim,
            draw.choice([None, 0.0, 0.3]),
            draw.random() < 0.5,
            score=column,
            protocol=protocol,
        )
        passed = [
            score
            for score in abnormal
            if score < before.threshold and sha256(f"{score}".encode()) not in accepted
        ]
        entry = detector["calibrations"][-1]
        assert sorted(passed) == sorted(one["score"] for one in entry["escapes"])
        reported.setdefault(column, []).extend(passed)
        if draw.random() < 0.3:
            fresh = described(value=draw.uniform(0.5, 900.0))
            fresh.pop("calibrations")
            detector = keep_calibrations(detector | fresh, detector)
        for name, escaped in reported.items():
            if not escaped:
                continue
            assert escape_limit(detector, name) == min(escaped)
            for threshold in detector["scores"][name]["thresholds"]:
                decision = choose_decision(detector, score=name, protocol=threshold)
                assert all(decision.zone(score) != "pass" for score in escaped)


class Brightness:
    """The score is the mean of the pixels."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.description = description

    def score(self, pixels: Any, column: str) -> Scored:
        maps = pixels[..., 0].astype(np.float32)
        return Scored(maps.mean(axis=(1, 2)).astype(np.float64), maps, None)

    def map(self, function: Any, items: Any) -> Any:
        yield function(list(items))


def picture(path: Path, grey: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), grey).save(path)
    return path


def test_the_file_of_an_escape_is_known_by_its_content(tmp_path: Path) -> None:
    escape, other = picture(tmp_path / "a.png", 3), picture(tmp_path / "b.png", 2)
    found = [LabelledImage(escape, 1, sha256(escape.read_bytes()))]
    before = described()
    request = Request(ZERO, None, False)
    after = recalibrate(before, choose_decision(before), found, [3.0], request)
    renamed = escape.rename(tmp_path / "renamed.png")
    # A threshold that the user types is above the escape, and the file does not pass all the same.
    detector = Detector(Brightness(after), choose_decision(after, threshold=100.0))
    one, two, array = detector([renamed, other, np.full((8, 8), 3, np.uint8)])
    assert (one.label, one.zone, one.score) == ("abnormal", "review", 3.0)
    assert "escape" in one.reason
    assert (two.label, two.zone, two.reason) == ("normal", "pass", "")
    assert array.zone == "pass"  # without a file nothing is known of it
    with refuses(file=renamed, facts="normal", remedy=f"withdraw={renamed}"):
        wrong = [LabelledImage(renamed, 0, found[0].sha256)]
        score_labelled(detector, wrong)
    assert detector.identity != Detector(Brightness(before), choose_decision(before)).identity


def test_images_without_a_score_are_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"\x89PNG")
    detector = Detector(Brightness(described()), choose_decision(described()))
    with refuses(file=damaged, remedy="repair or remove", facts="unchanged"):
        score_labelled(detector, [LabelledImage(damaged, 1, "x")])


def test_misses_are_counted_at_the_threshold_that_rounding_raises() -> None:
    before = described(value=3.5)
    before["scores"]["sse"]["computed_by"]["precision"] = "bf16"  # of which scores differ by 1 %
    normal = [1.0 + i / 100 for i in range(18)] + [4.0]
    after = calibrated(before, normal, [4.02, 9.0], Aim("false_alarm_rate", 0.05, 0.95))
    [entry], decision = after["calibrations"], choose_decision(after)
    assert 4.02 < decision.threshold < 4.1 and entry["misses"]["after"] == 1
    assert decision.facts["miss_rate_bound"] == miss_rate_upper_bound(1, 2)


def test_a_threshold_without_a_bound_is_not_raised_by_fewer_images() -> None:
    """As of crossval of several fits: it states none, but was set on 15 images."""
    before = described()
    before["scores"]["sse"]["thresholds"]["paper"] |= {
        "miss_rate_bound": None,
        "calibration_abnormal": 15,
    }
    kept = calibrated(before, [], [7.0])
    [entry] = kept["calibrations"]
    assert (entry["after"], entry["limited_by"]) == (entry["before"], "present")
    assert "15 abnormal images are needed" in " ".join(report_calibration(entry, None).split())
    assert "No bound on the misses" in report_calibration(entry, None)
    again = calibrated(kept, [], [7.0])
    assert again["calibrations"][-1]["limited_by"] == "present"
    assert choose_decision(calibrated(before, [], [7.0], allow_weaker_bound=True)).threshold > 5.0
    assert choose_decision(calibrated(before, [], [7.0 + i for i in range(15)])).threshold > 5.0
    # The stored abnormal scores are 5 and 9: one of them passes now, which is said.
    raised = calibrated(before, [], [7.0 + i for i in range(15)])["calibrations"][-1]
    assert raised["stored_misses"] == {"stored_abnormal": 2, "before": 0, "after": 1}
    words = " ".join(report_calibration(raised, None).split())
    assert "missed of the stored scores 0 of 2 (0 %) 1 of 2 (50 %)" in words


def test_of_a_group_one_image_counts() -> None:
    """Four parts with five images each support what four images do."""
    parts = [
        LabelledImage(Path(f"{i}.png"), label, sha256(b"%d" % i), group=f"part {label}{i % 4}")
        for label in (0, 1)
        for i in range(20 * label, 20 * label + 20)
    ]
    scores = [float(i % 5 + 1) for i in range(20)] + [float(10 + i) for i in range(20)]
    request = Request(ZERO, 0.0, allow_weaker_bound=True)
    after = recalibrate(described(), choose_decision(described()), parts, scores, request)
    [entry] = after["calibrations"]
    found = {name: entry["images"][name] for name in ("abnormal", "normal", "grouped")}
    assert found == {"abnormal": 4, "normal": 4, "grouped": 32}
    assert entry["bounds"]["after"] == calibration_bound(4)
    assert entry["set_by"] == "20.png"  # the lowest of all, 10
    assert count_classes(parts) == (4, 4)
    # A normal part is a false alarm if one of its images is: the highest counts.
    limit = Request(Aim("false_alarm_rate", 0.2, 0.95), 0.0, allow_weaker_bound=False)
    after = recalibrate(described(), choose_decision(described()), parts, scores, limit)
    assert choose_decision(after).threshold > 5.0


def test_a_threshold_lowered_to_an_escape_says_so() -> None:
    normal = [1.0 + i / 10 for i in range(60)]
    after = calibrated(described(), normal, [4.5], Aim("false_alarm_rate", 0.05, 0.95))
    decision = choose_decision(after)
    assert decision.threshold < 4.5 and after["calibrations"][0]["limited_by"] == "escape"
    assert "lowered to the score of a reported escape" in decision.describe()
    usual = choose_decision(calibrated(described(), normal, [9.5]))
    assert "escape" not in usual.describe()
