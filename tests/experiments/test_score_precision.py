"""What bfloat16 does to the scores of a run, on a tiny one."""

import csv
from pathlib import Path

import pytest
import tiny

from cyclegan_ad.settings.composing import register_resolvers
from cyclegan_ad.train import run_training as train
from experiments.score_precision import DEFAULTS, compare, score_precision


def test_by_hand() -> None:
    # Ranks 0 1 2 3 become 0 2 1 3; the smallest abnormal score stays the same image's.
    change = compare([1.0, 2.0, 4.0, 5.0], [1.0, 5.0, 4.0, 5.5], [0, 1, 0, 1])
    assert (change["images"], change["ranks"], change["farthest"]) == (4, 2, 1)
    assert change["largest"] == 1.5 and change["median"] == pytest.approx(0.05)
    # The ZFN threshold rises from 2 to 5: the normal image of score 4 passes now.
    assert change["decisions"] == 1
    assert (change["auroc_float32"], change["auroc_bf16"]) == (0.75, 1.0)


def test_a_run_is_compared_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register_resolvers()
    root, runs = tiny.draw_folder(tmp_path / "even"), tmp_path / "runs"
    train(tiny.settings(root, runs, "trainer.max_epochs=1"))
    [run] = runs.glob("*/*/seed0")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    place = {"runs": str(runs), "run_name": run.parents[1].name, "dataset": run.parent.name}
    chosen = {"seed": "0,1", "score": "sse,standardised", "out": str(tmp_path / "out")}

    [missing] = score_precision(DEFAULTS | place | chosen)

    assert "seed1" in str(missing)
    rows = list(csv.DictReader((tmp_path / "out" / "score_precision.csv").open()))
    assert [row["score"] for row in rows] == ["sse", "standardised"]
    for row in rows:
        assert int(row["images"]) == 6
        assert 0 < float(row["largest"]) < 0.05
    assert "| sse | 6 |" in (tmp_path / "out" / "score_precision.md").read_text()
    assert "| sse | 6 |" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
