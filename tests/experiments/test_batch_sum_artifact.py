"""Table 2's PatchCore column from a detector that makes no errors."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from cyclegan_ad.reference.paper import paper_table1
from experiments.batch_sum_artifact import (
    DEFAULTS,
    batch_sum_artifact,
    batch_sums,
    compare,
    judge,
    rounded,
    simulate,
)

PERFECT = (100.0, 100.0)


@pytest.mark.parametrize(
    ("dataset", "zfn", "best"),
    [
        ("hazelnut", 54.29, 95.71),
        ("screw", 59.32, 90.68),
        ("tile", 61.90, 88.10),
        ("wood", 100.0, 100.0),
    ],
)
def test_figures_equal_to_those_published(dataset: str, zfn: float, best: float) -> None:
    row = simulate(dataset, 16)
    assert rounded(row.by_batch) == (zfn, best)
    assert row.patchcore == (zfn, best)
    assert row.patchcore_std == (0.0, 0.0)
    assert row.agrees
    assert row.by_image == PERFECT


@pytest.mark.parametrize(
    ("dataset", "zfn", "best", "swapped"),
    [
        ("brain_mri", 51.02, 98.98, [3]),  # 3 runs at 50, 2 at 51.02: 50.41 +- 0.50
        ("breast_ultrasound", 50.77, 99.23, [1]),  # 1 run at 50, 4 at 50.77: 50.62 +- 0.31
        ("retina_oct", 50.02, 99.98, []),
    ],
)
def test_figures_not_equal_to_those_published(
    dataset: str, zfn: float, best: float, swapped: list[int]
) -> None:
    row = simulate(dataset, 16)
    assert rounded(row.by_batch) == (zfn, best)
    assert not row.agrees
    assert row.runs_swapped() == swapped
    assert row.swapped[0] == 50.0
    assert row.by_image == PERFECT


def test_hazelnut_by_hand() -> None:
    # Batches of 16, 16 and 3: sums of 12.8, 12.8 and 2.4 against 16, 16 and 3. Nothing abnormal is
    # below 3: 3 of 35 normal images are. Above 12.8: 32 of 35 abnormal ones.
    row = simulate("hazelnut", 16)
    assert row.last_batch == 3
    assert row.by_batch[0] == pytest.approx(100 * (3 + 35) / 70)
    assert row.by_batch[1] == pytest.approx(100 * (35 + 32) / 70)


def test_sums_against_plain_loops() -> None:
    scores = np.random.default_rng(0).normal(size=37)
    batches = [scores[i : i + 16] for i in range(0, 37, 16)]
    expected = [sum(batch) for batch in batches for _ in batch]
    np.testing.assert_allclose(batch_sums(scores, 16), expected)
    np.testing.assert_array_equal(batch_sums(scores, 1), scores)


def test_accuracies_against_all_thresholds_of_scikit_learn() -> None:
    random = np.random.default_rng(1)
    normal, abnormal = random.normal(0, 1, 20), random.normal(1, 1, 20)
    labels, scores = [0] * 20 + [1] * 20, np.concatenate([normal, abnormal])
    at = {t: 100 * accuracy_score(labels, scores >= t) for t in scores}
    found = judge(normal, abnormal)
    assert found[1] == pytest.approx(max(at.values()))
    assert found[0] == pytest.approx(at[abnormal.min()])


def test_batches_of_one_leave_a_perfect_detector_perfect() -> None:
    for dataset in paper_table1():
        assert simulate(dataset, 1).by_batch == PERFECT


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert batch_sum_artifact(DEFAULTS) == []
    out = capsys.readouterr().out
    lines = {
        line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines() if line.strip()
    }
    assert lines["hazelnut"] == "35 3 100/100 54.29/95.71 54.29/95.71 53.43/95.71"
    assert lines["wood"] == "30 14 100/100 100/100 100/100 94.67/95.33"
    assert max(map(len, out.splitlines())) <= 80 and "…" not in out
    batch_sum_artifact({"batch_size": "8"})
    out = capsys.readouterr().out
    assert "The paper's figures are from batches of 16." in out
    assert "equal to the last digit" not in out


def test_what_differs_is_said() -> None:
    lines = compare([simulate(name, 16) for name in paper_table1()])
    assert lines[0] == "PatchCore, equal to the last digit: hazelnut, screw, tile, wood."
    assert lines[1].startswith("brain_mri: ") and "50.41±0.50 / 98.98±0.00" in lines[1]
    assert "in 3 of the 5 runs the image of the last normal batch" in lines[1]
    assert lines[2].startswith("breast_ultrasound: ") and "in 1 of the 5 runs" in lines[2]
    assert lines[3].startswith("retina_oct: ") and "Close, but not equal" in lines[3]
    assert "tile; higher than the simulated detector: none." in lines[4]
