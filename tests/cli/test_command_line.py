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

from cyclegan_ad.cli.command_line import explain, help_text, importing, run_command
from cyclegan_ad.composing import conf_dir
from cyclegan_ad.errors import UserError
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings import check_settings

ROOT = Path(__file__).resolve().parents[2]
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
        (["epochs=5"], "there is no setting epochs; did you mean trainer.max_epochs? See --help"),
        (
            ["trainer.max_epoch=5"],
            "there is no setting trainer.max_epoch; did you mean trainer.max_",
        ),
        (["datset=screw"], "there is no setting datset; did you mean dataset?"),
        (["lr=1e-3"], "there is no setting lr; did you mean method.learning_rate?"),
        (
            ["score.precison=bf16"],
            "there is no setting score.precison; did you mean score.precision?",
        ),
        (
            ["batch_size=8"],
            "there is no setting batch_size; did you mean dataset.batch_size or score",
        ),
        (
            ["+lr=1e-3"],
            "+lr=1e-3 adds a setting that no code reads; did you mean method.learning_r",
        ),
        (
            ["--resolution", "64"],
            "there is no flag --resolution; settings are given as name=value, ",
        ),
        (
            ["--image-size=64"],
            "there is no flag --image-size; settings are given as name=value, see ",
        ),
        (["-x"], "there is no flag -x; settings are given as name=value, see --help"),
        (["dataset=Screw"], "dataset=Screw is not possible; did you mean screw? Choose one of "),
        (
            ["dataset=/tmp/photos"],
            "dataset=/tmp/photos is not possible: dataset takes the name of an option, not a path; "
            "for a folder of images give dataset=folder dataset.root=/tmp/photos",
        ),
        (
            ["method=~/cyclegan"],
            "method=~/cyclegan is not possible: method takes the name of an opt",
        ),
        (["nonsense=1"], "there is no setting nonsense; see --help for the settings, or --cfg job"),
        (["model=cyclegan"], "there is no setting model; did you mean method?"),
        (["model/size=big"], "there is no setting model/size; "),
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
        (
            ["+experiment=table3"],
            "experiment=table3 is not possible; did you mean table2? Choose one ",
        ),
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
        (["seed=0..4"], "seed=range(0,5) has several values; add -m to run one job for each"),
        (["seed=4..0"], "seed=4..0 is not possible; it is a whole number >= 0"),
        (["seed=99999999999"], "seed=99999999999 is not possible; it is at most 4294967295"),
        (
            ["score.batch_size=99999999999"],
            "score.batch_size=99999999999 is not possible; it is at",
        ),
        (
            ["dataset.root=/data/lot 5, line 2"],
            "dataset.root=/data/lot 5, line 2: a value with a comma needs quotes: "
            "dataset.root=\\'...\\', with blanks \"dataset.root='/data/lot 5, line 2'\"",
        ),
        (["run_name=a,b"], "run_name=a,b: a value with a comma needs quotes: run_name=\\'...\\'"),
        (
            ["method.weights_path=a,b", "method=padim"],
            "method.weights_path=a,b: a value with a com",
        ),
        (
            ["runs=~nobody-of-this-name/runs"],
            "runs=~nobody-of-this-name/runs: there is no such home",
        ),
        ([f"runs={'x' * 256}"], f"runs={'x' * 60}... is not possible; a name of 256 bytes is too"),
        (["cache_dir="], "cache_dir is empty; give cache_dir=PATH"),
        (
            [f"run_name='{'é' * 128}'"],
            f"run_name={'é' * 60}... is not possible; a name of 256 bytes",
        ),
        (
            ["-m", "--cfg", "job"],
            "--multirun and --cfg exclude each other; leave out --multirun and",
        ),
        (["--info", "config", "-r"], "--run and --info exclude each other; leave out --run"),
        (["--cfg", "jobs"], "--cfg jobs: invalid value; choose one of job, hydra, all"),
        (["--cfg"], "--cfg needs a value"),
        (["--resolve"], "--resolve goes with --cfg only"),
        (["--package", "dataset"], "--package goes with --cfg only"),
        (["--hydra-help", "seed=1"], "--hydra-help takes no settings; leave out seed=1"),
        (["--shell-completion"], "--shell-completion takes one of install=bash, install=fish,"),
        (["--shell-completion", "query=bash"], "--shell-completion takes one of install=bash,"),
        (["--experimental-rerun", "x.pickle"], "there is no flag --experimental-rerun; settings"),
        (["--config-name", "report"], "there is no flag --config-name; settings are given as"),
        (["--config-dir", "nowhere"], "Additional config directory '"),
        (["hydra.sweeper.max_batch_size=0", "-m"], "AssertionError (see --help)"),
        (["+seed=2"], "+seed=2 adds a setting that no code reads; to change one, leave out the +:"),
        (["++foo=1"], "++foo=1 adds a setting that no code reads;"),
        (["score=[sse,fid]"], "score=[sse,fid] is not possible: score takes one option; for a job"),
        (
            ["dataset={}"],
            "dataset={} is not possible: dataset takes one option; change a setting of",
        ),
        (["run_name=007"], "run_name=007 is read as the number 7; quote it: run_name=\\'007\\'"),
        (["-m", "seed=range(3,1)"], "the sweep has no jobs: one of its settings has no value"),
        (["--seed", "3"], "there is no flag --seed; settings are given as name=value, see --help"),
        (["+dataset=screw"], "dataset has a value already; leave out the + before dataset=..."),
        (["runs=???"], "runs is missing; give it as runs=VALUE"),
        (["~trainer"], "~trainer: no setting can be left out; to change one give name=value"),
        (
            ["method.name=ganomaly"],
            "method.name=ganomaly leaves the other settings of the group as th",
        ),
        (["logger.kind=wandb"], "logger.kind=wandb leaves the other settings of the group as they"),
        (["++hydra.job_logging.root.level=loud"], "Unable to configure root logger (see --help)"),
        (["~logger.kind"], "~logger.kind: no setting can be left out"),
        (["seed=range(1,2,0)", "-m"], "range() arg 3 must not be zero (see --help)"),
        ([f"seed={'9' * 5000}"], "Exceeds the limit (4300 digits) for integer string conversion"),
        (["runs=${elsewhere}"], "runs refers to ${elsewhere}, which is no setting"),
        (
            ["dataset=folder", "dataset.root=???"],
            "dataset.root is missing; give it as dataset.root=",
        ),
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
    assert err == "interrupted; type the same command again to resume\n"


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


def test_a_reason_that_jobs_share_is_told_once(command: Command) -> None:
    def refuse_all(settings: dict[str, Any]) -> None:
        raise UserError("no weights; get them")

    code, _, err = command("-m", "seed=0,1,2", task=refuse_all)
    assert code == 1
    assert err.splitlines() == [
        "error: no weights; get them",
        "error: seed=1: the same error",
        "error: seed=2: the same error",
    ]


def test_wrong_settings_of_a_sweep_are_told_before_the_first_job(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    code, _, err = command(
        "-m", "resolution=64,66", task=lambda settings: told.append(capsys.readouterr().err)
    )
    assert (code, err) == (1, "")
    assert len(told) == 1 and told[0].startswith("error: resolution=66 is not possible;")


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["method.lambda_cyc=5,10"], "run_name=cyclegan-64-lambda_cyc-${method.lambda_cyc}"),
        (
            ["method.betas=[0.5,0.9],[0.6,0.9]", "run_name=mine", "seed=0,1"],
            "in a command of its own",
        ),
        (
            ["dataset.learning_rate=1e-3,1e-4", "resolution=64,128"],
            "run_name=${method.name}-${resolution}-learning_rate-${method.learning_rate}",
        ),
        (["dataset.root=/data/lot 5, line 2"], "needs quotes: dataset.root=\\'...\\'"),
        (["score=sse,fid", "overwrite=true"], "overwrite=true deletes what the first one did"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_sweep_that_would_train_twice_in_one_place_starts_no_job(
    command: Command, words: list[str], remedy: str
) -> None:
    seen: list[Any] = []
    code, _, err = command("-m", *words, task=seen.append)
    assert (code, seen) == (1, [])
    assert re.fullmatch(r"error: [^\n]+\n", err) and remedy in err, err
    assert "runs/" in err and os.listdir() == []
    if remedy.startswith("run_name="):
        assert command("-m", *words, remedy, task=seen.append)[0] == 0
        assert len({RunDirectory.of(settings).path for settings in seen}) == len(seen) > 1


def test_jobs_that_share_a_run_on_purpose_go_on(command: Command) -> None:
    seen: list[Any] = []
    words = ("score=sse,fid", "seed=0..1")
    code, _, err = command("-m", *words, task=seen.append)
    assert (code, err, len(seen)) == (0, "", 4)
    assert sorted({settings["seed"] for settings in seen}) == [0, 1]


def test_paths_are_meant_from_where_the_command_was_typed(command: Command, tmp_path: Path) -> None:
    places: list[str] = []
    chdir = "hydra.job.chdir=true"
    task: Callable[[Any], None] = lambda settings: places.append(os.getcwd())  # noqa: E731
    assert command(chdir, "hydra.run.dir=elsewhere", task=task)[0] == 0
    assert command(chdir, "-m", "seed=0,1", task=task)[0] == 0
    assert places == [str(tmp_path)] * 3


def test_a_home_folder_needs_no_quotes(command: Command) -> None:
    got: list[Any] = []
    words = ("dataset.root=~/photos", "runs='~/my runs'", "data_dir='/data/a,~b'")
    assert command(*words, task=got.append) == (0, "", "")
    assert got[0]["dataset"]["root"] == "~/photos"
    assert (got[0]["runs"], got[0]["data_dir"]) == ("~/my runs", "/data/a,~b")


def test_names_of_files_are_read_as_utf8_whatever_the_locale() -> None:
    code = (
        "import os, sys\n"
        "from cyclegan_ad.cli.command_line import run_command\n"
        "def task(settings):\n"
        "    print(sys.getfilesystemencoding(), sys.stdout.encoding, settings['data_dir'])\n"
        "    os.system(f'{sys.executable} -c \"import sys; print(sys.flags.utf8_mode)\"')\n"
        "run_command(task, 'train')"
    )
    latin = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    result = subprocess.run(
        [sys.executable, "-c", code, "data_dir='/data/\xe9'"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **latin, "PYTHONIOENCODING": "latin-1"},
        encoding="latin-1",
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert sorted(result.stdout.splitlines()) == ["1", "utf-8 iso8859-1 /data/\xe9"]


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
    assert result.stderr == f"error: {message}pip install 'cyclegan-ad[launchers]'\n"


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
        "import hydra; from cyclegan_ad.composing import conf_dir, register_resolvers\n"
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


@pytest.mark.parametrize(
    "error",
    [MemoryError(), ImportError("libtorch_cpu.so: failed to map segment from shared object")],
)
def test_too_little_memory_for_the_libraries(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "pytorch_lightning", raising=False)
    try:
        with pytest.raises(UserError, match="memory does not suffice to load PyTorch"), importing():
            raise error
    finally:
        gc.unfreeze()


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
