"""Curves over the number of abnormal images: which runs are in one, and in no other table."""

from pathlib import Path

import pytest
from reporting.fake_runs import make_run

from cyclegan_ad.reporting.build import write_report
from cyclegan_ad.reporting.compute.few_abnormal import (
    Curve,
    gather_curves,
    part_limited,
    shown_curves,
)
from cyclegan_ad.reporting.read.choose_runs import choose_consistent
from cyclegan_ad.reporting.read.find_runs import collect
from cyclegan_ad.reporting.read.read_run import LeftOut

LIMITS = {1: 0.5, 5: 1.0, None: 3.0}  # -> separation of the classes


def make(
    runs: Path, limit: int | None, seed: int, *words: str, method: str = "cyclegan", **more: object
) -> Path:
    word = f"dataset.max_abnormal={'null' if limit is None else limit}"
    separation = LIMITS.get(limit, 1.0)
    given = {"columns": ["sse"], "examples": False, "separation": separation} | more
    return make_run(runs, method, 64, "screw", seed, word, *words, **given)


def curves_of(runs: Path) -> tuple[list[Curve], list[LeftOut]]:
    found, left_out = collect(runs)
    consistent, others = choose_consistent(found)
    assert not left_out + others
    return gather_curves(*part_limited(consistent))


def test_a_curve_has_a_point_for_each_number_and_its_own_runs(tmp_path: Path) -> None:
    for seed in (1, 0):
        for limit in LIMITS:
            make(tmp_path, limit, seed)
        make(tmp_path, None, seed, method="padim", columns=["embedding"])
    curves, left_out = curves_of(tmp_path)
    assert not left_out
    assert [(c.method.run, c.trains_on_abnormal) for c in curves] == [
        ("cyclegan-64", True),
        ("padim-64", False),
    ]
    cyclegan, padim = curves
    # 24 abnormal images, of which 12 test.
    assert [(p.limit, p.abnormal, p.seeds) for p in cyclegan.points] == [
        (1, 1, (0, 1)),
        (5, 5, (0, 1)),
        (None, 12, (0, 1)),
    ]
    assert [p.limit for p in padim.points] == [None]
    runs = {run.shown: run for run in collect(tmp_path)[0]}
    for point, name in zip(
        cyclegan.points, ("few-1-cyclegan-64", "few-5-cyclegan-64", "cyclegan-64"), strict=True
    ):
        for metric in ("auroc", "zfn_accuracy", "pg0"):
            assert point.statistics[metric].values == tuple(
                runs[f"{name}/screw/seed{seed}"].metrics["scores"]["sse"][metric] for seed in (0, 1)
            )


def test_all_numbers_have_the_same_test_images(tmp_path: Path) -> None:
    runs = [make(tmp_path, limit, 0) for limit in LIMITS]
    found, _ = collect(tmp_path)
    assert len(found) == len(runs) and len({run.test_set for run in found}) == 1
    assert sorted(run.abnormal_used for run in found) == [1, 5, 12]


def test_a_point_of_other_settings_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, None, 0)
    make(tmp_path, 1, 0)
    make(tmp_path, 5, 0, "method.lambda_cyc=3.0")
    curves, [left_out] = curves_of(tmp_path)
    assert [p.limit for p in curves[0].points] == [1, None]
    assert left_out.what == "few-5-cyclegan-64/screw/seed0"
    assert "method.lambda_cyc=3 (kept: 10)" in left_out.reason


def test_a_limit_says_nothing_about_a_method_of_normal_images(tmp_path: Path) -> None:
    make(tmp_path, 5, 0, method="padim", columns=["embedding"])
    curves, [left_out] = curves_of(tmp_path)
    assert curves == [] and "normal images alone" in left_out.reason


def test_without_a_limited_run_there_is_no_curve(tmp_path: Path) -> None:
    make(tmp_path, None, 0)
    assert curves_of(tmp_path) == ([], [])


def test_the_first_score_is_that_of_the_settings_and_not_the_best(tmp_path: Path) -> None:
    for limit in LIMITS:
        make(tmp_path, limit, 0, "score.names=[peak,sse]", columns=["sse", "peak_2px"])
    curves, _ = curves_of(tmp_path)
    assert [curve.column.column for curve in shown_curves(curves)] == ["peak_2px"]
    assert len(curves) == 2


def test_limited_runs_are_in_no_other_table(tmp_path: Path) -> None:
    for seed in range(2):
        make(tmp_path / "runs", None, seed)
    write_report(tmp_path / "runs", tmp_path / "before", None)
    for seed in range(2):
        make(tmp_path / "runs", 5, seed)
    write_report(tmp_path / "runs", tmp_path / "after", None)
    tables = sorted(path.name for path in (tmp_path / "before").glob("*.*"))
    assert "few_abnormal.png" not in tables
    for name in tables:
        if not name.startswith("few_abnormal") and name not in ("index.html", "left_out.csv"):
            before, after = ((tmp_path / where / name).read_text() for where in ("before", "after"))
            assert before == after, name
    assert (tmp_path / "after" / "few_abnormal.png").is_file()
    page = (tmp_path / "after" / "index.html").read_text()
    assert 'id="few-abnormal"' in page and "few-5-cyclegan-64/screw/seed0" in page
    assert 'id="few-abnormal"' not in (tmp_path / "before" / "index.html").read_text()


def test_one_run_name_for_several_numbers_is_not_averaged(tmp_path: Path) -> None:
    for limit, seed in ((None, 0), (None, 1), (5, 2)):
        make(tmp_path, limit, seed, run="mine")
    for path in (tmp_path / "few-5-cyclegan-64").glob("*/*"):  # as the same command would place it
        path.rename(tmp_path / "mine" / "screw" / path.name)
    found, left_out = collect(tmp_path)
    assert not left_out
    kept, [other] = choose_consistent(found)
    assert [run.seed for run in kept] == [0, 1]
    assert "dataset.max_abnormal=5 (kept: null)" in other.reason


@pytest.mark.parametrize("limits", [(1, 5), (5,)])
def test_a_report_of_limited_runs_alone(tmp_path: Path, limits: tuple[int, ...]) -> None:
    for limit in limits:
        make(tmp_path / "runs", limit, 0)
    study = write_report(tmp_path / "runs", tmp_path / "out", None)
    assert not study.entries
    assert (tmp_path / "out" / "few_abnormal.png").is_file()
