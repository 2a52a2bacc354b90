"""The ablation: from images kept out of training alone, and in no other table."""

import csv
from pathlib import Path

import pytest
from reporting.fake_runs import change_metrics, make_run
from scipy.stats import mannwhitneyu

from cyclegan_ad.reporting.build import write_report
from cyclegan_ad.reporting.compute.ablation import Ablation, gather_ablation, part_ablation
from cyclegan_ad.reporting.read.choose_runs import choose_consistent
from cyclegan_ad.reporting.read.find_runs import collect
from cyclegan_ad.reporting.read.read_run import LeftOut
from cyclegan_ad.runs.results import read_metrics, read_scores

COLUMNS = ["fused_tta", "critics_tta", "sse_tta", "fused_signals_tta"]


def make(runs: Path, choice: str, seed: int, *words: str, **more: object) -> Path:
    given = {"columns": COLUMNS, "examples": False, "run": f"ablation-{choice}"} | more
    return make_run(runs, "cyclegan_plus", 64, "screw", seed, *words, **given)


def rows_of(runs: Path) -> tuple[list[Ablation], list[LeftOut]]:
    return gather_ablation(part_ablation(choose_consistent(collect(runs)[0])[0])[1])


def test_figures_are_those_of_the_tuning_images(tmp_path: Path) -> None:
    paths = [make(tmp_path, "no_ema", seed, "method.ema_decay=0") for seed in (1, 0)]
    [row], left_out = rows_of(tmp_path)
    assert not left_out
    assert (row.choice, row.seeds, row.normal, row.abnormal) == ("no_ema", (0, 1), 3, 3)
    assert list(row.statistics) == [*COLUMNS[::3], "sse_tta", "critics_tta", "probe"]
    for number, path in enumerate(reversed(paths)):
        rows = read_scores(path, "tuning.csv")
        for column in ("fused_tta", "fused_signals_tta"):  # by fits of other scales
            within = read_metrics(path)["fusions"][column]["auroc"]["fused"]
            assert row.statistics[column].values[number] == within
        for column in ("critics_tta", "sse_tta"):
            good, bad = ([one[column] for one in rows if one["label"] == label] for label in (0, 1))
            expected = mannwhitneyu(bad, good).statistic / (len(bad) * len(good))
            assert row.statistics[column].values[number] == pytest.approx(expected)


def test_test_images_have_no_part_in_it(tmp_path: Path) -> None:
    make(tmp_path / "one", "full", 0)
    other = make(tmp_path / "two", "full", 0)
    lines = (other / "scores.csv").read_text().splitlines()
    body = [line.rsplit(",", len(COLUMNS))[0] + ",0.5" * len(COLUMNS) for line in lines[1:]]
    (other / "scores.csv").write_text("\n".join([lines[0], *body]))
    found = [rows_of(tmp_path / name)[0] for name in ("one", "two")]
    assert found[1] == []  # a changed test score is noticed; it never comes to a table
    tuning = (other / "tuning.csv").read_text()
    assert tuning == (tmp_path / "one/ablation-full/screw/seed0/tuning.csv").read_text()


def test_the_order_of_choices(tmp_path: Path) -> None:
    for choice in ("paper", "no_ema", "full", "affine"):
        make(tmp_path, choice, 0)
    assert [row.choice for row in rows_of(tmp_path)[0]] == ["full", "affine", "no_ema", "paper"]


def test_runs_without_such_images_and_changed_files_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "full", 0)
    make(tmp_path, "none", 0, "method.tuning_fraction=0", "score=sse", columns=["sse"])
    changed = make(tmp_path, "changed", 0)
    rows = (changed / "tuning.csv").read_text().splitlines()
    best = [
        f"{line.split(',')[0]},{line.split(',')[1]},{line.split(',')[1]},0,0,0" for line in rows
    ]
    (changed / "tuning.csv").write_text("\n".join([rows[0], *best[1:]]))
    others = make(tmp_path, "others", 0)
    rows = (others / "tuning.csv").read_text().splitlines()
    (others / "tuning.csv").write_text("\n".join(rows[:-1]))
    found, left_out = rows_of(tmp_path)
    assert [row.choice for row in found] == ["full"]
    reasons = {row.what.split("/")[0]: row.reason for row in left_out}
    assert reasons.keys() == {"ablation-none", "ablation-changed", "ablation-others"}
    assert "tuning.csv is missing" in reasons["ablation-none"]
    assert "was changed in tuning.csv" in reasons["ablation-changed"]
    assert "was changed in tuning.csv" in reasons["ablation-others"]


def test_they_are_in_no_other_table(tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "cyclegan_plus", 64, "screw", 0, columns=COLUMNS, examples=False)
    write_report(tmp_path / "runs", tmp_path / "before", None)
    make(tmp_path / "runs", "full", 0)
    write_report(tmp_path / "runs", tmp_path / "after", None)
    for path in (tmp_path / "before").iterdir():
        if path.stem not in ("ablation", "index"):
            assert path.read_text() == (tmp_path / "after" / path.name).read_text(), path.name
    with (tmp_path / "after" / "ablation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["run"] for row in rows} == {"ablation-full"}
    assert [row["score"] for row in rows].count("probe") == 1
    page = (tmp_path / "after" / "index.html").read_text()
    section = page.partition('<h2 id="ablation">')[2].partition("<h2")[0]
    assert "Evidence for selection" in section and "ablation-full" in section
    assert 'id="ablation"' not in (tmp_path / "before" / "index.html").read_text()


def test_a_report_of_an_ablation_alone(tmp_path: Path) -> None:
    make(tmp_path / "runs", "full", 0)
    study = write_report(tmp_path / "runs", tmp_path / "out", None)
    assert not study.entries
    text = (tmp_path / "out" / "ablation.md").read_text().replace("\\", "")
    assert "| Training | fused | fused_signals | linear probe | SSE | critics | Images |" in text
    assert "ablation-full" in text and "averaged over the 8 symmetries" in text


def test_changed_parameters_are_not_shown(tmp_path: Path) -> None:
    path = make(tmp_path, "full", 0)
    [run], _ = collect(tmp_path)
    fusions = run.metrics["fusions"]
    fusions["fused_tta"]["auroc"]["probe"] = 0.999
    change_metrics(path, fusions=fusions)
    [row], _ = rows_of(tmp_path)
    assert list(row.statistics) == ["sse_tta", "critics_tta"]
