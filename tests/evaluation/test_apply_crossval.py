"""Decisions of protocol=crossval from the files of a run, and its folds."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from errors import refuses
from tiny import draw_folder, settings

from cyclegan_ad.build import build_data
from cyclegan_ad.evaluation.apply_crossval import decide_by_crossval, training_folds
from cyclegan_ad.evaluation.apply_protocols import apply_protocols, check_protocol
from cyclegan_ad.metrics.wording import explain
from cyclegan_ad.runs.results import SplitRow

CHOSEN = {"folds": 5, "margin": 0.0, "confidence": 0.95}
LABELS = {"n1": 0, "n2": 0, "x1": 1, "x2": 1}
SPLIT = [
    *(SplitRow(path, f"of {path}", label, "test") for path, label in LABELS.items()),
    *(SplitRow(f"t{i}", f"of t{i}", 1, "train") for i in range(3)),
    SplitRow("g", "of g", 0, "train"),
]
ROWS = [{"path": path, "label": label, "sse": 9.0} for path, label in LABELS.items()]


def one(fold: int, path: str, score: float) -> dict[str, Any]:
    return {"fold": fold, "path": path, "label": LABELS.get(path, 1), "sse": score}


# t0 and t1 are fold 0, t2 is fold 1: below 4 and below 6 is normal.
HELD_OUT = [one(0, "t0", 4.0), one(0, "t1", 5.0), one(1, "t2", 6.0)]
OF_FOLDS = {"n1": (3.0, 5.0), "n2": (3.0, 6.0), "x1": (1.0, 2.0), "x2": (4.5, 1.0)}
TESTED = [one(fold, path, both[fold]) for path, both in OF_FOLDS.items() for fold in (0, 1)]


def test_refits_by_hand() -> None:
    found = decide_by_crossval(ROWS, [*HELD_OUT, *TESTED], SPLIT, **CHOSEN)["sse"]
    assert found["thresholds"] == [4.0, 6.0]
    assert (found["misses"], found["false_alarms"]) == (1, 1)  # x1; n2 at its tie
    assert (found["calibration_abnormal"], found["folds"], found["largest_fold"]) == (3, 2, 2)


def test_a_model_that_saw_none_of_them_by_hand() -> None:
    kept = [one(0, f"t{i}", score) for i, score in enumerate((9.5, 10.0, 11.0))]
    found = decide_by_crossval(ROWS, kept, SPLIT, **CHOSEN)["sse"]  # all test images score 9
    assert (found["thresholds"], found["folds"]) == ([9.5], 1)
    assert (found["misses"], found["false_alarms"]) == (2, 0)


def test_a_group_counts_once() -> None:
    split = [row._replace(group="P1" if row.path in ("t0", "t1") else row.path) for row in SPLIT]
    found = decide_by_crossval(ROWS, [*HELD_OUT, *TESTED], split, **CHOSEN)["sse"]
    assert (found["calibration_abnormal"], found["largest_fold"]) == (2, 1)


def test_a_group_that_the_model_saw_normal_images_of_is_in_no_bound() -> None:
    """Refits leave out all images of a group; a model of the run that saw no defect does not."""
    split = [row._replace(group="P1") if row.path in ("t0", "g") else row for row in SPLIT]
    split = [row if row.group else row._replace(group=row.path) for row in split]
    kept = [one(0, f"t{i}", score) for i, score in enumerate((9.5, 10.0, 11.0))]
    found = decide_by_crossval(ROWS, kept, split, **CHOSEN)["sse"]
    assert (found["thresholds"], found["calibration_abnormal"]) == ([9.5], 2)
    refitted = decide_by_crossval(ROWS, [*HELD_OUT, *TESTED], split, **CHOSEN)["sse"]
    assert refitted["calibration_abnormal"] == 3
    alone = [row._replace(group="P1") if row.subset == "train" else row for row in split]
    none = decide_by_crossval(ROWS, kept, alone, **CHOSEN)["sse"]
    assert (none["calibration_abnormal"], none["miss_rate_bound"]) == (0, 1.0)
    assert "no bound on the miss rate" in explain(none)


@pytest.mark.parametrize(
    "rows",
    [
        HELD_OUT[:2],  # a training image is missing
        [*HELD_OUT, one(1, "t0", 4.0)],  # one is in two folds
        [*HELD_OUT, *TESTED[:-1]],  # a test image is missing in a fold
        [*HELD_OUT, one(0, "g", 4.0)],  # a normal image, or a wrong label
        [row | {"fold": 2 * row["fold"]} for row in [*HELD_OUT, *TESTED]],
        [row | {"fold": min(row["fold"], 0)} for row in HELD_OUT]
        + [row | {"fold": 1} for row in TESTED if row["fold"] == 1],
    ],
)
def test_rows_that_are_not_those_of_the_split(rows: list[dict[str, Any]]) -> None:
    with refuses(file="crossval.csv", remedy="evaluate the run again"):
        decide_by_crossval(ROWS, rows, SPLIT, **CHOSEN)


def test_other_protocols_are_decided_beside_it(tmp_path: Path) -> None:
    job = settings(tmp_path, tmp_path, "protocol=crossval", method="padim")
    rows = [*HELD_OUT, *TESTED]
    found = apply_protocols(ROWS, (), SPLIT, job.protocol, seed=0, where="run", crossval=rows)
    assert found["protocol"] == "crossval"
    assert found["protocols"].keys() == {"crossfit", "crossval"}


# The folds


def data_of(root: Path, *words: str) -> Any:
    job = settings(root, root, "protocol=crossval", *words, method="padim")
    data = build_data(job)
    data.setup()
    return job.protocol, data


def test_folds_hold_whole_groups_and_all_abnormal_training_images(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "images", normal=6, abnormal=20)
    for number in (3, 7):  # copies
        (root / f"abnormal/{number + 1:02d}.png").write_bytes(
            (root / f"abnormal/{number:02d}.png").read_bytes()
        )
    words = ("dataset.keep_copies_together=true", "protocol.crossval_folds=4")
    protocol, data = data_of(root, *words)
    fold_of = training_folds(protocol, data)
    assert fold_of.keys() == set(data.train_indices(1))
    groups = {(data.groups[index], fold) for index, fold in fold_of.items()}
    assert len(groups) == len({group for group, _ in groups})  # none is in two folds
    sizes = np.bincount([fold for _, fold in groups])
    assert len(sizes) == 4 and sizes.max() - sizes.min() <= 1


def test_leave_one_out_has_a_fold_for_each_image(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "images", normal=6, abnormal=12)
    protocol, data = data_of(root, "protocol.crossval_folds=leave_one_out")
    folds = sorted(training_folds(protocol, data).values())
    assert folds == list(range(len(data.train_indices(1))))


@pytest.mark.parametrize(
    ("abnormal", "folds", "remedy"),
    [
        (10, "8", "leave_one_out"),
        (4, "2", "add abnormal images"),
        (4, "leave_one_out", "add abnormal images"),
    ],
)
def test_too_few_images_for_the_folds(
    tmp_path: Path, abnormal: int, folds: str, remedy: str
) -> None:
    root = draw_folder(tmp_path / "images", normal=6, abnormal=abnormal)
    protocol, data = data_of(root, f"protocol.crossval_folds={folds}")
    training = len(data.train_indices(1))
    with refuses(
        setting="protocol.crossval_folds",
        value=folds,
        facts=f"{training} different abnormal training image",
        remedy=remedy,
    ):
        check_protocol(protocol, data, refits=True)
    check_protocol(protocol, data, refits=False)  # one model scores them all


def test_folds_whose_groups_have_all_normal_images_are_refused_before_the_training() -> None:
    """Patient p has the normal training images, and leaving out its fold would leave none."""
    labels, groups = [0, 0, 1, 1, 1, 1], ["p", "p", "p", "q", "r", "s"]
    data: Any = SimpleNamespace(
        train_indices=lambda label: [i for i in range(6) if labels[i] == label],
        groups=groups,
        seed=0,
        dataset_name="x",
        max_abnormal=None,
    )
    protocol: Any = SimpleNamespace(name="crossval", crossval_folds=2)
    with refuses(
        setting="protocol.crossval_folds", value="2", facts="no normal", remedy="other groups"
    ):
        check_protocol(protocol, data, refits=True)
    groups[1] = "t"
    check_protocol(protocol, data, refits=True)


def test_a_limit_that_leaves_too_few_is_named(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "images", normal=6, abnormal=12)
    protocol, data = data_of(root, "dataset.max_abnormal=2")
    with refuses(
        setting="protocol.crossval_folds",
        value="5",
        facts="dataset.max_abnormal=2",
        remedy="larger dataset.max_abnormal",
    ):
        check_protocol(protocol, data, refits=True)
