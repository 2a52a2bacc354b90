"""What a calibration prints: every number that a reader acts on, in each of its cases."""

import copy
from typing import Any

import pytest

from cyclegan_ad.display.calibration_report import report_calibration

ENTRY: dict[str, Any] = {
    "score": "sse",
    "aim": {"name": "zero_misses", "rate": None},
    "confidence": 0.95,
    "before": 120.5,
    "before_protocol": "paper",
    "after": 98.25,
    "upper": 150.0,
    "limited_by": "aim",
    "set_by": "part_17.png",
    "reject_normal": 0.0,
    "images": {"abnormal": 40, "normal": 20, "copies": 1, "trained": 2, "grouped": 0},
    "misses": {"before": 2, "after": 0},
    "false_alarms": {"before": 1, "after": 5},
    "stored_misses": {"stored_abnormal": 30, "before": 1, "after": 0},
    "cost": {"stored_normal": 50, "before": 4, "after": 13},
    "escapes": [{"score": 98.25}, {"score": 110.0}],
    "bounds": {
        "before": None,
        "before_confidence": None,
        "after": 0.0722,
        "after_confidence": 0.95,
        "expected": 1 / 41,
        "false_alarms": 0.4556,
        "false_alarms_of": "given",
    },
    "zones": {
        "abnormal": {"pass": 0, "review": 10, "reject": 30},
        "normal": {"pass": 15, "review": 4, "reject": 1},
        "stored_normal": {"pass": 37, "review": 13, "reject": 0},
    },
}


def report(prevalence: float | None = None, **changes: Any) -> str:
    return report_calibration(copy.deepcopy(ENTRY) | changes, prevalence)


def row(text: str, name: str) -> str:
    """The line of a table, without what only aligns it."""
    [line] = [line for line in text.splitlines() if line.startswith(name)]
    return " ".join(line.split())


def test_images_of_one_part_are_told() -> None:
    images = ENTRY["images"] | {"copies": 0, "trained": 0, "grouped": 36}
    assert "20 normal; not counted: 36 further of their groups" in report(images=images)


def test_before_and_after() -> None:
    text = report()
    assert "40 abnormal images and 20 normal; not counted: 1 copy, 2 used for the training" in text
    assert row(text, "threshold") == "threshold 120.5 98.25"
    assert row(text, "misses, at most") == "misses, at most not bounded 7.22 %"
    assert (
        row(text, "missed of the images")
        == "missed of the images given 2 of 40 (5 %) 0 of 40 (0 %)"
    )
    assert row(text, "missed of the stored").endswith("1 of 30 (3.33 %) 0 of 30 (0 %)")
    assert row(text, "false alarms, stored").endswith("4 of 50 (8 %) 13 of 50 (26 %)")
    words = " ".join(text.split())
    assert "set by the image part_17.png" in words
    assert "at most 7.22 % of abnormal images" in words and "2.44 % are expected" in words
    assert "at most 45.6 % of normal images" in words and "picked because" in words
    assert max(map(len, text.splitlines())) <= 100


def test_the_bound_on_false_alarms_says_of_which_images_it_is() -> None:
    assert "normal images like those given raise" in " ".join(report().split())
    of = ENTRY["bounds"] | {"false_alarms_of": "stored", "after_confidence": 0.8}
    words = " ".join(report(bounds=of).split())
    assert "With 80 % confidence, at most 45.6 % of normal images like those of the stored" in words
    none = " ".join(report(bounds=of | {"false_alarms": None}).split())
    assert "raise a false alarm" not in none


def test_the_price_of_escapes() -> None:
    words = " ".join(report().split())
    assert "2 escapes" in words and "goes above 98.25" in words
    assert "9 more false alarms among the 50 stored scores" in words
    assert "8 % -> 26 %" in words
    assert "escapes:" not in report(escapes=[])


def test_zones_and_workload() -> None:
    text = report(0.1)
    assert row(text, "pass") == "pass below 98.25 0 of 40 (0 %) 15 of 20 (75 %) 37 of 50 (74 %)"
    assert row(text, "review").startswith("review 98.25 to 150 10 of 40 (25 %) 4 of 20 (20 %)")
    assert row(text, "reject").startswith("reject 150 and above")
    # 0.9 * 0.74; 0.1 * 0.25 + 0.9 * 0.26; 0.1 * 0.75
    workload = row(text, "Workload with 10 %")
    assert "pass 66.6 %, review 25.9 %, reject 7.5 %" in workload
    assert "normal images: 50 stored scores" in workload  # of which there are more
    given = {"normal": {"pass": 45, "review": 12, "reject": 3}}
    workload = row(report(0.1, zones=ENTRY["zones"] | given), "Workload with 10 %")
    # 0.9 * 0.75; 0.1 * 0.25 + 0.9 * 0.2; 0.1 * 0.75 + 0.9 * 0.05
    assert "pass 67.5 %, review 20.5 %, reject 12 %" in workload
    assert "normal images: 60 given" in workload
    assert "Workload" not in report()
    two = report(upper=None)
    assert "no zone review" in two and row(two, "reject").startswith("reject 98.25 and above")
    assert "no zone review" not in report(upper=None, reject_normal=None)


def test_the_plan() -> None:
    text = report(0.01)
    assert row(text, "5 %") == "5 % 59 19 500"
    assert row(text, "1 %") == "1 % 299 259 100"
    assert row(text, "0.1 %") == "0.1 % 2995 2955 10"
    assert "244 per million expected, at most 722" in row(text, "Escapes of the new")
    assert row(report(), "5 %") == "5 % 59 19" and "prevalence=SHARE" in report()


@pytest.mark.parametrize("prevalence", [None, 0.01])
def test_other_cases(prevalence: float | None) -> None:
    bounds = ENTRY["bounds"]
    kept = bounds | {"before": 0.0618, "before_confidence": 0.95, "expected": None}
    text = " ".join(report(prevalence, limited_by="present", bounds=kept).split())
    assert "not raised" in text and "47 abnormal images" in text
    assert "allow_weaker_bound=true" in text
    escape = " ".join(report(prevalence, limited_by="escape").split())
    assert "lowest score of a reported escape" in escape
    alarms = " ".join(
        report(
            prevalence,
            aim={"name": "false_alarm_rate", "rate": 0.05},
            images=ENTRY["images"] | {"abnormal": 0},
            misses={"before": 0, "after": 0},
            bounds=bounds | {"after": None, "expected": None},
            zones=ENTRY["zones"] | {"abnormal": {"pass": 0, "review": 0, "reject": 0}},
            escapes=[],
        ).split()
    )
    assert "5 % false alarms" in alarms and "not bounded by choice" in alarms
    assert "not bounded at all" in alarms
    assert "missed of the images" not in alarms and "abnormal given" not in alarms
    assert "Workload" not in alarms
    rate = report(prevalence, aim={"name": "miss_rate", "rate": 0.1})
    assert "misses at most 10 %" in rate
