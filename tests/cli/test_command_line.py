"""What a user sees: one line for each mistake, exit code 1, and help at once."""

import ast
import gc
import logging
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from errors import assert_error, message_of, refuses
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from states import SAME_ERROR
from tiny import setting

from cyclegan_ad.cli.command_line import explain, help_text, importing, run_command
from cyclegan_ad.cli.hydra_errors import quote
from cyclegan_ad.errors import UserError
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.composing import conf_dir
from cyclegan_ad.settings.train import Settings

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
    def task(settings: Any) -> None:
        raise UserError("pi\udce8ce\r\x1b[31m\u202e.png is damaged")

    code, _, err = command(task=task)
    assert code == 1
    assert err == "error: pi\\udce8ce\\r\\x1b[31m\\u202e.png is damaged\n"


def refuse(settings: Any) -> None:
    raise AssertionError("these settings were to be refused")


def the_error(result: tuple[int, str, str]) -> str:
    """The message of a command that failed as it should."""
    code, out, err = result
    assert code == 1
    assert out == ""
    assert err.startswith("error: ")
    return message_of(err)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["epochs=5"], ["epochs", "trainer.max_epochs"]),
        (["trainer.max_epoch=5"], ["trainer.max_epoch", "trainer.max_epochs"]),
        (["datset=screw"], ["datset", "dataset"]),
        (["lr=1e-3"], ["lr", "method.learning_rate"]),
        (["score.precison=bf16"], ["score.precison", "score.precision"]),
        (["batch_size=8"], ["batch_size", "dataset.batch_size", "score.batch_size"]),
        (["+lr=1e-3"], ["+lr=1e-3", "method.learning_rate"]),
        (["--resolution", "64"], ["--resolution", "name=value"]),
        (["--image-size=64"], ["--image-size", "name=value"]),
        (["-x"], ["-x", "name=value", "--help"]),
        (["dataset=Screw"], ["dataset=Screw", "screw"]),
        (["dataset=Bottle"], ["dataset=Bottle", "dataset=mvtec dataset.category=bottle"]),
        (
            ["dataset=/tmp/photos"],
            ["dataset=/tmp/photos", "dataset=folder dataset.root=/tmp/photos"],
        ),
        (["method=~/cyclegan"], ["method=~/cyclegan"]),
        (["nonsense=1"], ["nonsense", "--help", "--cfg job"]),
        (["model=cyclegan"], ["model", "method"]),
        (["model/size=big"], ["model/size"]),
        (
            ["dataset=cow"],
            [
                "dataset=cow",
                "brain_mri, breast_ultrasound, demo, elpv, folder, hazelnut, mvtec, retina_oct, "
                "screw, tile, wood",
            ],
        ),
        (["score=ssim"], ["score=ssim", "both, embedding, "]),
        (["dataset="], ["dataset=", "brain_mri,"]),
        (["+experiment=table1"], ["table1", "python -m experiments.table1"]),
        (
            ["+experiment=batch_sum_artifact", "-m", "seed=0,1"],
            ["batch_sum_artifact", "python -m experiments.batch_sum_artifact"],
        ),
        (["preset=cpu_quick"], ["preset", "+preset=NAME"]),
        (["+preset=cpu_quik"], ["preset=cpu_quik", "cpu_quick"]),
        (["+experiment=table3"], ["experiment=table3", "table2"]),
        (["hydra/launcher=nowhere"], ["hydra/launcher=nowhere", "basic"]),
        (["hydra/launcher=joblib"], ["hydra/launcher=joblib", "hydra/launcher=local_parallel"]),
        (["hydra.launcher.gpus=2"], ["hydra.launcher.gpus"]),
        (["dataset=null"], ["group"]),
        (["resolution=66"], ["resolution=66", "multiple of 4"]),
        (["resolution=big"], ["resolution=big"]),
        (["seed=first"], ["seed=first", "0"]),
        (["trainer.max_epochs=1.5"], ["trainer.max_epochs=1.5"]),
        (["overwrite=maybe"], ["overwrite=maybe", "true", "false"]),
        (["score.names=fid"], ["score.names=fid", "list"]),
        (["runs=2024"], ["runs=2024"]),
        (["dataset=[screw"], ["dataset=[screw", "name=value", "\"name='value'\""]),
        (["dataset.root='lot 5"], ["dataset.root='lot 5", "\"name='value'\""]),
        (["dataset.root=lot (5)"], ["dataset.root=lot (5)", "\"dataset.root='lot (5)'\""]),
        (["run_name=my first run"], None),  # blanks inside are fine for Hydra
        (["seed 3"], ["seed 3", "name=value"]),
        (["dataset=screw,tile"], ["dataset=screw,tile", "-m"]),
        (["seed=0,1,2"], ["seed=0,1,2", "-m"]),
        (["seed=0..4"], ["seed=range(0,5)", "-m"]),
        (["seed=4..0"], ["seed=4..0"]),
        (["seed=99999999999"], ["seed=99999999999", "4294967295"]),
        (["score.batch_size=99999999999"], ["score.batch_size=99999999999"]),
        (
            ["dataset.root=/data/lot 5, line 2"],
            [
                "dataset.root=/data/lot 5, line 2",
                "\"dataset.root='/data/lot 5, line 2'\"",
            ],
        ),
        (["run_name=a,b"], ["run_name=a,b", "\"run_name='a,b'\""]),
        (["method.weights_path=a,b", "method=padim"], ["method.weights_path=a,b", "comma"]),
        (["runs=~nobody-of-this-name/runs"], ["runs=~nobody-of-this-name/runs"]),
        ([f"runs={'x' * 256}"], [f"runs={'x' * 60}...", "256 bytes"]),
        (["cache_dir="], ["cache_dir", "cache_dir=PATH"]),
        ([f"run_name='{'é' * 128}'"], [f"run_name={'é' * 60}...", "256 bytes"]),
        (["-m", "--cfg", "job"], ["--multirun", "--cfg"]),
        (["--info", "config", "-r"], ["--run", "--info"]),
        (["--cfg", "jobs"], ["--cfg jobs", "job, hydra, all"]),
        (["--cfg"], ["--cfg"]),
        (["--resolve"], ["--resolve", "--cfg"]),
        (["--package", "dataset"], ["--package", "--cfg"]),
        (["--hydra-help", "seed=1"], ["--hydra-help", "seed=1"]),
        (["--shell-completion"], ["--shell-completion", "install=bash, install=fish,"]),
        (["--shell-completion", "query=bash"], ["--shell-completion", "install=bash,"]),
        (["--experimental-rerun", "x.pickle"], ["--experimental-rerun", "name=value"]),
        (["--config-name", "report"], ["--config-name", "name=value"]),
        (["--config-dir", "nowhere"], ["nowhere"]),
        (["hydra.sweeper.max_batch_size=0", "-m"], ["AssertionError", "--help"]),
        (["+seed=2"], ["+seed=2", "+"]),
        (["++foo=1"], ["++foo=1"]),
        (["score=[sse,fid]"], ["score=[sse,fid]"]),
        (["dataset={}"], ["dataset={}"]),
        (["run_name=007"], ["run_name=007", "\"run_name='007'\""]),
        (["-m", "seed=range(3,1)"], ["sweep"]),
        (["--seed", "3"], ["--seed", "name=value", "--help"]),
        (["+dataset=screw"], ["dataset", "+"]),
        (["runs=???"], ["runs=VALUE"]),
        (["~trainer"], ["~trainer", "name=value"]),
        (["method.name=ganomaly"], ["method.name=ganomaly"]),
        (["logger.kind=wandb"], ["logger.kind=wandb"]),
        (["++hydra.job_logging.root.level=loud"], ["root logger", "--help"]),
        (["~logger.kind"], ["~logger.kind"]),
        (["seed=range(1,2,0)", "-m"], ["range()", "--help"]),
        ([f"seed={'9' * 5000}"], ["4300"]),
        (["runs=${elsewhere}"], ["runs", "${elsewhere}"]),
        (["dataset=folder", "dataset.root=???"], ["dataset.root="]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_each_mistake_is_told_in_one_line(
    command: Command, words: list[str], told: list[str] | None
) -> None:
    if told is None:
        assert command(*words, task=lambda settings: None) == (0, "", "")
    else:
        assert_error(the_error(command(*words, task=refuse)), facts=told)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "new (1)",
            "Ann's (1)",
            "'s (1)",
            "a, b",
            "a (b\\",
            "a\\'(b",
            "a\\\\'(b\\\\",
            'say "a" (1)',
        ),
        *("cost $HOME (1)", "`ls` (1)", "new! (1)", "~/new (1)", "a\\$(b)", "[1] a=b", "{1}: (2)"),
    ],
)
def test_advice_about_quotes_can_be_typed(command: Command, value: str) -> None:
    told = the_error(command("dataset=folder", f"dataset.root={value}", task=refuse))
    typed = quote("dataset.root", value)
    assert_error(told, remedy="\"name='value'\"" if value[0] in "'[{" else typed)
    shell = [
        "bash",
        "-c",
        f"{shlex.quote(sys.executable)} -c 'import sys; print(sys.argv[1:])' {typed}",
    ]
    [word] = ast.literal_eval(
        subprocess.run(shell, capture_output=True, text=True, check=True).stdout
    )
    got: list[Any] = []
    assert command("dataset=folder", word, task=got.append) == (0, "", "")
    assert got[0].dataset.root == Path(value).expanduser()


def test_evaluate_without_a_run(command: Command) -> None:
    assert_error(the_error(command(task=refuse, name="evaluate")), remedy="run=VALUE")
    told = the_error(command("dataset=screw", task=refuse, name="evaluate"))
    assert_error(told, setting="dataset")


def test_the_task_gets_typed_settings(command: Command) -> None:
    got: list[Any] = []
    words = ("dataset=screw", "resolution=256", "score=fid", "seed=3")
    assert command(*words, task=got.append) == (0, "", "")
    [settings] = got
    assert type(settings) is Settings
    assert settings.method.generator.residual_blocks == 9
    assert settings.score.names == ("fid",)
    assert settings.seed == 3
    assert os.listdir() == []  # Hydra makes no directory of its own


def test_an_error_of_the_task_is_one_line(command: Command) -> None:
    def fail(settings: Any) -> None:
        raise UserError("no such dataset; get it")

    assert the_error(command(task=fail)) == "no such dataset; get it"


def test_a_defect_of_the_program_is_no_user_error(command: Command) -> None:
    for defect in (ValueError("a defect"), KeyError("x"), ZeroDivisionError()):

        def fail(settings: Any, defect: Exception = defect) -> None:
            raise defect

        with pytest.raises(type(defect)):
            command(task=fail)


def test_interruption_leaves_with_a_code_of_its_own(command: Command) -> None:
    def interrupt(settings: Any) -> None:
        raise KeyboardInterrupt

    code, _, err = command(task=interrupt)
    assert code == 130
    assert err == "interrupted; run the same command again to continue\n"


def test_a_sweep_goes_on_after_a_failed_job_and_fails_at_its_end(command: Command) -> None:
    seen: list[tuple[int, int]] = []

    def task(settings: Any) -> None:
        seen.append((settings.resolution, settings.seed))

    code, _, err = command("resolution=64,66,128", "seed=0,1", "-m", task=task)
    assert code == 1
    assert seen == [(64, 0), (64, 1), (128, 0), (128, 1)]
    lines = err.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert_error(line, setting="resolution", value=66)
    assert os.listdir() == ["runs"] and os.listdir("runs") == [".sweeps"]

    seen.clear()
    code, _, err = command("dataset=screw", "-m", "seed=0,1,2", task=task)
    assert (code, err, seen) == (0, "", [(64, 0), (64, 1), (64, 2)])


def test_a_reason_that_jobs_share_is_told_once(command: Command) -> None:
    def refuse_all(settings: Any) -> None:
        raise UserError("no weights; get them")

    code, _, err = command("-m", "seed=0,1,2", task=refuse_all)
    assert code == 1
    assert err.splitlines() == [
        "error: no weights; get them",
        f"error: seed=1{SAME_ERROR}",
        f"error: seed=2{SAME_ERROR}",
    ]


def test_wrong_settings_of_a_sweep_are_told_before_the_first_job(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    code, _, err = command(
        "-m", "resolution=64,66", task=lambda settings: told.append(capsys.readouterr().err)
    )
    assert (code, err) == (1, "")
    assert len(told) == 1
    assert_error(told[0], setting="resolution", value=66)


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["dataset.root=/data/lot 5, line 2"], "\"dataset.root='value'\""),
        (["score=sse,fid", "overwrite=true"], "overwrite=true"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_sweep_that_would_train_twice_in_one_place_starts_no_job(
    command: Command, words: list[str], remedy: str
) -> None:
    seen: list[Any] = []
    code, _, err = command("-m", *words, task=seen.append)
    assert (code, seen) == (1, [])
    assert_error(err, facts="runs/", remedy=remedy)
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (
            ["method.lambda_cyc=5,10", "seed=0,1"],
            ["cyclegan-64-lambda_cyc-5", "cyclegan-64-lambda_cyc-10"],
        ),
        (["method.lambda_cyc=5", "seed=0,1"], ["cyclegan-64"]),
        (["method.lambda_cyc=5,-1"], ["cyclegan-64-lambda_cyc-5"]),  # one value is refused
        (
            ["method.betas=[0.5,0.9],[0.6,0.9]", "run_name=mine"],
            ["mine-betas-0.5+0.9", "mine-betas-0.6+0.9"],
        ),
        (
            ["dataset.learning_rate=1e-3,1e-4", "resolution=64,128"],
            [f"cyclegan-{px}-learning_rate-{rate}" for rate in (0.001, 0.0001) for px in (64, 128)],
        ),
        (
            ["method.lambda_cyc=5,10", "run_name=a${method.lambda_cyc}"],
            ["a5", "a10"],
        ),
        (["method=cyclegan,ganomaly", "run_name=mine"], ["mine-cyclegan", "mine-ganomaly"]),
        (
            ["+preset=cpu_quick,cpu_final", "dataset=screw"],
            ["cyclegan-64-cpu_quick", "cyclegan-64-cpu_final"],
        ),
        (["method=cyclegan,ganomaly", "seed=3"], ["cyclegan-64", "ganomaly-64"]),
        (["method.decay_start_epoch=null,6", "trainer.max_epochs=12"], ["cyclegan-64"]),
        (
            ["method.decay_start_epoch=null,3"],
            [f"cyclegan-64-decay_start_epoch-{n}" for n in (6, 3)],
        ),
    ],
    ids=lambda value: " ".join(value),
)
def test_other_trainings_of_a_sweep_have_places_of_their_own(
    command: Command, words: list[str], names: list[str]
) -> None:
    seen: list[Any] = []
    command("-m", *words, task=seen.append)
    found = [RunDirectory.of(settings).path for settings in seen]
    assert list(dict.fromkeys(path.parent.parent.name for path in found)) == names
    for job in seen:
        assert {
            setting(job, "seed")
            for other in seen
            if RunDirectory.of(other).path == RunDirectory.of(job).path
        } == {setting(job, "seed")}


def test_jobs_that_share_a_run_on_purpose_go_on(command: Command) -> None:
    seen: list[Any] = []
    words = ("score=sse,fid", "seed=0..1")
    code, _, err = command("-m", *words, task=seen.append)
    assert (code, err, len(seen)) == (0, "", 4)
    assert sorted({setting(settings, "seed") for settings in seen}) == [0, 1]


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
    home = Path.home()
    assert got[0].dataset.root == home / "photos"
    assert (got[0].runs, got[0].data_dir) == (home / "my runs", Path("/data/a,~b"))


def test_names_of_files_are_read_as_utf8_whatever_the_locale() -> None:
    code = (
        "import os, sys\n"
        "from cyclegan_ad.cli.command_line import run_command\n"
        "def task(settings):\n"
        "    print(sys.getfilesystemencoding(), sys.stdout.encoding, settings.data_dir)\n"
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
    assert_error(err, setting="dataset", value="cow", remedy="screw")


@pytest.mark.parametrize(
    ("launcher", "hidden"),
    [
        ("local_parallel", "hydra_joblib_launcher"),
        ("slurm", "hydra_submitit_launcher"),
    ],
)
def test_a_launcher_whose_package_is_missing(launcher: str, hidden: str) -> None:
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
    remedy = "pip install 'cyclegan-ad[launchers]'"
    assert_error(result.stderr, setting="hydra/launcher", remedy=remedy)


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


def test_help_is_what_hydra_prints() -> None:
    names = ("train", "evaluate", "report", "dashboard")
    code = (
        "import hydra; from hydra.core.global_hydra import GlobalHydra\n"
        "from cyclegan_ad.settings.composing import conf_dir, register_resolvers\n"
        "register_resolvers(); place = str(conf_dir())\n"
        f"for name in {names}:\n"
        "    try: hydra.main(version_base='1.3', config_path=place, config_name=name)(print)()\n"
        "    except SystemExit: pass\n"
        "    GlobalHydra.instance().clear()\n"
        "    print(end='\\0')\n"
    )
    result = run_python("-c", code, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.split("\0") == [*(help_text(name) + "\n" for name in names), ""]


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
        with refuses(facts=("memory", "PyTorch")), importing():
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


def test_a_command_ends_with_one_line_and_no_traceback() -> None:
    result = run_python("-m", "cyclegan_ad.train", "resolution=66")
    assert (result.returncode, result.stdout) == (1, "")
    assert_error(result.stderr, setting="resolution", value=66)
