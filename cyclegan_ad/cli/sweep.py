"""What launchers of sweeps (``-m``) share: how jobs are named, told of, and settled elsewhere.

The launchers themselves are in ``hydra_plugins``, where Hydra looks for them.
"""

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus, filter_overrides

from cyclegan_ad.cli.command_line import Job
from cyclegan_ad.hardware import JOB_CPUS, cpu_count
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings import Settings

GO_ON = "type the same command again to go on"


def labels_of(job_overrides: Sequence[Sequence[str]]) -> list[str]:
    """Name the jobs of a sweep by the settings in which they differ.

    >>> labels_of([["dataset=screw", "seed=0"], ["dataset=screw", "seed=1"]])
    ['seed=0', 'seed=1']
    """
    jobs = [filter_overrides(words) for words in job_overrides]
    shared = set(jobs[0]).intersection(*jobs) if len(jobs) > 1 else set()
    return [" ".join(word for word in words if word not in shared) for words in jobs]


class Tally:
    """Tells of the jobs of a sweep as they end.

    Args:
        job: The command; failures are counted in it.
        labels: One a job.
        first: Number of the first of them in the sweep.
    """

    def __init__(self, job: object, labels: Sequence[str], first: int = 0) -> None:
        assert isinstance(job, Job)
        self.job, self.labels, self.first, self.ended = job, labels, first, 0

    def add(self, index: int, error: str | None, output: Path | None = None) -> None:
        """Tell that a job has ended.

        Args:
            index: Which, from 0.
            error: What went wrong, in a line; None: nothing.
            output: File with what it printed.
        """
        self.ended += 1
        where = f" (output: {output})" if output is not None else ""
        if error is None:
            done = f"{self.ended} of {len(self.labels)} jobs: {self.labels[index]} done{where}"
            print(done, flush=True)
        else:
            self.job.fail(error, self.first + index, self.labels[index], where)


def print_seeds(jobs: Sequence[Settings]) -> None:
    """Print the means over seeds of a sweep that has several, and how to see more.

    Args:
        jobs: Settings of the jobs that ended well.
    """
    runs = {RunDirectory.of(settings).path: str(settings.runs) for settings in jobs}
    places = [place for place in runs if (place / "metrics.json").is_file()]
    if len({place.parent for place in places}) == len(places):
        return  # no two of them differ in their seed
    from cyclegan_ad.reporting.compute.seeds import print_means  # --help needs no NumPy

    print_means(places)
    for folder in dict.fromkeys(runs[place] for place in places):
        words = "" if folder == "runs" else f" {shlex.quote(f'runs={folder}')}"
        print(f"All runs, with figures: python -m cyclegan_ad.report{words}", flush=True)


def settled() -> JobReturn:
    """What Hydra gets for a job that has been told of already."""
    result = JobReturn()
    result.status, result.return_value = JobStatus.COMPLETED, None
    return result


def outcome_of(result: JobReturn) -> str | None:
    """The error of a job that ran in another process, None if it went well."""
    if result.status == JobStatus.COMPLETED:
        return None if result.return_value is None else str(result.return_value)
    return repr(result._return_value)


@contextlib.contextmanager
def environment_of_jobs(at_once: int | None = None) -> Iterator[None]:
    """Let jobs find this package as this process did, and know their part of the machine.

    Args:
        at_once: How many jobs share this machine's CPUs; None: the batch system tells each job.
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


def write_output_to(path: Path) -> None:
    """Let all that this process and its children print from now on go to a file, at its end."""
    sys.stdout.flush()
    sys.stderr.flush()
    with path.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


@contextlib.contextmanager
def output_in(path: Path) -> Iterator[None]:
    """Within the block, the same for this process and those it starts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = os.dup(1), os.dup(2)
    write_output_to(path)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
