"""The launchers of sweeps: with jobs that take no time, and with real ones in several processes."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from errors import assert_error
from hydra import compose, initialize_config_dir
from launched import DEFECTIVE, ENDLESS, KILLED, REFUSED
from omegaconf import OmegaConf
from states import COMPLETE, RESUMED, SAME_ERROR, TRAINED, TRAINING
from tiny import draw_folder, overrides

from cyclegan_ad.settings.composing import conf_dir, register_resolvers

ROOT = Path(__file__).resolve().parents[1]
JOBS = str(ROOT / "tests" / "launched.py")
LIMIT_S = 180

pytest.importorskip("submitit")
pytest.importorskip("hydra_plugins.hydra_joblib_launcher")


def environment(**more: str) -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "WANDB_MODE")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    path = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH")]))
    return kept | {"PYTHONPATH": path, **more}


def hear_interrupts() -> None:
    """Undo what a shell does to what it starts in the background: it ignores SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(command: list[str], cwd: Path, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=cwd,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, list[str]]:
    """(exit code, standard output, its `error:` lines)."""
    try:
        out, err = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    assert "Traceback" not in err, err
    return process.returncode, out, [line for line in err.splitlines() if line.startswith("error:")]


def told(runs: Path) -> dict[int, dict[str, Any]]:
    return {int(path.stem): json.loads(path.read_text()) for path in runs.glob("*.json")}


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 90
    while not path.is_file() or not path.read_text():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.1)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that ended and that nobody asked after is no longer at work.
    status = Path(f"/proc/{pid}/stat")
    return not status.is_file() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def all_end(pids: list[int]) -> bool:
    deadline = time.monotonic() + 30
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(map(is_alive, pids))


# ---- what a job gets


@pytest.mark.parametrize(
    "launcher", ["local_parallel", pytest.param("slurm_local", marks=pytest.mark.slow)]
)
def test_failing_jobs_are_told_and_the_others_go_on(tmp_path: Path, launcher: str) -> None:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    joblib = launcher == "local_parallel"
    killed = [] if joblib else [KILLED]  # there the others go with it, see below
    seeds = [0, REFUSED, DEFECTIVE, 3, *killed]
    words = ["-m", f"seed={','.join(map(str, seeds))}", "runs=runs", "trainer=cpu"]
    words += ["hydra.launcher.n_jobs=2"] if joblib else []
    code, out, errors = finish(start([JOBS, *words, f"hydra/launcher={launcher}"], tmp_path))
    assert code == 1
    refused, defective, *rest = sorted(errors)
    assert_error(refused, setting="seed", value=13, facts=("seed 13 is unlucky", "output: "))
    assert_error(defective, setting="seed", value=14, facts="ZeroDivisionError: a defect")
    assert len(rest) == len(killed)
    for error in rest:
        assert_error(error, setting="seed", value=15, facts=("killed", "memory"))
    share = max(1, cpus // (2 if joblib else len(seeds)))
    if joblib:
        assert f"4 jobs, 2 at a time with {share} of {cpus} CPUs each\n" in out
    # Relative paths are those of the folder the command was typed in.
    found = told(tmp_path / "runs")
    assert sorted(found) == [0, 3]
    for seed, job in found.items():
        assert f"seed={seed} done (output: " in out
        assert job["blocks"] == 6  # computed by a resolver of ours
        assert job["pid"] != os.getpid()
        assert not job["torch"]
        assert job["OMP_NUM_THREADS"] == str(share)
    assert "says so" not in out
    outputs = list((tmp_path / "runs" / ".sweeps").rglob("*.log" if joblib else "*_log.out"))
    assert len(outputs) == len(seeds)
    assert sum("job 3 says so" in path.read_text() for path in outputs) == 1


def test_each_job_has_a_gpu_of_its_own(tmp_path: Path) -> None:
    words = ["-m", "seed=0,1,2,3", "runs=runs", "trainer=gpu", "hydra/launcher=local_parallel"]
    code, out, _ = finish(start([JOBS, *words], tmp_path, GPUS="4,7", TMPDIR=str(tmp_path)))
    assert code == 0
    assert "4 jobs, 2 at a time with 1 of 2 GPUs each\n" in out
    jobs = told(tmp_path / "runs")
    assert {job["CUDA_VISIBLE_DEVICES"] for job in jobs.values()} == {"4", "7"}
    for a in jobs.values():
        for b in jobs.values():
            if a["pid"] != b["pid"] and a["CUDA_VISIBLE_DEVICES"] == b["CUDA_VISIBLE_DEVICES"]:
                assert a["ended"] <= b["started"] or b["ended"] <= a["started"]
    assert len({(job["pid"], job["CUDA_VISIBLE_DEVICES"]) for job in jobs.values()}) == 2


@pytest.mark.slow
def test_one_at_a_time_runs_in_sight(tmp_path: Path) -> None:
    words = ["-m", f"seed=0,{REFUSED},1", "runs=runs", "hydra/launcher=local_parallel"]
    code, out, errors = finish(start([JOBS, *words, "hydra.launcher.n_jobs=1"], tmp_path))
    assert (code, errors) == (1, ["error: seed 13 is unlucky; take another"])
    assert "job 0 says so" in out and "job 1 says so" in out


# ---- jobs that die, and commands that are stopped


def test_a_killed_process_of_joblib_is_told_in_one_line(tmp_path: Path) -> None:
    words = ["-m", f"seed={KILLED},0", "runs=runs", "hydra/launcher=local_parallel"]
    code, _, errors = finish(start([JOBS, *words, "hydra.launcher.n_jobs=2"], tmp_path))
    assert code == 1
    assert len(errors) == 1
    assert "was killed (usually out of memory)" in errors[0]
    assert "run the same command again" in errors[0]


@pytest.mark.parametrize(
    ("launcher", "number", "line"),
    [
        ("local_parallel", signal.SIGINT, "interrupted"),
        pytest.param(
            "local_parallel", signal.SIGTERM, "terminated by SIGTERM", marks=pytest.mark.slow
        ),
        pytest.param("slurm_local", signal.SIGINT, "interrupted", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_command_leaves_no_job_behind(
    tmp_path: Path, launcher: str, number: int, line: str
) -> None:
    words = ["-m", f"seed={ENDLESS},0", "runs=runs", f"hydra/launcher={launcher}"]
    threads = ["hydra.launcher.n_jobs=2"] if launcher == "local_parallel" else []
    command = start([JOBS, *words, *threads], tmp_path)
    wait_for(tmp_path / "runs" / f"{ENDLESS}.json")
    command.send_signal(number)  # to this process alone, unlike Ctrl-C: the harder case
    _, err = command.communicate(timeout=LIMIT_S)
    assert command.returncode == 128 + number, err
    assert err.splitlines()[-1] == f"{line}; run the same command again to continue"
    assert "Traceback" not in err
    assert all_end([told(tmp_path / "runs")[ENDLESS]["pid"]])


@pytest.mark.slow
def test_a_killed_command_leaves_no_job_of_joblib_behind(tmp_path: Path) -> None:
    words = ["-m", f"seed={ENDLESS},0", "runs=runs", "hydra/launcher=local_parallel"]
    command = start([JOBS, *words, "hydra.launcher.n_jobs=2"], tmp_path)
    wait_for(tmp_path / "runs" / f"{ENDLESS}.json")
    command.kill()
    command.wait(timeout=LIMIT_S)
    assert all_end([told(tmp_path / "runs")[ENDLESS]["pid"]])


# ---- SLURM, acted by three small programs

SBATCH = """
import os, subprocess, sys
folder = os.path.dirname(os.path.abspath(__file__))
text = open(sys.argv[-1]).read()
open(os.path.join(folder, "script"), "w").write(text)
if "partition=full" in text:
    sys.exit("sbatch: error: invalid partition specified: full")
lines = [line[10:] for line in text.splitlines() if line.startswith("#SBATCH --")]
flags = dict(line.split("=", 1) for line in lines if "=" in line)
quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
command = [line for line in text.splitlines() if line.startswith("srun ")][0]
common = dict(os.environ, SUBMITIT_EXECUTOR="slurm", SLURM_JOB_ID="99", SLURM_NTASKS="1",
    SLURM_PROCID="0", SLURM_LOCALID="0", SLURM_NODEID="0", SLURM_NTASKS_PER_NODE="1",
    SLURM_NNODES="1", SLURM_JOB_NUM_NODES="1", SLURM_JOB_NODELIST="here",
    SLURM_JOB_NAME=flags["job-name"], SLURM_CPUS_PER_TASK=flags["cpus-per-task"])
if "array" in flags:
    count = int(flags["array"].split("%")[0].split("-")[1]) + 1
    jobs = [dict(SLURM_ARRAY_JOB_ID="99", SLURM_ARRAY_TASK_ID=str(i)) for i in range(count)]
else:
    jobs = [{}]
for job in jobs:
    here = command.replace("%A_%a", "99_" + job.get("SLURM_ARRAY_TASK_ID", "")).replace("%t", "0")
    words = here.split()
    for flag in ("--output", "--error"):
        place = words.index(flag) + 1
        words[place] = words[place].replace("%j", "99")
    subprocess.Popen(words, env=dict(common, **job), cwd="/", **quiet)
print("Submitted batch job 99")
"""
SRUN = """
import os, subprocess, sys
words = sys.argv[1:]
os.makedirs(os.path.dirname(words[words.index("--output") + 1]), exist_ok=True)
out, err = (open(words[words.index(flag) + 1], "a") for flag in ("--output", "--error"))
code = subprocess.call(words[words.index("--error") + 2:], stdout=out, stderr=err)
job = "_".join(["99", *filter(None, [os.environ.get("SLURM_ARRAY_TASK_ID")])])
open(os.path.join(os.path.dirname(os.path.abspath(__file__)), job + ".ended"), "w").close()
"""
SACCT = """
import os
print("JobID|State|NodeList")
for name in os.listdir(os.path.dirname(os.path.abspath(__file__))):
    if name.endswith(".ended"):
        print(name[:-6] + "|FAILED|here")
"""


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Environment in which `sbatch` runs jobs at once, elsewhere and with SLURM's variables."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, code in {"sbatch": SBATCH, "srun": SRUN, "sacct": SACCT}.items():
        path = folder / name
        path.write_text(f"#!{sys.executable}\n{code}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    yield {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.slow
def test_slurm_gets_one_array_and_its_jobs_their_settings(
    tmp_path: Path, slurm: dict[str, str]
) -> None:
    seeds = f"seed=0,{REFUSED},{KILLED},2"
    words = ["-m", seeds, "runs=runs", "hydra/launcher=slurm", "trainer=ddp"]
    chosen = ["hydra.launcher.partition=long", "trainer.devices=4", "hydra.launcher.mem_gb=8"]
    code, out, errors = finish(start([JOBS, *words, *chosen], tmp_path, **slurm))
    assert (code, len(errors)) == (1, 2)
    refused, killed = sorted(errors)
    assert_error(refused, setting="seed", value=13, facts="seed 13 is unlucky")
    assert_error(killed, setting="seed", value=15, facts=("killed", "memory", "FAILED"))
    assert "4 jobs submitted" in out
    script = (tmp_path / "slurm" / "script").read_text().splitlines()
    for flag in (
        "--array=0-3%4",
        "--partition=long",
        "--gpus-per-node=4",
        "--mem=8GB",
        "--cpus-per-task=4",
        "--time=720",
        "--job-name=cyclegan_ad",
    ):
        assert f"#SBATCH {flag}" in script
    jobs = told(tmp_path / "runs")
    assert sorted(jobs) == [0, 2]
    # 4 CPUs for 4 processes.
    assert [job["OMP_NUM_THREADS"] for job in jobs.values()] == ["1", "1"]


def test_what_slurm_refuses_is_told_in_one_line(tmp_path: Path, slurm: dict[str, str]) -> None:
    words = ["-m", "seed=0,1", "runs=runs", "hydra/launcher=slurm"]
    result = finish(start([JOBS, *words, "hydra.launcher.partition=full"], tmp_path, **slurm))
    assert (result[0], len(result[2])) == (1, 1)
    assert_error(result[2][0], facts=("SLURM", "invalid partition specified: full"))
    result = finish(start([JOBS, *words], tmp_path, PATH="/nowhere"))
    assert result[0] == 1
    [error] = result[2]
    assert_error(error, setting="hydra/launcher", value="slurm", facts="SLURM")


def launcher_settings(*words: str, command: str = "train") -> dict[str, Any]:
    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose(command, list(words), return_hydra_config=True)
        cfg.hydra.job.name = cfg.hydra.job.id = "x"
        settings = OmegaConf.to_container(cfg.hydra.launcher, resolve=True)
    assert isinstance(settings, dict)
    return {str(key): value for key, value in settings.items()}


@pytest.mark.parametrize(
    ("words", "gpus"),
    [
        ([], 1),
        (["trainer=cpu"], 0),
        (["trainer=gpu"], 1),
        (["trainer=ddp", "trainer.devices=4"], 4),
        (["trainer=ddp"], 1),
    ],
)
@pytest.mark.parametrize(
    ("launcher", "setting"),
    [
        ("slurm", "gpus_per_node"),
        ("slurm_local", "gpus_per_node"),
        ("local_parallel", "gpus_per_job"),
    ],
)
def test_gpus_follow_the_trainer(words: list[str], gpus: int, launcher: str, setting: str) -> None:
    found = launcher_settings(f"hydra/launcher={launcher}", "runs=x", *words)
    assert found[setting] == gpus


def test_other_commands_have_the_launchers_too() -> None:
    words = ("hydra/launcher=local_parallel", "run=x", "accelerator=cpu")
    assert launcher_settings(*words, command="evaluate")["gpus_per_job"] == 0


# ---- real jobs


def train(words: list[str], cwd: Path, **more: str) -> tuple[int, str, list[str]]:
    # One thread each: these networks are too small for more, on a machine that others share.
    return finish(start(["-m", "cyclegan_ad.train", *words], cwd, OMP_NUM_THREADS="1", **more))


@pytest.mark.slow
def test_real_jobs_that_share_a_run(tmp_path: Path) -> None:
    words = overrides(draw_folder(tmp_path / "data"), Path("runs"), "-m", "score=sse,peak")
    parallel = ["hydra/launcher=local_parallel", "hydra.launcher.n_jobs=2"]
    code, out, errors = train([*words, *parallel], tmp_path)
    assert (code, errors) == (0, [])
    [run] = (tmp_path / "runs" / "cyclegan-32" / "folder").glob("seed?")
    assert json.loads((run / "metrics.json").read_text())["scores"].keys() == {"sse", "peak_2px"}
    assert json.loads((run / "training.json").read_text())["steps"] == 9  # once 3 epochs of 3
    said = [path.read_text() for path in outputs_of(out)]
    assert sum(TRAINING in text for text in said) == 1
    assert sum(TRAINED in text for text in said) == 1

    code, out, errors = train([*words, *parallel], tmp_path)
    assert (code, errors) == (0, [])
    assert [(COMPLETE in path.read_text()) for path in outputs_of(out)] == [True, True]


@pytest.mark.slow
def test_real_jobs_of_several_seeds_end_with_their_means(tmp_path: Path) -> None:
    words = overrides(draw_folder(tmp_path / "data"), Path("runs"), "trainer.max_epochs=1", "-m")
    parallel = ["hydra/launcher=local_parallel", "hydra.launcher.n_jobs=2", "score=sse,peak"]
    wrong = "score.peak_sigma_px=2,0"  # left out, and told before the others start
    code, out, errors = train([*words, "seed=0,1", wrong, *parallel], tmp_path)
    assert code == 1
    assert_error(errors[0], setting="score.peak_sigma_px", value=0)
    assert [error.endswith(SAME_ERROR) for error in errors] == [False, True, True, True]
    assert "4 jobs, 2 at a time" in out
    means = out[out.index("Mean over seeds") :].splitlines()
    rows = [line.split() for line in means if line.strip().startswith("CycleGAN 32 px")]
    assert [(row[3], row[-1]) for row in rows] == [("SSE", "2"), ("peak", "2")]
    assert means[-1] == "All runs, with figures: python -m cyclegan_ad.report"


def outputs_of(out: str) -> list[Path]:
    return [Path(line.partition("output: ")[2][:-1]) for line in out.splitlines()[1:]]


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["cpu", "ddp"])
def test_a_real_job_among_the_variables_of_slurm(
    tmp_path: Path, slurm: dict[str, str], trainer: str
) -> None:
    words = overrides(draw_folder(tmp_path / "data"), Path("runs"), "-m", "seed=0")
    chosen = [f"trainer={trainer}", "trainer.accelerator=cpu", "trainer.max_epochs=1"]
    devices = ["trainer.devices=2"] if trainer == "ddp" else []
    code, _, errors = train([*words, *chosen, *devices, "hydra/launcher=slurm"], tmp_path, **slurm)
    assert (code, errors) == (0, [])
    run = tmp_path / "runs" / "cyclegan-32" / "folder" / "seed0"
    # 6 pairs of a batch of 2, in one process or in each of two.
    training = json.loads((run / "training.json").read_text())
    assert (training["finished"], training["steps"]) == (True, 2 if trainer == "ddp" else 3)
    assert (run / "metrics.json").is_file()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the job through /proc")
def test_a_preempted_job_is_queued_again_and_goes_on(tmp_path: Path) -> None:
    words = overrides(draw_folder(tmp_path / "data"), Path("runs"), "-m", "seed=0")
    chosen = ["trainer.max_epochs=15", "hydra/launcher=slurm_local"]
    train_words = ["-m", "cyclegan_ad.train", *words, *chosen]
    command = start(train_words, tmp_path, OMP_NUM_THREADS="1")
    run = tmp_path / "runs" / "cyclegan-32" / "folder" / "seed0"
    wait_for(run / "training.json")
    [submitted] = (tmp_path / "runs" / ".sweeps").rglob("*_submitted.pkl")
    watcher = submitted.name.removesuffix("_submitted.pkl")
    [job] = Path(f"/proc/{watcher}/task/{watcher}/children").read_text().split()
    os.kill(int(job), signal.SIGUSR2)  # what SLURM sends before it takes the machine away
    code, out, errors = finish(command)
    assert (code, errors) == (0, [])
    assert "1 of 1 jobs: " in out
    assert (run / "metrics.json").is_file()
    said = submitted.with_name(f"{watcher}_0_log.out").read_text()
    assert "this job is preempted" in said
    assert said.index(TRAINING) < said.index(RESUMED)
