"""Shared parts of the launchers of sweeps (``-m``): labels, checks, reports, environment.

The launchers themselves are in ``hydra_plugins``, where Hydra discovers them.
"""

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus, filter_overrides

from cyclegan_ad.cli.command_line import Job
from cyclegan_ad.hardware import JOB_CPUS, cpu_count
from cyclegan_ad.runs.directory import RunDirectory, judged_by_kept_out, run_name
from cyclegan_ad.settings.train import Settings


def label_jobs(job_overrides: Sequence[Sequence[str]]) -> list[str]:
    """Label the jobs of a sweep by the settings in which they differ."""
    jobs = [filter_overrides(words) for words in job_overrides]
    shared = set(jobs[0]).intersection(*jobs) if len(jobs) > 1 else set()
    own = [[word for word in words if word not in shared] for words in jobs]
    # The name of a run repeats the settings, where the sweep appended it.
    short = [[word for word in words if not word.startswith("run_name=")] for words in own]
    return [" ".join(words) for words in (short if all(short) else own)]


def with_run_name(words: Sequence[str], name: str | None) -> list[str]:
    """Return the overrides of a job with the name of its run; None changes nothing."""
    if name is None:
        return list(words)
    return [*(word for word in words if not word.startswith("run_name=")), f"run_name='{name}'"]


@dataclass(frozen=True)
class Outcome:
    """What a job of another process has returned.

    Attributes:
        error: Its error message; None if it succeeded.
        objective: What a search maximises; None in other sweeps.
    """

    error: str | None = None
    objective: float | None = None

    @classmethod
    def of(cls, result: JobReturn) -> "Outcome":
        """Read the result of a job that ran in another process."""
        if result.status != JobStatus.COMPLETED:
            return cls(repr(result._return_value))
        returned = result.return_value
        return cls(objective=returned) if isinstance(returned, float) else cls(returned)


def completed_job(objective: float | None = None) -> JobReturn:
    """Return the result to pass to Hydra for a job that is already reported."""
    result = JobReturn()
    result.status, result.return_value = JobStatus.COMPLETED, objective
    return result


class JobReporter:
    """Report the jobs of a sweep as they end."""

    def __init__(self, job: object, labels: Sequence[str], first: int = 0) -> None:
        assert isinstance(job, Job)
        self.job, self.labels, self.first = job, labels, first
        self.objectives: dict[int, float | None] = {}

    def add(self, index: int, outcome: Outcome, output: Path | None = None) -> None:
        """Report that a job has ended."""
        self.objectives[index] = outcome.objective
        where = f" (output: {output})" if output is not None else ""
        if outcome.error is None:
            ended = len(self.objectives)
            done = f"{ended} of {len(self.labels)} jobs: {self.labels[index]} done{where}"
            print(done, flush=True)
        else:
            self.job.fail(outcome.error, self.first + index, self.labels[index], where)

    def results(self) -> list[JobReturn]:
        """Return what to pass to Hydra for the jobs, all of which are reported."""
        return [completed_job(self.objectives[index]) for index in range(len(self.labels))]


def print_sweep(jobs: Sequence[Settings]) -> None:
    """Print one table of a sweep of several runs, and the command for a report.

    The table has the means over seeds beside the paper's figures; of runs that are compared by
    images kept out of training, that comparison. A sweep of one run has printed its table.
    """
    finished = [job for job in jobs if _is_finished(job)]
    runs = {RunDirectory.of(job).path: str(job.runs) for job in finished}
    places = list(runs)
    if len(places) < 2:
        return
    from cyclegan_ad.reporting.compute.seeds import print_means  # imports NumPy, slow

    print_means(places)
    for folder in dict.fromkeys(runs[place] for place in places):
        words = "" if folder == "runs" else f" {shlex.quote(f'runs={folder}')}"
        print(f"All runs, with figures: python -m cyclegan_ad.report{words}", flush=True)


def log_means(jobs: Sequence[Settings]) -> None:
    """Log mean and deviation over the seeds of a sweep with W&B, if its runs were logged there."""
    logged = [
        job
        for job in jobs
        if job.logger.kind == "wandb"
        and _is_finished(job)
        and not judged_by_kept_out(run_name(job))
    ]
    if len({RunDirectory.of(job).path for job in logged}) < 2:
        return
    from cyclegan_ad.tracking.wandb_groups import log_groups  # imports Lightning, slow

    log_groups(logged)


def _is_finished(job: Settings) -> bool:
    return RunDirectory.of(job).metrics.is_file()


@contextlib.contextmanager
def job_environment(at_once: int | None = None) -> Iterator[None]:
    """Set ``PYTHONPATH`` and the number of CPUs for the processes of jobs within the block.

    Args:
        at_once: Number of jobs that share the CPUs of this machine; None: the batch system sets it.
    """
    before = dict(os.environ)
    root = str(Path(__file__).resolve().parents[2])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, before.get("PYTHONPATH")]))
    if at_once is not None:
        os.environ[JOB_CPUS] = str(max(1, cpu_count() // at_once))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def redirect_output(path: Path) -> None:
    """Append all further output of this process and its children to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    with path.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


@contextlib.contextmanager
def redirected_output(path: Path) -> Iterator[None]:
    """Append the output of this process and its children to a file within the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = os.dup(1), os.dup(2)
    redirect_output(path)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
