"""How the drivers are called: settings, help, errors of one line."""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from errors import assert_error, refuses
from tiny import compose_settings

from cyclegan_ad.errors import UserError
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.train import Settings as TrainSettings
from cyclegan_ad.settings.types import read_settings
from experiments.driver import (
    Settings,
    choose_datasets,
    read_runs,
    read_words,
    run_driver,
    whole_number,
)

ROOT = Path(__file__).resolve().parents[2]
DRIVERS = ("table1", "figure3", "figure4", "batch_sum_artifact", "benchmark", "benchmarks.readme")
DEFAULTS = {"out": "tables", "seed": "0"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sed=1"], ("sed", "out, seed")),
        (["--out", "x"], ("--out", "name=value", "--help")),
        (["out="], ("out=", "name=value", "--help")),
    ],
)
def test_wrong_words_are_told_in_one_line(
    words: list[str],
    told: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["x", *words])
    with pytest.raises(SystemExit) as left:
        run_driver(lambda settings: pytest.fail("was run"), DEFAULTS, "help")
    assert left.value.code == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert_error(err, facts=told)


def test_what_was_left_out_is_told_at_the_end_and_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def task(settings: Settings) -> list[UserError]:
        print(settings)
        return [UserError("no a"), UserError("no b")]

    monkeypatch.setattr(sys, "argv", ["x", "seed=1", "seed=2"])
    with pytest.raises(SystemExit) as left:
        run_driver(task, DEFAULTS, "help")
    assert left.value.code == 1
    assert capsys.readouterr() == (
        "{'out': 'tables', 'seed': '2'}\n",
        "error: no a\nerror: no b\n",
    )


def test_a_place_that_cannot_be_written_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()

    def task(settings: Settings) -> list[UserError]:
        (tmp_path / "file" / "below").mkdir()
        return []

    monkeypatch.setattr(sys, "argv", ["x"])
    with pytest.raises(SystemExit):
        run_driver(task, DEFAULTS, "help")
    below = tmp_path / "file" / "below"
    assert_error(capsys.readouterr().err, file=below, facts="Not a directory", remedy="out=PATH")


@pytest.mark.parametrize("name", DRIVERS)
def test_help_names_every_setting_and_its_default(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CYCLEGAN_AD_DATA", raising=False)
    module = importlib.reload(importlib.import_module(f"experiments.{name}"))
    monkeypatch.setattr(sys, "argv", ["x", "seed=1", "--help"])
    run_driver(lambda settings: pytest.fail("was run"), module.DEFAULTS, module.__doc__ or "")
    text = capsys.readouterr().out
    for setting, default in module.DEFAULTS.items():
        shown = "A,B,..." if setting == "dataset" else re.escape(default)
        assert re.search(rf"^  {setting}={shown} +\w", text, flags=re.MULTILINE), setting
    assert f"python -m experiments.{name}" in text


def test_a_driver_is_a_command_of_the_checkout() -> None:
    words = [sys.executable, "-m", "experiments.batch_sum_artifact", "batch_size=no"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert_error(done.stderr, setting="batch_size", value="no", remedy="1")


@pytest.mark.parametrize("text", ["-1", "1.5", "", "²", "2"])
def test_whole_numbers(text: str) -> None:
    with refuses(setting="seed", value=text):
        whole_number({"seed": text}, "seed", 3)
    assert whole_number({"seed": "3"}, "seed", 3) == 3


def test_datasets_are_named_with_commas_each_once() -> None:
    assert choose_datasets({"dataset": "b,a,b"}, ["a", "b"]) == ["b", "a"]
    with refuses(setting="dataset", value="c", remedy="a, b"):
        choose_datasets({"dataset": "a,c"}, ["a", "b"])


def test_runs_that_are_missing_are_named_with_the_command_that_makes_them(tmp_path: Path) -> None:
    settings = {"dataset": "screw,wood", "runs": "my runs", "run_name": "cyclegan-64", "seed": "2"}

    def read(run_dir: Path, dataset: str) -> str:
        return dataset

    found, [first, _] = read_runs(settings, "figure4", read)
    assert found == []
    command = "python -m cyclegan_ad.train +experiment=figure4 +column=cyclegan-64 dataset=screw"
    assert str(first) == (
        f"my runs/cyclegan-64/screw/seed2 holds no finished run; train it with: {command} seed=2 "
        "'runs=my runs'"
    )
    words = [*shlex.split(command)[3:], "seed=2", "runs=my runs"]
    made = read_settings(TrainSettings, compose_settings("train", words))
    assert RunDirectory.of(made).path == Path("my runs/cyclegan-64/screw/seed2")
    _, [first, _] = read_runs(settings | {"run_name": "mine"}, "figure4", read)
    assert str(first).endswith("; set run_name=NAME, seed=N or runs=PATH")
    run_dir = tmp_path / "mine" / "wood" / "seed2"
    run_dir.mkdir(parents=True)
    (run_dir / "metrics.json").touch()
    there = settings | {"run_name": "mine", "runs": str(tmp_path)}
    assert read_runs(there, "figure4", read)[0] == ["wood"]


def test_words_do_not_change_the_defaults() -> None:
    assert read_words(["seed=1"], DEFAULTS) == {"out": "tables", "seed": "1"}
    assert DEFAULTS["seed"] == "0"
