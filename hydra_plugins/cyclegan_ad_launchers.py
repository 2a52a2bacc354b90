"""Launchers of sweeps, behind ``conf/hydra/launcher``; Hydra looks for them in this folder only.

They add to Hydra's own for joblib and submitit: a job that fails or dies is told of in one
line and leaves the others alone; jobs share a machine fairly; Ctrl-C ends them all. One whose
packages are not installed does not exist, which the command line explains.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn

from cyclegan_ad.cli.sweep import (
    GO_ON,
    Tally,
    environment_of_jobs,
    labels_of,
    outcome_of,
    output_in,
    settled,
    write_output_to,
)
from cyclegan_ad.endings import Terminated, end_with, terminable
from cyclegan_ad.errors import UserError
from cyclegan_ad.hardware import claim_gpus, cpu_count, visible_gpus
from cyclegan_ad.text import counted

_POLL_S = 0.5

try:
    from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher
except ImportError:
    pass
else:

    class LocalParallelLauncher(JoblibLauncher):
        """Several jobs at a time on this machine. Settings: see ``local_parallel.yaml``."""

        def launch(
            self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
        ) -> Sequence[JobReturn]:
            """Run the jobs in processes of joblib.

            Raises:
                UserError: If ``n_jobs`` is no number of jobs, or one of the processes is killed,
                    which ends the others as well.
            """
            from joblib import Parallel, delayed
            from joblib.externals.loky.process_executor import TerminatedWorkerError

            assert self.config is not None
            at_once = self.joblib["n_jobs"]
            if type(at_once) is not int or at_once < 1:
                raise UserError(
                    f"hydra.launcher.n_jobs={at_once} is not possible: expected an integer >= 1"
                )
            each = int(self.joblib["gpus_per_job"])
            gpus = visible_gpus() if each else []
            n_jobs = max(1, min(at_once, len(job_overrides)))
            if n_jobs == 1:
                return self._launch_here(job_overrides, initial_job_idx, gpus, each)
            folder = Path(str(self.config.hydra.sweep.dir)).absolute()
            folder.mkdir(parents=True, exist_ok=True)
            outputs = [folder / f"{initial_job_idx + i}.log" for i in range(len(job_overrides))]
            tally = Tally(self.task_function, labels_of(job_overrides), initial_job_idx)
            cpus = max(1, cpu_count() // n_jobs)
            share = f"{cpus} of {counted(cpu_count(), 'CPU')}"
            if gpus:
                share = f"{each} of {counted(len(gpus), 'GPU')}"
            print(f"{len(outputs)} jobs, {n_jobs} at a time with {share} each", flush=True)
            calls = [
                delayed(_run_in_worker)(
                    i,
                    (initial_job_idx + i, list(words), self.hydra_context, self.config),
                    self.task_function,
                    Singleton.get_state(),
                    parent=os.getpid(),
                    output=outputs[i],
                    gpus=gpus,
                    each=each,
                )
                for i, words in enumerate(job_overrides)
            ]
            # It shares the CPUs out by itself, through OMP_NUM_THREADS of its processes.
            parallel = Parallel(
                n_jobs=n_jobs, backend="loky", batch_size=1, return_as="generator_unordered"
            )
            try:
                with contextlib.closing(parallel(calls)) as results:
                    for i, error in results:
                        tally.add(i, error, outputs[i])
            except TerminatedWorkerError as error:
                raise UserError(
                    "a process of the sweep was killed, most often for want of memory, and the "
                    f"others with it; take fewer at a time with hydra.launcher.n_jobs=N; {GO_ON}"
                ) from error
            finally:
                _end_workers()
            return [settled() for _ in outputs]

        def _launch_here(
            self, job_overrides: Sequence[Sequence[str]], first: int, gpus: list[str], each: int
        ) -> Sequence[JobReturn]:
            if gpus:
                claim_gpus(gpus, each)
            one_by_one = BasicLauncher()
            assert self.hydra_context is not None and self.config is not None
            assert self.task_function is not None
            one_by_one.setup(
                hydra_context=self.hydra_context,
                task_function=self.task_function,
                config=self.config,
            )
            return one_by_one.launch(job_overrides, first)


def _run_in_worker(
    i: int,
    job: tuple[Any, ...],
    task_function: Any,
    singletons: dict[Any, Any],
    *,
    parent: int,
    output: Path,
    gpus: list[str],
    each: int,
) -> tuple[int, str | None]:
    """What a process of joblib does: one job. Gives its place in the sweep and its error if any."""
    from hydra_plugins.hydra_joblib_launcher._core import execute_job

    end_with(parent)
    write_output_to(output)
    try:
        with terminable():
            if gpus:
                claim_gpus(gpus, each)
            return i, outcome_of(execute_job(*job, task_function, singletons))
    except Terminated as ended:
        print(ended, flush=True)
        os._exit(int(ended.code or 0))  # joblib would hand the exception to the command, as its own


def _end_workers() -> None:
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor(kill_workers=True).shutdown(wait=True, kill_workers=True)


try:
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher
    from submitit.helpers import as_completed
except ImportError:
    pass
else:

    class SlurmLauncher(BaseSubmititLauncher):
        """Jobs of a SLURM cluster. Settings: see ``slurm.yaml``."""

        _EXECUTOR = "slurm"

        def launch(
            self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
        ) -> Sequence[JobReturn]:
            """Submit the jobs as one array and wait for them.

            Raises:
                UserError: If they cannot be submitted.
            """
            assert self.config is not None
            tally = Tally(self.task_function, labels_of(job_overrides), initial_job_idx)
            jobs = self._submit(job_overrides, initial_job_idx)
            folder = Path(str(self.config.hydra.sweep.dir)) / ".submitit"
            print(f"{counted(len(jobs), 'job')} submitted; their output: {folder}", flush=True)
            try:
                for job in as_completed(jobs, poll_frequency=_POLL_S):
                    tally.add(jobs.index(job), _outcome_of_submitted(job), job.paths.stdout)
            finally:
                for job in jobs:
                    if not job.done():
                        job.cancel(check=False)
            return [settled() for _ in job_overrides]

        def _submit(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[Any]:
            import submitit

            cluster, params = self._EXECUTOR, dict(self.params)
            start = {"folder": params.pop("submitit_folder")}
            if "max_num_timeout" in params:
                start[f"{cluster}_max_num_timeout"] = params.pop("max_num_timeout")
            shared = {field.name for field in dataclasses.fields(BaseQueueConf)}
            calls = [
                (list(words), "hydra.sweep.dir", first + i, f"job_{i}", Singleton.get_state())
                for i, words in enumerate(job_overrides)
            ]
            try:
                executor = submitit.AutoExecutor(cluster=cluster, **start)
            except RuntimeError as error:
                raise UserError(
                    "hydra/launcher=slurm: this machine has no SLURM (no srun); type the command "
                    "on a login node, or choose hydra/launcher=local_parallel"
                ) from error
            executor.update_parameters(
                **{k if k in shared else f"{cluster}_{k}": value for k, value in params.items()}
            )
            try:
                with self._surroundings(len(calls)):
                    return list(executor.map_array(self, *zip(*calls, strict=True)))
            except submitit.core.utils.FailedJobError as error:
                said = [line.strip() for line in str(error).splitlines() if line.strip()]
                raise UserError(f"SLURM did not take the jobs: {said[-1]}") from error

        @contextlib.contextmanager
        def _surroundings(self, jobs: int) -> Iterator[None]:
            with environment_of_jobs():
                yield

    class SlurmTrialLauncher(SlurmLauncher):
        """The same on this machine. Settings: see ``slurm_local.yaml``."""

        _EXECUTOR = "local"

        @contextlib.contextmanager
        def _surroundings(self, jobs: int) -> Iterator[None]:
            # Each job has a process that watches it, and that says much when it is interrupted.
            assert self.config is not None
            said = Path(str(self.config.hydra.sweep.dir)) / ".submitit" / "watchers.log"
            with environment_of_jobs(at_once=jobs), output_in(said):
                yield


def _outcome_of_submitted(job: Any) -> str | None:
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        return outcome_of(job.result())
    except FailedJobError as error:
        trace = str(error).partition("----\n")[2].partition("\n----")[0].strip()
        return trace.splitlines()[-1] if trace else "ended with an error"
    except UncompletedJobError:
        cause = f"killed, out of memory or out of time (state {job.state})"
        return f"ended without a result: {cause}; {GO_ON}"
