"""Run directories that cannot be trusted are named and left out."""

import itertools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from errors import refuses
from reporting.fake_runs import change_metrics, make_run

from cyclegan_ad.reporting.build import write_report
from cyclegan_ad.reporting.read.find_runs import collect, find_runs
from cyclegan_ad.scoring.names import ScoreColumn


def test_runs_are_found_at_any_depth_and_hidden_folders_are_not(tmp_path: Path) -> None:
    one = make_run(tmp_path, place="cyclegan-64/screw/seed0")
    other = make_run(tmp_path, seed=1, place="deep/er/still/x")
    make_run(tmp_path, seed=2, place=".sweeps/2026/seed2")
    (one / "wandb").mkdir()
    (one / "wandb" / "config.yaml").write_text("a: 1")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "notes.txt").write_text("no run")
    empty = tmp_path / "cyclegan-64" / "screw" / "seed9"
    empty.mkdir()
    assert find_runs(tmp_path) == ([one, empty, other], [])
    assert find_runs(one) == ([one], [])


def test_a_finished_run_is_read_with_its_scores(tmp_path: Path) -> None:
    path = make_run(tmp_path, odd_names=True)
    (run,), left_out = collect(tmp_path)
    assert left_out == []
    assert (run.shown, run.seed, run.dataset) == ("cyclegan-64/screw/seed0", 0, "screw")
    assert run.labels.sum() == 12
    sse, fid = run.scores
    assert (sse.column, fid.column) == ("sse", "fid")
    lines = (path / "scores.csv").read_bytes().decode(errors="surrogateescape").splitlines()
    assert run.image_paths[3] == lines[4].split(",")[0]
    assert run.scores[fid][3] == float(lines[4].split(",")[3])


def remove(name: str) -> Callable[[Path], None]:
    return lambda path: (path / name).unlink()


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda path: (path / name).write_text(text) and None


def cut_last_line(path: Path) -> None:
    lines = (path / "scores.csv").read_text().splitlines(keepends=True)
    (path / "scores.csv").write_text("".join(lines[:-1]))


def shift_scores(path: Path) -> None:
    lines = (path / "scores.csv").read_text().splitlines()
    last = lines[-1].split(",")
    lines[-1] = ",".join([*last[:2], "0.5", last[3]])
    (path / "scores.csv").write_text("\n".join(lines) + "\n")


def unlikely_auroc(path: Path) -> None:
    text = json.loads((path / "metrics.json").read_text())
    text["scores"]["sse"]["auroc"] = float("nan")
    (path / "metrics.json").write_text(json.dumps(text))


def other_test_set(path: Path) -> None:
    text = (path / "split.csv").read_text()
    (path / "split.csv").write_text(text.replace(",test", ",train", 1))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (remove("config.yaml"), "config.yaml"),
        (remove("metrics.json"), "metrics.json is missing"),
        (remove("scores.csv"), "scores.csv is missing"),
        (remove("split.csv"), "split.csv is missing"),
        (remove("training.json"), "not finished: 0 epochs"),
        (write("metrics.json", '{"format": 2, "sco'), "metrics.json cannot be read"),
        (write("config.yaml", "seed: 0"), "config.yaml is damaged"),
        (write("split.csv", "path\nx\n"), "split.csv is damaged (wrong header)"),
        (write("split.csv", "path,sha256,label,subset\nx\n"), "split.csv, line 2 is damaged"),
        (write("training.json", "{"), "training.json is damaged"),
        (lambda path: change_metrics(path, format=1), "format 1, expected 5"),
        (lambda path: change_metrics(path, seed="0"), "invalid seed='0'"),
        (lambda path: change_metrics(path, protocols=None), "invalid protocols=None"),
        (lambda path: change_metrics(path, seed=4), "disagree: seed is 4 and 0"),
        (
            lambda path: change_metrics(path, dataset="tile"),
            "disagree: dataset is 'tile' and 'screw'",
        ),
        (lambda path: change_metrics(path, test_normal=13), "test_normal is 12 and 13"),
        (cut_last_line, "scores.csv and split.csv disagree"),
        (shift_scores, "0.5 computed from the scores"),
        (unlikely_auroc, "disagree on sse: auroc is nan in metrics.json, but 0."),
        (other_test_set, "disagree on the test images"),
    ],
)
def test_a_bad_run_is_left_out_with_the_reason(
    tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    make_run(tmp_path, seed=1)
    damage(make_run(tmp_path, seed=0))
    runs, left_out = collect(tmp_path)
    assert [run.seed for run in runs] == [1]
    assert [row.what for row in left_out] == ["cyclegan-64/screw/seed0"]
    assert reason in left_out[0].reason
    assert "\n" not in left_out[0].reason


NUMBERS = ("1e400", "1" + "0" * 400, "9" * 5000, "NaN", "true", '"x"', "null", "[[1]]", "{}", "-1")


def test_no_damaged_file_stops_the_report(tmp_path: Path) -> None:
    """Every number and text of the files replaced by what nobody expects, one after the other."""
    whole = make_run(tmp_path / "whole", "cyclegan", 64, "screw", 0, "protocol=calibrated")
    files = ("metrics.json", "training.json", "environment.json", "split.csv", "scores.csv")
    runs = tmp_path / "runs"
    made = 0
    for name in (*files, "calibration.csv", "config.yaml"):
        text = (whole / name).read_text()
        values = list(re.finditer(r"(?<=[ ,\[])[\w.+-]+(?=[\n,])", text))[:60:3]
        odd = itertools.cycle((*NUMBERS, "\0", "\udce8", "[" * 100_000))
        for value, other in zip(values, odd, strict=False):
            path = runs / f"run{made:03d}"
            shutil.copytree(whole, path)
            damaged = text[: value.start()] + other + text[value.end() :]
            (path / name).write_bytes(damaged.encode(errors="surrogateescape"))
            made += 1
    assert made > 80
    collected, left_out = collect(runs)
    shown = {run.shown for run in collected} | {row.what.partition(",")[0] for row in left_out}
    assert shown == {f"run{i:03d}" for i in range(made)}  # none is passed over
    assert all(row.reason.isprintable() and len(row.reason) < 600 for row in left_out)
    write_report(runs, tmp_path / "out", None)


def test_a_forged_bound_is_not_shown(tmp_path: Path) -> None:
    make_run(tmp_path, "cyclegan", 64, "screw", 1, "protocol=calibrated", columns=["sse", "fid"])
    forged = make_run(tmp_path, "cyclegan", 64, "screw", 0, "protocol=calibrated")
    metrics = json.loads((forged / "metrics.json").read_text())
    metrics["protocols"]["calibrated"]["fid"]["miss_rate_bound"] = 0.01
    change_metrics(forged, **metrics)
    gone = make_run(tmp_path, "cyclegan", 64, "tile", 0, "protocol=calibrated", columns=["sse"])
    (gone / "calibration.csv").unlink()
    runs, left_out = collect(tmp_path)
    assert len(runs) == 3
    assert {(row.what, row.reason.partition(" is ")[0]) for row in left_out} == {
        ("cyclegan-64/screw/seed0, calibrated, score fid", "miss_rate_bound"),
        ("cyclegan-64/tile/seed0, calibrated, score sse", "calibration.csv"),
    }
    write_report(tmp_path, tmp_path / "out", "calibrated")
    rows = (tmp_path / "out" / "protocols.csv").read_text().splitlines()
    shown = [line.split(",")[:7] for line in rows if line.startswith("calibrated")]
    assert [(row[1], row[5], row[6]) for row in shown] == [
        ("screw", "sse", "0 1"),
        ("screw", "fid", "1"),
    ]


def test_a_column_in_one_file_only_is_left_out_alone(tmp_path: Path) -> None:
    path = make_run(tmp_path)
    metrics = json.loads((path / "metrics.json").read_text())
    metrics["scores"]["peak_2px"] = metrics["scores"].pop("fid")
    metrics["columns"]["peak_2px"] = ScoreColumn("peak", peak_sigma_px=2.0).as_dict()
    del metrics["columns"]["fid"]
    (path / "metrics.json").write_text(json.dumps(metrics))
    (run,), left_out = collect(tmp_path)
    assert list(run.scores) == [ScoreColumn("sse")]
    assert [(row.what, row.reason.split(";")[0]) for row in left_out] == [
        ("cyclegan-64/screw/seed0, score peak_2px", "is missing in scores.csv"),
        ("cyclegan-64/screw/seed0, crossfit, score fid", "no file supports it"),
        ("cyclegan-64/screw/seed0, score fid", "is only in scores.csv"),
    ]


def test_without_an_environment_a_run_still_counts(tmp_path: Path) -> None:
    (make_run(tmp_path) / "environment.json").write_text("[]")
    (run,), left_out = collect(tmp_path)
    assert (run.environment, left_out) == ({}, [])


def test_no_folder_and_no_runs_are_errors_of_one_line(tmp_path: Path) -> None:
    with refuses(file=tmp_path / "none", remedy="runs=PATH"):
        collect(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with refuses(file=tmp_path / "empty", remedy="runs=PATH"):
        collect(tmp_path / "empty")


def test_runs_of_an_earlier_version_are_all_left_out(tmp_path: Path) -> None:
    path = make_run(tmp_path)
    change_metrics(path, format=1)
    shutil.copytree(path, tmp_path / "copy")
    runs, left_out = collect(tmp_path)
    assert (runs, len(left_out)) == ([], 2)


def test_a_run_of_own_images_never_has_the_name_of_a_dataset_of_the_paper(tmp_path: Path) -> None:
    path = make_run(tmp_path, "cyclegan", 64, "folder", 0, "dataset.root=/x/screw", columns=["sse"])
    config = path / "config.yaml"
    [run], left_out = collect(tmp_path)
    assert (run.dataset, run.unlike_paper, left_out) == ("own-screw", (), [])
    # Files changed by hand do not bring them together.
    config.write_text(config.read_text().replace("own-screw", "screw"))
    metrics = json.loads((path / "metrics.json").read_text())
    (path / "metrics.json").write_text(json.dumps(metrics | {"dataset": "screw"}))
    runs, [left] = collect(tmp_path)
    assert runs == [] and "dataset.name=screw" in left.reason
