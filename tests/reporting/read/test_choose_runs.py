"""What is averaged was made alike."""

import shutil
from pathlib import Path

from reporting.fake_runs import make_run

from cyclegan_ad.reporting.read.choose_runs import choose_consistent
from cyclegan_ad.reporting.read.find_runs import collect


def kept_and_left_out(runs: Path) -> tuple[list[str], dict[str, str]]:
    kept, left_out = choose_consistent(collect(runs)[0])
    return [run.shown for run in kept], {row.what: row.reason for row in left_out}


def test_the_largest_group_of_like_runs_is_kept(tmp_path: Path) -> None:
    make_run(tmp_path, "cyclegan", 64, "screw", 0, "method.lambda_cyc=5")
    make_run(tmp_path, "cyclegan", 64, "screw", 1)
    make_run(tmp_path, "cyclegan", 64, "screw", 2, "score.batch_size=4")  # no matter
    make_run(tmp_path, "cyclegan", 64, "tile", 0, "method.lambda_cyc=5")  # a cell of its own
    kept, left_out = kept_and_left_out(tmp_path)
    assert kept == ["cyclegan-64/screw/seed1", "cyclegan-64/screw/seed2", "cyclegan-64/tile/seed0"]
    assert list(left_out) == ["cyclegan-64/screw/seed0"]
    reason = left_out["cyclegan-64/screw/seed0"]
    assert "method.lambda_cyc=5 (kept: 10)" in reason
    assert "seed 1, 2" in reason


def test_of_two_groups_of_one_size_the_one_with_the_lowest_seed_is_kept(tmp_path: Path) -> None:
    make_run(tmp_path, "cyclegan", 64, "screw", 1)
    make_run(tmp_path, "cyclegan", 64, "screw", 0, "method.lambda_cyc=5")
    kept, left_out = kept_and_left_out(tmp_path)
    assert kept == ["cyclegan-64/screw/seed0"]
    assert "method.lambda_cyc=10 (kept: 5)" in left_out["cyclegan-64/screw/seed1"]


def test_a_seed_counts_once(tmp_path: Path) -> None:
    path = make_run(tmp_path)
    shutil.copytree(path, tmp_path / "backup" / "seed0")
    kept, left_out = kept_and_left_out(tmp_path)
    assert kept == ["backup/seed0"]
    assert left_out == {
        "cyclegan-64/screw/seed0": "has the same name, dataset and seed as backup/seed0"
    }


def test_copies_of_a_seed_do_not_make_a_group_larger(tmp_path: Path) -> None:
    odd = make_run(tmp_path, "cyclegan", 64, "screw", 0, "method.lambda_cyc=5")
    shutil.copytree(odd, tmp_path / "copy" / "one")
    shutil.copytree(odd, tmp_path / "copy" / "two")
    make_run(tmp_path, "cyclegan", 64, "screw", 1)
    make_run(tmp_path, "cyclegan", 64, "screw", 2)
    kept, _ = kept_and_left_out(tmp_path)
    assert kept == ["cyclegan-64/screw/seed1", "cyclegan-64/screw/seed2"]


def test_runs_on_other_images_are_not_averaged(tmp_path: Path) -> None:
    make_run(tmp_path, seed=0)
    make_run(tmp_path, seed=1)
    make_run(tmp_path, seed=2, per_class=13)
    kept, left_out = kept_and_left_out(tmp_path)
    assert kept == ["cyclegan-64/screw/seed0", "cyclegan-64/screw/seed1"]
    assert "other images" in left_out["cyclegan-64/screw/seed2"]


def test_a_missing_score_is_said(tmp_path: Path) -> None:
    make_run(tmp_path, seed=0, columns=["sse", "fid"])
    make_run(tmp_path, seed=1, columns=["sse"])
    kept, left_out = kept_and_left_out(tmp_path)
    assert len(kept) == 2
    reason = left_out["cyclegan-64/screw/seed1, score fid"]
    assert "has no FID" in reason
    assert "1 of 2 seeds" in reason
