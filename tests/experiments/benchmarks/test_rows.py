"""From made-up samples to rows, targets, table, record and figure."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from errors import assert_error, refuses
from measured import answer
from PIL import Image
from rich.console import Console

from experiments.benchmark import DEFAULTS, benchmark, choose_cases
from experiments.benchmarks.plan import plan
from experiments.benchmarks.record import full_records, read_record, table_of
from experiments.benchmarks.rows import Row, table_rows
from experiments.benchmarks.runner import CaseFailed
from experiments.benchmarks.table import heading, markdown_table, print_table

ROOT = Path(__file__).resolve().parents[3]

Record = dict[str, Any]


def measure(folder: Path, *, gpus: int = 0, quick: bool = False) -> Record:
    settings = DEFAULTS | {"out": str(folder), "quick": str(quick).lower()}
    assert benchmark(settings, ask=lambda asked, limit_s: answer(asked, gpus=gpus)) == []
    [path] = folder.glob("*.json")
    return read_record(path)


@pytest.fixture(scope="module")
def on_cpu(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return measure(tmp_path_factory.mktemp("cpu"))


@pytest.fixture(scope="module")
def on_gpus(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return measure(tmp_path_factory.mktemp("gpus"), gpus=2)


def row(record: Record, what: str) -> Row:
    [found] = [found for found in table_rows(record) if found.what == what]
    return found


def test_a_step_by_hand(on_cpu: Record) -> None:
    found = row(on_cpu, "64 px, batch 4, bf16")
    # 4 pairs of 84.09 GFLOP at 82 % of 190 GFLOP/s and at 80 % of 420 GFLOP/s.
    assert found.reference == pytest.approx(0.82 * 190 / 84.09, rel=1e-3)
    assert found.ours == pytest.approx(0.80 * 420 / 84.09, rel=1e-3)
    assert found.ratio is not None and found.share is not None
    assert found.ratio.median == pytest.approx(0.80 * 420 / (0.82 * 190))
    assert found.share.median == pytest.approx(0.80)
    assert [(t.quantity, t.limit, t.reached) for t in found.targets] == [
        ("ratio", 2.0, True),
        ("share", 0.75, True),
    ]


def test_ratios_are_those_within_a_round(on_cpu: Record) -> None:
    case = on_cpu["cases"]["training_64px_batch4"]
    case["samples"] |= {"textbook": [2.0, 4.0, 8.0], "bf16": [1.0, 2.0, 2.0]}
    found = row(on_cpu, "64 px, batch 4, bf16")
    assert found.ratio is not None
    assert found.ratio.median == 2.0  # of 2, 2 and 4
    assert found.ratio.high == pytest.approx(3.6)
    case["samples"] |= on_cpu["cases"]["training_64px_batch4_compiled"]["samples"]


def test_targets_on_a_cpu(on_cpu: Record) -> None:
    asked = {
        found.what: [(t.quantity, t.limit, t.at_least) for t in found.targets]
        for found in table_rows(on_cpu)
        if found.targets
    }
    assert asked["64 px, batch 16, float32"] == [("ratio", 1.05, True)]
    assert asked["64 px, batch 1, float32"] == [("ratio", 1.0, True)]
    for free in ("64 px, batch 1, bf16", "256 px, batch 1, bf16", "64 px, batch 4, bf16, compiled"):
        assert free not in asked and row(on_cpu, free).ours
    assert asked["batches, 256 px from 1024 px PNG"] == [("ratio", 50.0, True)]
    assert asked["64 px, fid, first time (random weights)"] == [("ratio", 2.5, True)]
    assert asked["64 px, fid, features of the images known (random weights)"] == [
        ("ratio", 4.0, True)
    ]
    assert asked["a job, to its first step"] == [("ours", 10.0, False)]
    assert asked["whole command"] == [("ours", 120.0, False)]
    assert asked["a pair at 256 px, with activation checkpointing"] == [("ratio", 2.0, True)]
    [target] = row(on_cpu, "a configuration error").targets
    assert target.value == pytest.approx(1.2) and not target.reached


def test_targets_on_a_gpu_are_those_of_the_fastest_step_at_256_px(on_gpus: Record) -> None:
    rows = [found for found in table_rows(on_gpus) if found.what.startswith("256 px")]
    asked = [found for found in rows if "bf16" in found.what and found.targets]
    assert len(asked) == 1
    assert asked[0].ours == max(found.ours or 0.0 for found in rows)
    assert [(t.quantity, t.limit) for t in asked[0].targets] == [("ours", 120.0), ("ratio", 4.0)]
    assert row(on_gpus, "256 px, batch 16, float32").share is None
    on_gpus["machine"]["name"] = "NVIDIA T4"
    [fastest] = [r for r in table_rows(on_gpus) if r.targets and r.what == asked[0].what]
    assert [(t.quantity, t.limit) for t in fastest.targets] == [("ratio", 4.0)]
    on_gpus["machine"]["name"] = "NVIDIA H100 80GB HBM3"


def test_memory_is_the_difference_of_two_batches(on_cpu: Record) -> None:
    found = row(on_cpu, "a pair at 256 px, with activation checkpointing")
    assert (found.reference, found.ours) == (1500.0, 600.0)
    del on_cpu["cases"]["memory_256px_batch3"]
    assert not [r for r in table_rows(on_cpu) if r.key == "memory"]
    on_cpu["cases"]["memory_256px_batch3"] = {"kind": "memory", "facts": {"peak_mib": 5400.0}}


def test_several_devices(on_cpu: Record, on_gpus: Record) -> None:
    assert row(on_cpu, "training with trainer=ddp").note == "one device"
    found = row(on_gpus, "2 devices, trainer=ddp")
    assert found.ratio is not None and found.ratio.median == pytest.approx(1.9)


def test_an_empty_record_has_a_table() -> None:
    record = {
        "quick": True,
        "machine": {"name": "none", "device": "cpu", "gpus": [], "load": None},
        "versions": {
            "commit": None, "changed": False, "date": "2026-11-24", "packages": {"torch": "2"}
        },
        "cases": {},
        "left_out": {"input": "failed: no disk"},
    }  # fmt: skip
    assert heading(record) == "none (quick); torch 2, commit unknown, 2026-11-24"
    assert "- input: failed: no disk" in markdown_table(record)


def test_the_table_fits_into_80_columns_with_and_without_unicode(on_cpu: Record) -> None:
    for encoding in ("utf-8", "ascii"):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        print_table(on_cpu, Console(file=out, width=80, highlight=False))
        out.seek(0)
        text = out.read()
        assert max(map(len, text.splitlines())) <= 80
        assert "…" not in text and "missed" in text and "75% ok" in text


def test_the_record_holds_what_the_table_says(tmp_path: Path) -> None:
    record = measure(tmp_path)
    assert record["table"] == table_of(record)
    assert record["table"] == json.loads(json.dumps(record["table"]))
    assert (tmp_path / "benchmark_some-cpu-2-cores.md").read_text().startswith("**Some CPU")
    with Image.open(tmp_path / "benchmark_some-cpu-2-cores.png") as picture:
        assert picture.width > 1000


def test_quick_records_are_not_the_machine_s_results(tmp_path: Path) -> None:
    measure(tmp_path, quick=True)
    assert (tmp_path / "benchmark_some-cpu-2-cores_quick.json").is_file()
    assert full_records(tmp_path) == []


def test_damaged_records(tmp_path: Path) -> None:
    path = tmp_path / "benchmark_x.json"
    for text, facts in (("{", ()), ('{"format": 0}', ("format 0", "1"))):
        path.write_text(text)
        with refuses(file=path, facts=facts):
            read_record(path)


def test_settings_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def ask(asked: dict[str, Any], limit_s: float) -> dict[str, Any]:
        return answer(asked)

    assert benchmark(DEFAULTS | {"case": "list"}, ask=ask) == []
    names = capsys.readouterr().out.split()
    cases = plan("cpu", bf16=True, devices=1, quick=False)
    assert names == ["matrix_product", *(case.name for case in cases)]
    chosen = choose_cases(cases, "demo,input")
    assert [case.name for case in chosen] == ["input", "demo"]
    with refuses(facts="fast"):
        choose_cases(cases, "demo,fast")
    out = tmp_path / "out"
    assert benchmark(DEFAULTS | {"case": "demo", "out": str(out)}, ask=ask) == []
    assert "71.0" in capsys.readouterr().out and not out.exists()
    with refuses(setting="quick", value="yes"):
        benchmark(DEFAULTS | {"quick": "yes"}, ask=ask)


def test_failures_are_told_and_the_rest_is_written(tmp_path: Path) -> None:
    def ask(asked: dict[str, Any], limit_s: float) -> dict[str, Any]:
        if asked["kind"] == "demo":
            raise CaseFailed("no space left")
        return answer(asked)

    [problem] = benchmark(DEFAULTS | {"out": str(tmp_path), "quick": "true"}, ask=ask)
    assert str(problem) == "demo failed: no space left"
    [path] = tmp_path.glob("*.json")
    assert read_record(path)["left_out"] == {"demo": "failed: no space left"}

    def nothing(asked: dict[str, Any], limit_s: float) -> dict[str, Any]:
        raise CaseFailed("no torch")

    with refuses(facts="no torch"):
        benchmark(DEFAULTS, ask=nothing)


def test_help_and_a_wrong_word_answer_without_measuring() -> None:
    command = [sys.executable, "-m", "experiments.benchmark"]
    asked = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert asked.returncode == 0 and "--quick" in asked.stdout
    wrong = subprocess.run([*command, "--fast"], cwd=ROOT, capture_output=True, text=True)
    assert wrong.returncode == 1
    assert_error(wrong.stderr, facts="--fast")
