"""A sweep that is killed half-way goes on with the same command, and touches nothing finished."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn, JobStatus
from started import LIMIT_S, start_training, wait_for
from states import COMPLETE, RESUMED, TRAINED, TRAINING
from tiny import draw_folder, overrides

from cyclegan_ad.cli.command_line import Job
from cyclegan_ad.cli.sweep import JobReporter, Outcome, completed_job, label_jobs, with_run_name

SEEDS = (0, 1, 2, 3)


def state_of(run: Path) -> dict[str, tuple[int, int]]:
    """Each file of a run: when it was written, and which file it is."""
    files = [path for path in run.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}


@pytest.mark.slow
def test_a_killed_sweep_finishes_only_what_was_missing(tmp_path: Path) -> None:
    root, place = draw_folder(tmp_path / "data"), tmp_path / "runs"
    words = overrides(root, place, "trainer.max_epochs=8", "-m", "seed=0,1,2,3")
    runs = [place / "cyclegan-32" / "folder" / f"seed{seed}" for seed in SEEDS]

    killed = start_training(words)
    # Within the third job, after its first checkpoint if the machine is quick enough to see it.
    wait_for(runs[2] / "checkpoints" / "last.ckpt", killed)
    killed.kill()
    killed.communicate()
    assert (runs[1] / "metrics.json").is_file()
    assert not (runs[2] / "metrics.json").is_file()
    assert not runs[3].exists()
    before = [state_of(run) for run in runs[:2]]

    again = start_training(words)
    try:
        out, err = again.communicate(timeout=LIMIT_S)
    finally:
        again.kill()
    assert again.returncode == 0, err
    assert [state_of(run) for run in runs[:2]] == before
    for run in runs[:2]:
        assert f"{run} {COMPLETE}" in out
    assert f"{runs[2]}: {RESUMED}" in out or f"{runs[2]}{TRAINED}" in out
    assert f"{runs[3]}{TRAINING}" in out
    assert out.count(COMPLETE) == 2
    assert "cyclegan_ad.predict" not in out  # which a single training ends with
    # The means over all seeds, those of the first command as well.
    end = out[out.index("Mean over seeds") :]
    assert re.search(r"CycleGAN 32 px, SSE( \(f\))? +[\d.]+ (±|\+-) [\d.]+ .* 4 *\n", end), end
    assert end.endswith(f"All runs, with figures: python -m cyclegan_ad.report runs={place}\n")
    for run in runs:
        assert (run / "metrics.json").is_file()
        assert '"finished": true' in (run / "training.json").read_text()


def test_jobs_are_named_by_what_differs() -> None:
    assert label_jobs([["a=1", "seed=0", "hydra.x=1"], ["a=1", "seed=1", "hydra.x=1"]]) == [
        "seed=0",
        "seed=1",
    ]
    assert label_jobs([["a=1", "seed=0"]]) == ["a=1 seed=0"]
    named = [with_run_name(["a=1"], "x-a-1"), with_run_name(["a=2", "run_name=y"], "x-a-2")]
    assert named == [["a=1", "run_name='x-a-1'"], ["a=2", "run_name='x-a-2'"]]
    assert label_jobs(named) == ["a=1", "a=2"]
    assert label_jobs([["run_name=y"], ["run_name=z"]]) == ["run_name=y", "run_name=z"]
    assert label_jobs([["a=1", "b=2"], ["a=1", "b=3"], ["a=2", "b=2"]]) == [
        "a=1 b=2",
        "a=1 b=3",
        "a=2 b=2",
    ]


def test_a_tally_tells_and_counts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    job = Job(lambda settings: None, "train")
    tally = JobReporter(job, ["seed=0", "seed=1"])
    tally.add(1, Outcome(objective=0.5), tmp_path / "1.log")
    tally.add(0, Outcome("no such dataset"))
    assert [result.return_value for result in tally.results()] == [None, 0.5]
    out, err = capsys.readouterr()
    assert out == f"1 of 2 jobs: seed=1 done (output: {tmp_path / '1.log'})\n"
    assert err == "error: seed=0: no such dataset\n"
    assert job.failures == [0]


def test_outcomes() -> None:
    well, refused, broken = completed_job(), completed_job(), JobReturn()
    refused.return_value = "no such dataset"
    broken.status, broken.return_value = JobStatus.FAILED, KeyError("x")
    assert [Outcome.of(result) for result in (well, refused, broken, completed_job(0.5))] == [
        Outcome(),
        Outcome("no such dataset"),
        Outcome("KeyError('x')"),
        Outcome(objective=0.5),
    ]


def test_output_goes_to_a_file_and_comes_back(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from cyclegan_ad.cli.sweep import redirected_output\n"
        "print('before')\n"
        f"with redirected_output(Path({str(tmp_path)!r}) / 'deep' / 'log'):\n"
        "    print('within'); print('error', file=sys.stderr); os.system('echo of a child')\n"
        "print('after')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=os.environ
    )
    assert (result.stdout, result.stderr) == ("before\nafter\n", "")
    said = (tmp_path / "deep" / "log").read_text().splitlines()
    assert sorted(said) == ["error", "of a child", "within"]
