"""Which thresholds pictures show, and in which words."""

from typing import Any

import numpy as np

from cyclegan_ad.display.thresholds import (
    deciding_threshold,
    drawn_thresholds,
    marks_of,
    set_thresholds,
)


def metrics_of(protocol: str, **protocols: list[float]) -> dict[str, Any]:
    row = {"zfn_threshold": 0.0, "max_accuracy_threshold": 1.0}
    decided = {name: {"sse": {"thresholds": values}} for name, values in protocols.items()}
    return {"scores": {"sse": row, "fid": row}, "protocol": protocol, "protocols": decided}


def test_normal_images_alone_have_the_quantile_that_was_set_on_them() -> None:
    metrics = metrics_of("quantile", quantile=[2.5])
    metrics["scores"]["sse"] = {"zfn_threshold": None, "max_accuracy_threshold": None}
    assert set_thresholds(metrics, "sse") == {"quantile": 2.5}
    assert deciding_threshold(metrics, "sse") == ("quantile", 2.5)
    bare = metrics | {"protocols": {}}
    assert set_thresholds(bare, "sse") == {} == drawn_thresholds(bare, "sse")
    assert deciding_threshold(bare, "sse") is None


def test_the_threshold_of_the_protocol_is_drawn_beside_those_of_the_paper() -> None:
    metrics = metrics_of("crossval", crossval=[3.0, -2.0, 4.0], crossfit=[9.0])
    assert set_thresholds(metrics, "sse") == {"ZFN": 0.0, "ACC": 1.0}
    assert deciding_threshold(metrics, "sse") == ("crossval", -2.0)  # as the detector decides
    assert drawn_thresholds(metrics, "sse") == {"ZFN": 0.0, "ACC": 1.0, "crossval": -2.0}
    assert deciding_threshold(metrics, "fid") == ("ZFN", 0.0)  # not judged by it
    assert drawn_thresholds(metrics_of("paper", crossfit=[9.0]), "sse") == {"ZFN": 0.0, "ACC": 1.0}


def test_wrong_decisions_are_counted_and_equal_thresholds_are_one_mark() -> None:
    scores, labels = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([0, 1, 0, 1, 0])
    marks = marks_of({"ACC": 4.0, "ZFN": 2.0, "crossfit": 2.0}, scores, labels)
    assert [(mark.name, mark.missed, mark.alarms) for mark in marks] == [
        ("ZFN = crossfit", 0, 2),
        ("ACC", 1, 1),
    ]
    assert marks[0].words(True) == "ZFN = crossfit 2: 0 missed, 2 false alarms"
    assert marks[1].words(False) == "ACC 4: 1 false alarm"
    others = marks_of({"ZFN": 1.0, "ACC": 2.0, "calibrated": 3.0}, scores, labels)
    assert len({mark.marker for mark in others}) == len({mark.dashes for mark in others}) == 3
