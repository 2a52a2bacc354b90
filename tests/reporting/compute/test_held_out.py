"""Decisions summed over seeds."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from reporting.fake_runs import decide_again, make_run

from cyclegan_ad.reporting.compute.held_out import add_decisions, gather_held_out
from cyclegan_ad.reporting.read.choose_runs import choose_comparable
from cyclegan_ad.reporting.read.find_runs import collect
from cyclegan_ad.scoring.names import ScoreColumn


def decisions(misses: int, alarms: int, calibration: int, bound: float) -> dict[str, object]:
    return {
        "thresholds": [float(misses)],
        "margin": 0.0,
        "confidence": 0.95,
        "calibration_abnormal": calibration,
        "calibration_images": calibration,
        "abnormal": 20,
        "normal": 30,
        "misses": misses,
        "false_alarms": alarms,
        "miss_rate": misses / 20,
        "false_alarm_rate": alarms / 30,
        "accuracy": 1 - (misses + alarms) / 50,
        "independent": {"abnormal": 18, "normal": 30, "misses": misses, "false_alarms": alarms},
        "miss_rate_bound": bound,
        "max_accuracy": None,
    }


def test_counts_add_up_and_the_weakest_bound_counts() -> None:
    together = add_decisions([decisions(1, 6, 35, 0.082), decisions(3, 0, 30, 0.095)])
    assert (together["misses"], together["abnormal"]) == (4, 40)
    assert (together["false_alarms"], together["normal"]) == (6, 60)
    assert together["miss_rate"] == pytest.approx(0.1)
    assert together["false_alarm_rate"] == pytest.approx(0.1)
    assert together["accuracy"] == pytest.approx(0.9)
    assert (together["calibration_abnormal"], together["miss_rate_bound"]) == (30, 0.095)
    assert together["thresholds"] == [1.0, 3.0]
    expected = {"abnormal": 36, "normal": 60, "misses": 4, "false_alarms": 6}
    assert together["independent"] == expected


def test_the_weakest_guarantee_of_crossval_counts() -> None:
    promised = {"miss_rate_expected": 0.01, "guaranteed_by": "one fold", "folds": 5}
    each = [
        decisions(0, 0, 99, 0.1) | promised | {"miss_rate_guaranteed": rate, "largest_fold": size}
        for rate, size in ((1 / 21, 20), (1 / 20, 19))
    ]
    assert add_decisions(each)["miss_rate_guaranteed"] == 1 / 20


def test_a_row_a_protocol_and_score_with_words_for_each_seed(tmp_path: Path) -> None:
    for seed in range(2):
        make_run(tmp_path, "cyclegan", 64, "screw", seed, "protocol=calibrated", columns=["sse"])
    runs, _ = collect(tmp_path)
    comparable = choose_comparable(runs)
    crossfit, calibrated = gather_held_out(comparable)
    assert comparable.left_out == []
    assert (crossfit.protocol, calibrated.protocol) == ("crossfit", "calibrated")
    each = [run.metrics["protocols"]["calibrated"]["sse"] for run in runs]
    assert calibrated.seeds == (0, 1)
    assert calibrated.decisions["misses"] == sum(row["misses"] for row in each)
    assert calibrated.accuracy.values == tuple(row["accuracy"] for row in each)
    assert calibrated.max_accuracy is None
    assert calibrated.expected == calibrated.guaranteed == 1 / 3  # of 2 images
    assert crossfit.max_accuracy is not None
    assert len(calibrated.sentences) == 2
    assert "the smallest score of 2 abnormal images kept out" in calibrated.sentences[0]
    assert "miss rate below 77.6 % with 95 % confidence" in calibrated.sentences[0]


def test_leave_one_out_has_as_many_folds_as_the_images_of_a_seed() -> None:
    """Copies make their number depend on the seed; the runs were decided alike all the same."""

    def run(seed: int, protocol: str, folds: int, largest: int, asked: int = 5) -> Any:
        row = {"margin": 0.0, "confidence": 0.95, "thresholds": [1.0] * folds}
        row |= {"folds": folds, "largest_fold": largest} if protocol == "crossval" else {}
        return SimpleNamespace(
            seed=seed,
            dataset="brain_mri",
            method="probe",
            scores=[ScoreColumn("probe")],
            shown=f"seed{seed}",
            metrics={
                "protocols": {protocol: {"probe": row}},
                "protocol_settings": {"folds": asked},
            },
        )

    def left_out(*runs: Any) -> list[str]:
        return [found.what for found in choose_comparable(runs).left_out]

    alone = run(0, "crossval", 100, 1), run(1, "crossval", 98, 1)
    assert left_out(*alone) == []
    assert left_out(*alone, run(2, "crossval", 5, 20)) == ["seed2, crossval"]
    # A small class has fewer folds than were asked for.
    assert left_out(run(0, "crossfit", 5, 0), run(1, "crossfit", 4, 0)) == []
    assert left_out(run(0, "crossfit", 5, 0), run(1, "crossfit", 4, 0, asked=4)) == [
        "seed1, crossfit"
    ]


def test_another_margin_is_not_mixed_in(tmp_path: Path) -> None:
    for seed in range(3):
        path = make_run(tmp_path, seed=seed, columns=["sse"])
    decide_again(path, margin=0.1)
    comparable = choose_comparable(collect(tmp_path)[0])
    (row,), left_out = gather_held_out(comparable), comparable.left_out
    assert row.seeds == (0, 1)
    assert [row.what for row in left_out] == ["cyclegan-64/screw/seed2, crossfit"]
    assert "margin 0.1" in left_out[0].reason
