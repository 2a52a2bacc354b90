"""The images that decide by a score, whose pictures a run keeps."""

from typing import Any

from cyclegan_ad.evaluation.critical_images import critical_roles

# Three abnormal images; of ten normal ones, eight lie above the lowest abnormal score.
SCORES = [3.0, 20.0, 30.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]
LABELS = [1] * 3 + [0] * 10


def metrics(**protocols: Any) -> dict[str, Any]:
    row = {"zfn_threshold": 3.0, "max_accuracy_threshold": 20.0}
    name = next(iter(protocols), "paper")
    return {"scores": {"sse": row}, "protocol": name, "protocols": protocols}


def test_the_nearest_false_alarms_are_among_them() -> None:
    found = critical_roles(metrics(), "sse", SCORES, LABELS)
    alarms = [i for i, roles in found.items() if "false alarm near the ZFN threshold" in roles]
    assert sorted(SCORES[i] for i in alarms) == [4.0, 5.0, 6.0]
    assert [SCORES[i] for i in found] == [3.0, 20.0, 30.0, 11.0, 10.0, 9.0, 6.0, 5.0, 4.0]
    assert found[1] == ["sets the ACC threshold"]


def test_misses_are_those_of_the_threshold_that_decides() -> None:
    decided = {"sse": {"thresholds": [10.5]}}
    found = critical_roles(metrics(calibrated=decided), "sse", SCORES, LABELS)
    assert found[0] == ["sets the ZFN threshold", "missed at the calibrated threshold"]
    assert found[12] == ["false alarm near the calibrated threshold"]


def test_without_abnormal_images_the_highest_are_kept() -> None:
    nothing = {"scores": {"sse": {"zfn_threshold": None}}, "protocol": "quantile", "protocols": {}}
    assert list(critical_roles(nothing, "sse", [5.0, 1.0, 9.0, 2.0], [0] * 4)) == [2, 0, 3]
