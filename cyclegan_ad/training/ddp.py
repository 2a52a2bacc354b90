"""Training in several processes on one machine.

Lightning starts the other processes by running the user's command line again, which in a sweep
(``-m``) would start the whole sweep in each of them. Here the processes are started by torch's
elastic launcher with the job's own resolved settings instead, do the fit and nothing else (see
``ddp_worker``), and are gone before the next job; this process never joins their group and keeps
its environment.
"""

import json
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path

from cyclegan_ad import out_of_memory
from cyclegan_ad.endings import ending_by
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import PARTIAL
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings import Settings
from cyclegan_ad.training.ddp_worker import ERROR_FILE

# The launcher puts its own handlers on these and leaves them there.
_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT")
    if hasattr(signal, name)
]
_TERMINATED = (-signal.SIGTERM, 128 + signal.SIGTERM)


def train_in_processes(settings: Settings) -> None:
    """Train one job in several processes and wait for them.

    Args:
        settings: All settings of the job, without ``auto``; its run directory is prepared.

    Raises:
        UserError: What went wrong in the first process that failed.
    """
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    processes = settings.trainer.processes
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    heard = [number.name for number in _SIGNALS if handlers[number] != signal.SIG_IGN]
    # The system's folder may be full, and nobody clears it after a kill.
    place = RunDirectory.of(settings).path
    with tempfile.TemporaryDirectory(dir=place, prefix=".ddp.", suffix=PARTIAL) as folder:
        job = Path(folder) / "settings.json"
        job.write_text(json.dumps(settings.as_dict()), encoding="utf-8")
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
        elastic = {  # each with a level of its own
            logger: logger.level
            for name, logger in logging.root.manager.loggerDict.items()
            if name.startswith("torch.distributed.elastic") and isinstance(logger, logging.Logger)
        }
        environment = dict(os.environ)
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
        for logger in elastic:
            logger.setLevel(logging.CRITICAL)  # their report of a failed process is told below
        try:
            elastic_launch(config, sys.executable)(
                "-m", "cyclegan_ad.training.ddp_worker", str(job), str(os.getpid())
            )
        except SignalException as error:
            raise ending_by(error.sigval) from error
        except ChildFailedError as error:
            message = job.with_name(ERROR_FILE)
            if message.is_file():
                raise UserError(message.read_text(encoding="utf-8")) from error
            rank, failure = error.get_first_failure()
            if failure.exitcode == -getattr(signal, "SIGKILL", 9):
                advice = out_of_memory.describe(settings, "training", "the CPU")
                raise UserError(
                    f"training process {rank} of {processes} was killed from outside, as the "
                    f"system does where memory runs short; in that case: {advice}"
                ) from error
            if failure.exitcode in _TERMINATED:
                raise UserError(
                    f"training process {rank} of {processes} was terminated by SIGTERM; type the "
                    "same command again to resume"
                ) from error
            raise UserError(
                f"training process {rank} of {processes} ended with exit code {failure.exitcode}; "
                "its own message stands above; type the same command again to go on"
            ) from error
        finally:
            for logger, level in elastic.items():
                logger.setLevel(level)
            os.environ.clear()
            os.environ.update(environment)
            for number, handler in handlers.items():
                signal.signal(number, handler)
