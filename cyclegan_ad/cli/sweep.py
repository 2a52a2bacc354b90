"""Shared parts of the launchers of sweeps (``-m``): labels, checks, reports, environment.

The launchers themselves are in ``hydra_plugins``, where Hydra discovers them.
"""

import contextlib
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, filter_overrides

from cyclegan_ad.cli.command_line import Job
from cyclegan_ad.errors import UserError
from cyclegan_ad.hardware import JOB_CPUS, cpu_count
from cyclegan_ad.runs.directory import RunDirectory, run_name
from cyclegan_ad.settings.train import Settings, training_differences

RESUME = "run the same command again to resume"

# Settings of the images, which two jobs with the same run directory must share.
_IMAGES = tuple(
    f"dataset.{name}"
    for name in ("root", "category", "normal", "abnormal", "table", "exclude", "folders")
)


def label_jobs(job_overrides: Sequence[Sequence[str]]) -> list[str]:
    """Label the jobs of a sweep by the settings in which they differ."""
    jobs = [filter_overrides(words) for words in job_overrides]
    shared = set(jobs[0]).intersection(*jobs) if len(jobs) > 1 else set()
    return [" ".join(word for word in words if word not in shared) for words in jobs]


class JobReporter:
    """Report the jobs of a sweep as they end."""

    def __init__(self, job: object, labels: Sequence[str], first: int = 0) -> None:
        assert isinstance(job, Job)
        self.job, self.labels, self.first, self.ended = job, labels, first, 0

    def add(self, index: int, error: str | None, output: Path | None = None) -> None:
        """Report that a job has ended."""
        self.ended += 1
        where = f" (output: {output})" if output is not None else ""
        if error is None:
            done = f"{self.ended} of {len(self.labels)} jobs: {self.labels[index]} done{where}"
            print(done, flush=True)
        else:
            self.job.fail(error, self.first + index, self.labels[index], where)


def check_places(jobs: Sequence[Settings], labels: Sequence[str]) -> None:
    """Check that no two jobs with different trainings share a run directory.

    Raises:
        UserError: If two do, with a ``run_name`` that separates them.
    """
    first: dict[Path, int] = {}
    for i, settings in enumerate(jobs):
        place = RunDirectory.of(settings).path.resolve()
        j = first.setdefault(place, i)
        if i == j:
            continue
        names = _differences(jobs[j], settings)
        if names:
            raise UserError(
                f"{labels[j]} and {labels[i]} are different trainings with the same run directory "
                f"{place}; {_remedy(jobs, names)}"
            )
        if settings.overwrite:
            raise UserError(
                f"{labels[j]} and {labels[i]} have the same run directory {place}, and "
                "overwrite=true deletes the results of the first one; remove overwrite=true"
            )


def _differences(one: Settings, other: Settings) -> list[str]:
    found = [name for name, _, _ in training_differences(one.training(), other.training())]
    # data_dir is not used if dataset.root is set.
    asked = _IMAGES if one.dataset.root is not None else (*_IMAGES, "data_dir")
    values, others = one.flat(), other.flat()
    found += [name for name in asked if _place(values[name]) != _place(others[name])]
    return found


def _place(value: Any) -> Any:
    return Path(value).resolve() if isinstance(value, str) else value


def _remedy(jobs: Sequence[Settings], names: Sequence[str]) -> str:
    values = [settings.flat().get(name) for settings in jobs for name in names]
    if not all(re.fullmatch(r"[\w.+-]+", str(value)) for value in values):
        return (
            "run each job with its own command and run_name=NAME (a single value that contains a "
            f"comma needs quotes: {names[0]}=\\'...\\')"
        )
    bases = {run_name(settings) for settings in jobs}
    base = bases.pop() if len(bases) == 1 else "${method.name}-${resolution}"
    parts = "".join(f"-{name.rpartition('.')[2]}-${{{name}}}" for name in names)
    return f"separate them with 'run_name={base}{parts}'"


def print_seeds(jobs: Sequence[Settings]) -> None:
    """Print the means over seeds of a sweep with several seeds, and the command for a report."""
    runs = {RunDirectory.of(settings).path: str(settings.runs) for settings in jobs}
    places = [place for place in runs if (place / "metrics.json").is_file()]
    if len({place.parent for place in places}) == len(places):
        return  # no runs that differ only in the seed
    from cyclegan_ad.reporting.compute.seeds import print_means  # imports NumPy, slow

    print_means(places)
    for folder in dict.fromkeys(runs[place] for place in places):
        words = "" if folder == "runs" else f" {shlex.quote(f'runs={folder}')}"
        print(f"All runs, with figures: python -m cyclegan_ad.report{words}", flush=True)


def completed_job() -> JobReturn:
    """Return the result to pass to Hydra for a job that is already reported."""
    result = JobReturn()
    result.status, result.return_value = JobStatus.COMPLETED, None
    return result


def error_of(result: JobReturn) -> str | None:
    """Return the error message of a job that ran in another process, None if it succeeded."""
    if result.status == JobStatus.COMPLETED:
        return None if result.return_value is None else str(result.return_value)
    return repr(result._return_value)


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
