"""A run from Python: trained, read, refused if its files do not belong together."""

import json
import subprocess
import sys
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from errors import refuses
from tiny import OVERRIDES, draw_folder

import cyclegan_ad
from cyclegan_ad import Run, load_detector, read_run, train
from cyclegan_ad.runs.directory import RunDirectory

Finished = tuple[Path, RunDirectory, dict[str, Any]]


def test_a_run_is_read(finished: Finished) -> None:
    root, directory, metrics = finished
    run = read_run(str(directory.path))
    assert isinstance(run, Run) and run.path == directory.path
    assert run.metrics["scores"] == metrics["scores"]
    assert run.settings.dataset.root == root
    assert len(run.scores) == 6 and {"path", "label", "sse"} == run.scores[0].keys()
    assert {row.subset for row in run.split} >= {"train", "test"}
    assert run.detector(protocol="crossfit").decision.name == "crossfit"


def test_a_run_that_was_edited_is_refused(finished: Finished, tmp_path: Path) -> None:
    place = copytree(finished[1].path, tmp_path / "run")
    metrics = json.loads((place / "metrics.json").read_text())
    metrics["protocols"]["crossfit"]["sse"]["misses"] += 1
    (place / "metrics.json").write_text(json.dumps(metrics))
    with refuses(file=place, facts="misses", remedy="evaluate run="):
        read_run(place)
    with refuses(facts="nowhere"):
        read_run(tmp_path / "nowhere")


def test_training_from_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = draw_folder(tmp_path / "parts")
    words = [word.split("=") for word in OVERRIDES if not word.startswith("dataset=")]
    given = {name: {"true": True}.get(value, value) for name, value in words}
    numbers = {name: int(value) if value.isdigit() else value for name, value in given.items()}
    run = train(root, **numbers, runs=tmp_path / "runs", cache_dir=tmp_path / "cache", score="sse")
    assert run.metrics["scores"].keys() == {"sse"}
    assert "ZFN" in capsys.readouterr().out
    assert load_detector(run.path)(root / "abnormal" / "00.png").threshold > 0
    again = train(root, **numbers, runs=tmp_path / "runs", cache_dir=tmp_path / "cache")
    assert again.path == run.path
    assert "already complete" in capsys.readouterr().out


def test_names_of_the_package_load_what_they_need_when_they_are_used() -> None:
    assert {*cyclegan_ad.__all__} == {
        *("Detector", "Prediction", "Run", "UserError", "load_detector", "read_run", "train")
    }
    for name in cyclegan_ad.__all__:
        assert callable(getattr(cyclegan_ad, name))
    with pytest.raises(AttributeError, match="tran"):
        _ = cyclegan_ad.tran
    code = "import sys, cyclegan_ad; print(*{'torch', 'numpy', 'hydra', 'PIL'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
