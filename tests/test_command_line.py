"""What a user sees: one line for each mistake, exit code 1, and help at once."""

import gc
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException

from cyclegan_ad.command_line import conf_dir, explain, help_text, importing, run_command
from cyclegan_ad.errors import UserError
from cyclegan_ad.settings import check_settings

ROOT = Path(__file__).resolve().parents[1]
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Command]:
    """Runs a task as a command in this process: (exit code, standard output, standard error)."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.chdir(tmp_path)

    def run(
        *words: str, task: Callable[[Any], object], name: str = "train"
    ) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *words])
        code = 0
        try:
            run_command(task, name)
        except SystemExit as left:
            assert isinstance(left.code, int)
            code = left.code
        out, err = capsys.readouterr()
        return code, out, err

    yield run
    GlobalHydra.instance().clear()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_errors_show_names_that_cannot_be_printed(command: Command) -> None:
    def task(settings: dict[str, Any]) -> None:
        raise UserError("pi\udce8ce\r\x1b[31m\u202e.png is damaged")

    code, _, err = command(task=task)
    assert code == 1
    assert err == "error: pi\\udce8ce\\r\\x1b[31m\\u202e.png is damaged\n"


def refuse(settings: dict[str, Any]) -> None:
    check_settings(settings)
    raise AssertionError("these settings were to be refused")


def the_error(result: tuple[int, str, str]) -> str:
    """The message of a command that failed as it should."""
    code, out, err = result
    assert code == 1
    assert out == ""
    assert re.fullmatch(r"error: [^\n]+\n", err), err
    return err.removeprefix("error: ").rstrip("\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["epochs=5"], "there is no setting epochs; see --help for the settings, or --cfg job"),
        (["trainer.max_epoch=5"], "there is no setting trainer.max_epoch;"),
        (["model=cyclegan"], "there is no setting model;"),
        (["model/size=big"], "there is no setting model/size;"),
        (
            ["dataset=cow"],
            "dataset=cow is not possible; choose one of brain_mri, breast_ultrasound, demo, "
            "folder, hazelnut, retina_oct, screw, tile, wood",
        ),
        (["score=ssim"], "score=ssim is not possible; choose one of both, embedding, "),
        (["dataset="], "dataset= is not possible; choose one of brain_mri,"),
        (
            ["+experiment=table1"],
            "table1 trains nothing; in a checkout, run python -m experiments.table1",
        ),
        (
            ["+experiment=batch_sum_artifact", "-m", "seed=0,1"],
            "batch_sum_artifact trains nothing; in a checkout, run python -m experiments.batch_sum",
        ),
        (["+experiment=table3"], "experiment=table3 is not possible; choose one of extensions, "),
        (["hydra/launcher=nowhere"], "hydra/launcher=nowhere is not possible; choose one of basic"),
        (
            ["hydra/launcher=joblib"],
            "hydra/launcher=joblib does not tell which jobs fail; choose hy",
        ),
        (["hydra.launcher.gpus=2"], "there is no setting hydra.launcher.gpus;"),
        (["dataset=null"], "a group was given something else than one of its options"),
        (["resolution=66"], "resolution=66 is not possible; the generator halves an image twice"),
        (["resolution=big"], "resolution=big is not possible;"),
        (["seed=first"], "seed=first is not possible; it is a whole number >= 0"),
        (["trainer.max_epochs=1.5"], "trainer.max_epochs=1.5 is not possible; it is a whole"),
        (["overwrite=maybe"], "overwrite=maybe is not possible; use true or false"),
        (["score.names=fid"], "score.names=fid is not possible; it is a list"),
        (["runs=2024"], "runs=2024 is not possible; it is a text"),
        (["dataset=[screw"], "cannot read 'dataset=[screw'; settings are given as name=value"),
        (["run_name=my first run"], None),  # blanks inside are fine for Hydra
        (["seed 3"], "cannot read 'seed 3'; settings are given as name=value"),
        (["dataset=screw,tile"], "dataset=screw,tile has several values; add -m to run one job"),
        (["seed=0,1,2"], "seed=0,1,2 has several values; add -m to run one job for each"),
        (["+seed=2"], "+seed=2 adds a setting that no code reads; to change one, leave out the +:"),
        (["++foo=1"], "++foo=1 adds a setting that no code reads;"),
        (["score=[sse,fid]"], "score=[sse,fid] is not possible: score takes one option; for a job"),
        (["--seed", "3"], "there is no flag --seed; settings are given as name=value, see --help"),
        (["+dataset=screw"], "dataset has a value already; leave out the + before dataset=..."),
        (["runs=???"], "runs is missing; give it as runs=VALUE"),
        (["~trainer"], "trainer.accelerator is missing; give it as trainer.accelerator=VALUE"),
        (["~nothing"], "Could not delete from config. 'nothing' does not exist. (see --help)"),
        (["runs=${elsewhere}"], "Interpolation key 'elsewhere' not found (see --help)"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_each_mistake_is_told_in_one_line(
    command: Command, words: list[str], message: str | None
) -> None:
    if message is None:
        assert command(*words, task=check_settings) == (0, "", "")
    else:
        assert the_error(command(*words, task=refuse)).startswith(message)


def test_evaluate_without_a_run(command: Command) -> None:
    assert the_error(command(task=refuse, name="evaluate")) == (
        "run is missing; give it as run=VALUE"
    )
    assert the_error(command("dataset=screw", task=refuse, name="evaluate")).startswith(
        "there is no setting dataset;"
    )


def test_the_task_gets_plain_resolved_settings(command: Command) -> None:
    got: list[Any] = []
    words = ("dataset=screw", "resolution=256", "score=fid", "seed=3")
    assert command(*words, task=got.append) == (0, "", "")
    [settings] = got
    assert type(settings) is dict
    assert type(settings["method"]["generator"]) is dict
    assert type(settings["dataset"]["folders"]) is list
    assert settings["method"]["generator"]["residual_blocks"] == 9
    assert settings["score"]["names"] == ["fid"]
    assert settings["seed"] == 3
    assert "hydra" not in settings
    assert os.listdir() == []  # Hydra makes no directory of its own


def test_an_error_of_the_task_is_one_line(command: Command) -> None:
    def fail(settings: dict[str, Any]) -> None:
        raise UserError("no such dataset; get it")

    assert the_error(command(task=fail)) == "no such dataset; get it"


def test_a_defect_of_the_program_is_no_user_error(command: Command) -> None:
    for defect in (ValueError("a defect"), KeyError("x"), ZeroDivisionError()):

        def fail(settings: dict[str, Any], defect: Exception = defect) -> None:
            raise defect

        with pytest.raises(type(defect)):
            command(task=fail)


def test_interruption_leaves_with_a_code_of_its_own(command: Command) -> None:
    def interrupt(settings: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    code, _, err = command(task=interrupt)
    assert code == 130
    assert err == "interrupted; type the same command again to go on\n"


def test_a_sweep_goes_on_after_a_failed_job_and_fails_at_its_end(command: Command) -> None:
    seen: list[tuple[int, int]] = []

    def task(settings: dict[str, Any]) -> None:
        check_settings(settings)
        seen.append((settings["resolution"], settings["seed"]))

    code, _, err = command("resolution=64,66,128", "seed=0,1", "-m", task=task)
    assert code == 1
    assert seen == [(64, 0), (64, 1), (128, 0), (128, 1)]
    assert [line[:20] for line in err.splitlines()] == ["error: resolution=66"] * 2
    assert os.listdir() == ["runs"] and os.listdir("runs") == [".sweeps"]

    seen.clear()
    code, _, err = command("dataset=screw", "-m", "seed=0,1,2", task=task)
    assert (code, err, seen) == (0, "", [(64, 0), (64, 1), (64, 2)])


def test_a_sweep_with_an_unknown_option_starts_no_job(command: Command) -> None:
    seen: list[Any] = []
    code, _, err = command("dataset=screw,cow", "-m", task=seen.append)
    assert (code, seen) == (1, [])
    assert err.startswith("error: dataset=cow is not possible; choose one of ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("launcher", "hidden", "message"),
    [
        ("local_parallel", "hydra_joblib_launcher", "this hydra/launcher needs further packages: "),
        ("slurm", "hydra_submitit_launcher", "hydra/launcher=slurm needs further packages: "),
        (
            "ray_cluster",
            "hydra_ray_launcher",
            "hydra/launcher=ray_cluster needs further packages: ",
        ),
    ],
)
def test_a_launcher_whose_package_is_missing(launcher: str, hidden: str, message: str) -> None:
    code = (
        "import runpy, sys, pkgutil\n"
        "walk = pkgutil.walk_packages\n"
        "pkgutil.walk_packages = lambda *a, **k: (\n"
        f"    found for found in walk(*a, **k) if {hidden!r} not in found[1]\n)\n"
        "class Hide:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if {hidden!r} in name: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hide())\n"
        f"sys.argv = ['train.py', '-m', 'seed=0,1', 'hydra/launcher={launcher}']\n"
        "runpy.run_module('cyclegan_ad.train', run_name='__main__')"
    )
    result = run_python("-c", code)
    assert (result.returncode, result.stdout) == (1, "")
    remedy = "hydra-ray-launcher" if launcher == "ray_cluster" else "'cyclegan-ad[launchers]'"
    assert result.stderr == f"error: {message}pip install {remedy}\n"


def test_explain_keeps_user_errors_and_says_something_of_any_other() -> None:
    error = UserError("as it is")
    assert explain(error) is error
    assert str(explain(HydraException("\n  first\nsecond"))) == "first (see --help)"
    assert str(explain(HydraException(""))) == "HydraException (see --help)"


def test_configuration_lies_beside_the_package_in_a_checkout() -> None:
    assert conf_dir() == ROOT / "conf"


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "200"},
    )


def test_help_shows_the_groups_and_loads_nothing_slow() -> None:
    code = (
        "import runpy, sys; sys.argv = ['train.py', '--help']\n"
        "try: runpy.run_module('cyclegan_ad.train', run_name='__main__')\n"
        "except SystemExit as left: assert not left.code, left.code\n"
        "slow = {'torch', 'numpy', 'pytorch_lightning', 'wandb', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'loaded {slow}' if slow else 0)"
    )
    result = run_python("-c", code)
    assert (result.returncode, result.stderr) == (0, "")
    assert "python -m cyclegan_ad.train dataset=screw" in result.stdout
    for group in ("dataset", "method", "score", "trainer", "logger"):
        assert re.search(rf"^  {group} +\w+", result.stdout, flags=re.MULTILINE), group


@pytest.mark.parametrize("name", ["train", "evaluate", "report", "dashboard"])
def test_help_is_what_hydra_prints(name: str) -> None:
    code = (
        "import hydra; from cyclegan_ad.command_line import conf_dir, register_resolvers\n"
        "register_resolvers(); place = str(conf_dir())\n"
        f"hydra.main(version_base='1.3', config_path=place, config_name='{name}')(print)()"
    )
    result = run_python("-c", code, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == help_text(name) + "\n"


def test_help_wins_over_settings(command: Command) -> None:
    code, out, err = command("dataset=cow", "--help", task=refuse)
    assert (code, err) == (0, "")
    assert out == help_text("train") + "\n"


def test_imports_are_left_out_of_garbage_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = gc.get_freeze_count()
    monkeypatch.setitem(sys.modules, "pytorch_lightning", None)
    with importing():  # imported already: what this process holds now is not only modules
        assert gc.isenabled()
    assert gc.get_freeze_count() == frozen
    monkeypatch.delitem(sys.modules, "pytorch_lightning")
    try:
        with pytest.raises(ZeroDivisionError), importing():
            assert not gc.isenabled()
            raise ZeroDivisionError
        assert gc.isenabled()
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()


@pytest.mark.parametrize(
    "words",
    [
        ("train", "trainer.epochs=3"),
        ("train", "resolution=66"),
        ("train", "dataset=null"),
        ("evaluate", "run=no/such/run"),
    ],
    ids=" ".join,
)
def test_commands_end_with_one_line_and_no_traceback(words: tuple[str, ...]) -> None:
    name, *overrides = words
    result = run_python("-m", f"cyclegan_ad.{name}", *overrides)
    assert result.returncode == 1
    assert result.stdout == ""
    assert re.fullmatch(r"error: [^\n]+\n", result.stderr), result.stderr
