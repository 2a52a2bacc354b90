"""Launchers of sweeps for ``conf/hydra/launcher``; Hydra discovers them in this folder only.

They extend the launchers of Hydra for joblib and submitit: a failed or killed job is reported in
one line and does not affect the others, jobs share the CPUs and GPUs of a machine, and Ctrl-C ends
all jobs. A launcher is not defined if its packages are not installed, which the command line
reports.
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
    JobReporter,
    Outcome,
    job_environment,
    label_jobs,
    redirect_output,
    redirected_output,
)
from cyclegan_ad.endings import CONTINUE, Terminated, exit_with_parent, raise_on_signals
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
        """Run several jobs at a time on this machine; settings in ``local_parallel.yaml``."""

        def launch(
            self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
        ) -> Sequence[JobReturn]:
            """Run the jobs in worker processes of joblib.

            Raises:
                UserError: If ``n_jobs`` is invalid, or if a worker is killed, which ends the
                    others as well.
            """
            from joblib import Parallel, delayed
            from joblib.externals.loky.process_executor import TerminatedWorkerError

            assert self.config is not None
            at_once = self.joblib["n_jobs"]
            if type(at_once) is not int or at_once < 1:
                raise UserError(
                    f"invalid hydra.launcher.n_jobs={at_once}: expected an integer >= 1"
                )
            each = int(self.joblib["gpus_per_job"])
            gpus = visible_gpus() if each else []
            n_jobs = max(1, min(at_once, len(job_overrides)))
            if n_jobs == 1:
                return self._launch_here(job_overrides, initial_job_idx, gpus, each)
            folder = Path(str(self.config.hydra.sweep.dir)).absolute()
            folder.mkdir(parents=True, exist_ok=True)
            outputs = [folder / f"{initial_job_idx + i}.log" for i in range(len(job_overrides))]
            reporter = JobReporter(self.task_function, label_jobs(job_overrides), initial_job_idx)
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
            # joblib divides the CPUs itself, with OMP_NUM_THREADS of its workers.
            parallel = Parallel(
                n_jobs=n_jobs, backend="loky", batch_size=1, return_as="generator_unordered"
            )
            try:
                with contextlib.closing(parallel(calls)) as results:
                    for i, outcome in results:
                        reporter.add(i, outcome, outputs[i])
            except TerminatedWorkerError as error:
                raise UserError(
                    "a worker was killed (usually out of memory), which stopped the sweep; lower "
                    f"hydra.launcher.n_jobs; {CONTINUE}"
                ) from error
            finally:
                _end_workers()
            return reporter.results()

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
) -> tuple[int, Outcome]:
    """Run one job in a worker of joblib; return its index and its outcome."""
    from hydra_plugins.hydra_joblib_launcher._core import execute_job

    exit_with_parent(parent)
    redirect_output(output)
    try:
        with raise_on_signals():
            if gpus:
                claim_gpus(gpus, each)
            return i, Outcome.of(execute_job(*job, task_function, singletons))
    except Terminated as ended:
        print(ended, flush=True)
        os._exit(int(ended.code or 0))  # joblib would raise it in the command


def _end_workers() -> None:
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor(kill_workers=True).shutdown(wait=True, kill_workers=True)


try:
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher
except ImportError:
    pass
else:

    class SlurmLauncher(BaseSubmititLauncher):
        """Run jobs on a SLURM cluster; settings in ``slurm.yaml``."""

        _EXECUTOR = "slurm"

        def launch(
            self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
        ) -> Sequence[JobReturn]:
            """Submit the jobs as one job array and wait for them.

            Raises:
                UserError: If they cannot be submitted.
            """
            from submitit.helpers import as_completed  # slow, and needed by this launcher alone

            assert self.config is not None
            reporter = JobReporter(self.task_function, label_jobs(job_overrides), initial_job_idx)
            jobs = self._submit(job_overrides, initial_job_idx)
            folder = Path(str(self.config.hydra.sweep.dir)) / ".submitit"
            print(f"{counted(len(jobs), 'job')} submitted; their output: {folder}", flush=True)
            try:
                for job in as_completed(jobs, poll_frequency=_POLL_S):
                    reporter.add(jobs.index(job), _outcome_of_submitted(job), job.paths.stdout)
            finally:
                for job in jobs:
                    if not job.done():
                        job.cancel(check=False)
            return reporter.results()

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
                    "hydra/launcher=slurm: SLURM (srun) is not installed on this machine; run the "
                    "command on a login node or use hydra/launcher=local_parallel"
                ) from error
            executor.update_parameters(
                **{k if k in shared else f"{cluster}_{k}": value for k, value in params.items()}
            )
            try:
                with self._surroundings(len(calls)):
                    return list(executor.map_array(self, *zip(*calls, strict=True)))
            except submitit.core.utils.FailedJobError as error:
                lines = [line.strip() for line in str(error).splitlines() if line.strip()]
                raise UserError(f"SLURM rejected the jobs: {lines[-1]}") from error

        @contextlib.contextmanager
        def _surroundings(self, jobs: int) -> Iterator[None]:
            with job_environment():
                yield

    class SlurmTrialLauncher(SlurmLauncher):
        """Run jobs as on SLURM, but on this machine; settings in ``slurm_local.yaml``."""

        _EXECUTOR = "local"

        @contextlib.contextmanager
        def _surroundings(self, jobs: int) -> Iterator[None]:
            # The watcher process of each job prints much when it is interrupted.
            assert self.config is not None
            log = Path(str(self.config.hydra.sweep.dir)) / ".submitit" / "watchers.log"
            with job_environment(at_once=jobs), redirected_output(log):
                yield


def _outcome_of_submitted(job: Any) -> Outcome:
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        return Outcome.of(job.result())
    except FailedJobError as error:
        trace = str(error).partition("----\n")[2].partition("\n----")[0].strip()
        return Outcome(trace.splitlines()[-1] if trace else "ended with an error")
    except UncompletedJobError:
        cause = f"killed, out of memory or out of time (state {job.state})"
        return Outcome(f"ended without a result: {cause}; {CONTINUE}")
