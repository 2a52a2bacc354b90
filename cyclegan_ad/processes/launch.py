"""Run one job in several processes on one machine: training, or scoring of the test set.

Lightning starts further processes by running the command line again, which in a sweep (``-m``)
would start the whole sweep in each of them. Here the elastic launcher of torch starts the processes
with the resolved settings of the job. They do one task (see ``worker``) and end before the next
one; this process does not join their group and keeps its environment.
"""

import json
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path

from cyclegan_ad import out_of_memory
from cyclegan_ad.endings import CONTINUE, signal_exception
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import PARTIAL
from cyclegan_ad.processes.worker import ERROR_FILE, Task
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.train import Settings

# The elastic launcher replaces the handlers of these signals and does not restore them.
_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT")
    if hasattr(signal, name)
]
_TERMINATED = (-signal.SIGTERM, 128 + signal.SIGTERM)


def run_in_processes(task: Task, run: RunDirectory, settings: Settings, processes: int) -> None:
    """Run a task of a job in several processes and wait for them.

    The run is started; for ``score`` it is trained. The settings are without ``auto``.

    Raises:
        UserError: With the message of the first process that failed.
    """
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    heard = [number.name for number in _SIGNALS if handlers[number] != signal.SIG_IGN]
    # In the run directory, as the temporary folder of the system may be full.
    with tempfile.TemporaryDirectory(dir=run.path, prefix=".ddp.", suffix=PARTIAL) as folder:
        job = Path(folder) / "job.json"
        content = {"task": task, "run": str(run.path), "settings": settings.as_dict()}
        job.write_text(json.dumps(content), encoding="utf-8")
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            run_id=Path(folder).name,
            max_restarts=0,
            monitor_interval=0.1,
            logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
            signals_to_handle=",".join(heard),
        )
        elastic = {  # logger -> its level
            logger: logger.level
            for name, logger in logging.root.manager.loggerDict.items()
            if name.startswith("torch.distributed.elastic") and isinstance(logger, logging.Logger)
        }
        environment = dict(os.environ)
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
        for logger in elastic:
            logger.setLevel(logging.CRITICAL)  # failures are reported below
        try:
            elastic_launch(config, sys.executable)(
                "-m", "cyclegan_ad.processes.worker", str(job), str(os.getpid())
            )
        except SignalException as error:
            raise signal_exception(error.sigval) from error
        except ChildFailedError as error:
            message = job.with_name(ERROR_FILE)
            if message.is_file():
                raise UserError(message.read_text(encoding="utf-8")) from error
            rank, failure = error.get_first_failure()
            phase: out_of_memory.Phase = "training" if task == "train" else "scoring"
            name = f"{phase} process {rank} of {processes}"
            if failure.exitcode == -getattr(signal, "SIGKILL", 9):
                advice = out_of_memory.describe(settings, phase, "the CPU")
                raise UserError(
                    f"{name} was killed, usually by the system when memory runs out; in that case: "
                    f"{advice}"
                ) from error
            if failure.exitcode in _TERMINATED:
                raise UserError(f"{name} was terminated by SIGTERM; {CONTINUE}") from error
            raise UserError(
                f"{name} ended with exit code {failure.exitcode} (see its message "
                f"above); {CONTINUE}"
            ) from error
        finally:
            for logger, level in elastic.items():
                logger.setLevel(level)
            os.environ.clear()
            os.environ.update(environment)
            for number, handler in handlers.items():
                signal.signal(number, handler)
