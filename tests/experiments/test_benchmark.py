"""From made-up samples to rows, targets, table, record, figure and page."""

import re
from pathlib import Path
from typing import Any

import pytest
from measured import answer, describe
from PIL import Image

from cyclegan_ad.errors import UserError
from experiments.benchmark import DEFAULTS, benchmark
from experiments.benchmarks import machine, readme, training
from experiments.benchmarks.plan import Case
from experiments.benchmarks.record import markdown_table, read_records, table_rows
from experiments.benchmarks.row import Row, ratios
from experiments.benchmarks.runner import CaseFailed

ROOT = Path(__file__).resolve().parents[2]

Record = dict[str, Any]


@pytest.fixture(params=["cpu", "cuda"])
def record(request: pytest.FixtureRequest, on: Any, tmp_path: Path) -> Record:
    return on(request.param, tmp_path)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Measure on a made-up machine and read the record."""

    def measure(device: str, folder: Path, **settings: str) -> Any:
        monkeypatch.setattr(machine, "describe_machine", lambda: describe(device))
        monkeypatch.setattr(training, "has_bf16", lambda device: True)
        assert benchmark(DEFAULTS | {"out": str(folder)} | settings, answer) == []
        return next(iter(read_records(folder)), None)

    return measure


def row(record: Record, what: str) -> Row:
    [found] = [found for found in table_rows(record) if found.what == what]
    return found


def test_a_step_by_hand(on: Any, tmp_path: Path) -> None:
    record = on("cpu", tmp_path)
    found = row(record, "64 px, batch 4, bf16")
    pair_flop = 20e6 * 64**2
    assert found.reference == pytest.approx(0.82 * 190e9 / pair_flop)
    assert found.ours == pytest.approx(0.80 * 420e9 / pair_flop)
    assert found.ratio is not None and found.share is not None
    assert found.ratio.median == pytest.approx(0.80 * 420 / (0.82 * 190))
    assert found.share.median == pytest.approx(0.80)
    samples = record["cases"]["training_64px_batch4"]["samples"]
    samples |= {"reference": [2.0, 4.0, 8.0], "bf16": [1.0, 2.0, 2.0]}
    ratio = row(record, "64 px, batch 4, bf16").ratio
    assert ratio is not None and ratio.median == 2.0  # within a round: 2, 2 and 4
    assert ratio.high == pytest.approx(3.6)


def test_ratios_need_the_same_rounds() -> None:
    with pytest.raises(ValueError):
        ratios([1.0], [1.0, 2.0])


def targets(record: Record) -> dict[str, list[tuple[str, float]]]:
    return {r.what: [(t.quantity, t.limit) for t in r.targets] for r in table_rows(record)}


def test_targets_on_a_cpu(on: Any, tmp_path: Path) -> None:
    record = on("cpu", tmp_path)
    asked = targets(record)
    assert asked["64 px, batch 16, float32"] == [("ratio", 1.05)]
    assert asked["64 px, batch 1, float32"] == [("ratio", 1.0)]
    assert asked["64 px, batch 16, bf16"] == [("ratio", 2.0), ("share", 0.75)]
    for free in ("64 px, batch 1, bf16", "256 px, batch 1, bf16", "64 px, batch 4, bf16, compiled"):
        assert asked[free] == []
    assert asked["batches, 256 px from 1024 px PNG"] == [("ratio", 50.0)]
    assert asked["64 px, fid, first time (random weights)"] == [("ratio", 2.5)]
    assert asked["training (epochs: 12)"] == [("ours", 120.0)]
    assert row(record, "training with trainer=ddp").note == "one device"
    memory = row(record, "a pair at 256 px, with activation checkpointing")
    assert (memory.reference, memory.ours, memory.targets[0].limit) == (1500.0, 600.0, 2.0)
    del record["cases"]["memory_256px_batch3"]
    assert "a pair at 256 px, with activation checkpointing" not in targets(record)


def test_targets_on_a_gpu_are_those_of_the_fastest_step_at_256_px(on: Any, tmp_path: Path) -> None:
    record = on("cuda", tmp_path)
    large = {what: t for what, t in targets(record).items() if what.startswith("256 px")}
    fastest = [what for what, asked in large.items() if ("ratio", 4.0) in asked]
    assert fastest == ["256 px, batch 16, bf16, compiled"]
    assert large[fastest[0]] == [("ratio", 4.0), ("ours", 120.0)]
    assert row(record, "256 px, batch 16, float32").share is None
    record["machine"]["name"] = "NVIDIA T4"
    assert targets(record)[fastest[0]] == [("ratio", 4.0)]
    scaling = row(record, "training with trainer=ddp")
    assert scaling.ratio is not None and scaling.ratio.median == pytest.approx(1.9)


def test_table_and_figure(record: Record, tmp_path: Path) -> None:
    table = markdown_table(record)
    for verdict in ("missed", ">= 75% met") if record["machine"]["device"] == "cpu" else ("met",):
        assert verdict in table
    assert "left out" not in table
    [path] = tmp_path.glob("*.md")
    assert path.read_text().startswith(table)
    with Image.open(path.with_suffix(".png")) as picture:
        assert picture.width > 1000


def test_an_empty_record_has_a_table() -> None:
    versions = {"commit": None, "started": "2026-11-24T10", "packages": {"torch": "2"}}
    empty = {
        "quick": True, "machine": describe("cpu") | {"load": [5.0]}, "versions": versions,
        "cases": {}, "left_out": {"input": "failed: no disk"},
    }  # fmt: skip
    table = markdown_table(empty)
    assert table.startswith("**Some CPU, 2 cores (quick); torch 2, commit unknown, 2026-11-24**")
    assert "- input: failed: no disk" in table and "busy before the measurement" in table


def test_settings(on: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert on("cpu", tmp_path, case="list") is None
    names = capsys.readouterr().out.split()
    assert names[:2] == ["matrix_product", "training_64px_batch4"]
    assert on("cpu", tmp_path, case="demo") is None  # of some cases nothing is written
    out = capsys.readouterr().out
    assert "71.0" in out and max(map(len, out.splitlines())) <= 80
    assert on("cpu", tmp_path, quick="true") is None  # read_records leaves quick ones out
    assert [path.name for path in tmp_path.glob("*.json")] == [
        "benchmark_some-cpu-2-cores_quick.json"
    ]
    for name, value in (("quick", "yes"), ("case", "fast")):
        with pytest.raises(UserError, match=f"invalid {name}={value}: "):
            benchmark(DEFAULTS | {name: value}, answer)


def test_failures_are_told_and_the_rest_is_written(on: Any, tmp_path: Path) -> None:
    on("cpu", tmp_path)

    def ask(case: Case, device: str, limit_s: float) -> dict[str, Any]:
        if case.kind == "demo":
            raise CaseFailed("no space left")
        return answer(case, device)

    [problem] = benchmark(DEFAULTS | {"out": str(tmp_path)}, ask)
    assert str(problem) == "demo failed: no space left"
    [written] = read_records(tmp_path)
    assert written["left_out"] == {"demo": "failed: no space left"}


def test_a_record_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "benchmark_x.json").write_text('{"format": 0}')
    with pytest.raises(UserError, match="expected 2; run the benchmark again"):
        read_records(tmp_path)


def test_the_records_of_this_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    pages = (Path("README.md"), *Path("docs").glob("*.md"))
    [page] = [path for path in pages if readme.BEGIN in path.read_text()]
    text = page.read_text()
    figures = re.search(r"\]\((.*)benchmark_", text)
    assert figures is not None and readme.fill(text, figures[1]) == text
    for path in readme.RESULTS.glob("benchmark_*.png"):
        assert (page.parent / figures[1] / path.name).is_file()


@pytest.mark.parametrize("text", ["", readme.BEGIN, f"{readme.END}{readme.BEGIN}"])
def test_a_page_without_a_place_for_the_results(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(UserError, match="has no section for the results"):
        readme.fill(text, "docs")
