"""The command as a user runs it."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from errors import assert_error, refuses
from reporting.fake_runs import change_metrics, make_run
from rich.console import Console
from tiny import compose_settings

from cyclegan_ad.report import report
from cyclegan_ad.reporting.read.find_runs import collect
from cyclegan_ad.reporting.read.read_run import LeftOut
from cyclegan_ad.reporting.show.terminal_table import print_left_out
from cyclegan_ad.settings.commands import ReportSettings
from cyclegan_ad.settings.types import read_settings

ROOT = Path(__file__).resolve().parents[1]


def settings(*words: str) -> ReportSettings:
    return read_settings(ReportSettings, compose_settings("report", words))


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "cyclegan_ad.report", *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
    )


def test_the_command_writes_the_report_and_prints_table_2(tmp_path: Path) -> None:
    runs, out = tmp_path / "runs", tmp_path / "a" / "report"
    for seed in range(2):
        columns = ["sse", "fid_efficientnet_lite0"]
        make_run(runs, seed=seed, columns=columns, as_in_paper=True)
    make_run(runs, "patchcore", columns=["embedding"], separation=9)
    change_metrics(make_run(runs, seed=7), format=1)
    done = run(f"runs={runs}", f"out={out}", PYTHONIOENCODING="utf-8")
    assert done.returncode == 0, done.stderr.decode()
    text = done.stdout.decode()
    lines = text.splitlines()
    table = lines[: next(i for i, line in enumerate(lines) if "Left out" in line)]
    assert max(len(line) for line in table) <= 80
    sse = next(i for i, line in enumerate(lines) if "CycleGAN 64 px, SSE" in line)
    assert lines[sse].split()[-1] == "2"
    assert lines[sse].count("±") == 3
    assert " ".join(lines[sse + 1].split()) == "paper 52.03 ± 3.24 57.63 ± 2.89 51.31 ± 5.06"
    patchcore = next(line for line in lines if "PatchCore 64 px, SSE" in line)
    assert patchcore.split()[-4:] == ["100.00", "100.00", "100.00", "1"]
    assert "Optimistic" in text
    assert "cyclegan-64/screw/seed7: metrics.json has format 1" in text
    assert text.rstrip().endswith(f"3 runs: {out / 'index.html'}")
    names = {path.name for path in out.iterdir()}
    assert {"index.html", "table2.csv", "table2.md", "table2.tex", "left_out.csv"} <= names


def test_a_terminal_without_unicode_gets_ascii(tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "patchcore", columns=["embedding"], examples=False)
    done = run(f"runs={tmp_path / 'runs'}", f"out={tmp_path}", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr.decode()
    assert "59.32 +- 0.00*#" in done.stdout.decode("ascii")


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("runs=null", "runs=null"),
        ("out=5", "out=5"),
        ("protocol.name=best", ("protocol.name=best", "paper")),
        ("runs=/no/where", "/no/where"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(word: str, told: str | tuple[str, ...]) -> None:
    with refuses(facts=told):
        report(settings(word))


def test_no_runs_at_all_is_one_line_and_no_trace(tmp_path: Path) -> None:
    done = run(f"runs={tmp_path}", f"out={tmp_path / 'out'}")
    assert done.returncode == 1
    remedy = ("python -m cyclegan_ad.train", "runs=PATH")
    assert_error(done.stderr.decode(), file=tmp_path, remedy=remedy)
    assert not (tmp_path / "out").exists()


def test_only_bad_runs_are_told_with_their_reasons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_metrics(make_run(tmp_path / "runs"), format=1)
    with refuses(file=tmp_path / "runs", facts="1"):
        report(settings(f"runs={tmp_path / 'runs'}", f"out={tmp_path / 'out'}"))
    assert "format 1, expected" in capsys.readouterr().out


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    make_run(tmp_path / "runs", columns=["sse"], examples=False)
    (tmp_path / "out").write_text("a file")
    with refuses(file=tmp_path / "out", remedy="out=PATH"):
        report(settings(f"runs={tmp_path / 'runs'}", f"out={tmp_path / 'out'}"))


def test_another_protocol_leads_and_is_not_called_optimistic(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "runs"
    make_run(path, "cyclegan", 64, "screw", 0, "protocol=calibrated", examples=False)
    make_run(path, "patchcore", columns=["embedding"], examples=False)
    (tmp_path / "out").mkdir()
    report(settings(f"runs={path}", f"out={tmp_path / 'out'}", "protocol=calibrated"))
    text = " ".join(capsys.readouterr().out.split())
    assert "(protocol=calibrated), which sets no threshold for the best accuracy" in text
    assert "Optimistic: the" not in text
    assert "patchcore-64/screw/seed0, score embedding: not evaluated with calibrated" in text
    run = next(run for run in collect(path)[0] if run.method.name == "cyclegan")
    accuracy = run.metrics["protocols"]["calibrated"]["sse"]["accuracy"]
    assert f" {100 * accuracy:.2f} - " in text


def test_no_run_with_the_protocol_asked_for_is_an_error(tmp_path: Path) -> None:
    make_run(tmp_path / "runs", examples=False)
    with refuses(setting="protocol", value="calibrated"):
        report(
            settings(f"runs={tmp_path / 'runs'}", f"out={tmp_path / 'out'}", "protocol=calibrated")
        )


def test_nothing_left_out_prints_nothing() -> None:
    out = io.StringIO()
    print_left_out([], Console(file=out))
    assert out.getvalue() == ""


def test_of_many_left_out_the_first_are_printed() -> None:
    out = io.StringIO()
    rows = [LeftOut(f"run {number}", "damaged") for number in range(5)]
    print_left_out(rows, Console(file=out), most=2)
    printed = out.getvalue().splitlines()[1:]
    assert printed == [
        "Left out (5):",
        "  run 0: damaged",
        "  run 1: damaged",
        "  and 3 more: left_out.csv has all",
    ]
