"""One of several processes of a job: ``python -m cyclegan_ad.processes.worker JOB PARENT``.

It ends when its parent ends, which it watches from before slow imports on.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclegan_ad.endings import exit_with_parent, raise_on_signals
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import explain_file_errors
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.settings.types import read_settings

if TYPE_CHECKING:  # they import torch
    from cyclegan_ad.data.datamodule import AnomalyDataModule
    from cyclegan_ad.runs.directory import RunDirectory

Task = Literal["train", "score"]
ERROR_FILE = "error.txt"


def work(job: Path, parent: int) -> None:
    """Run the task of a JSON file with ``task``, ``run`` (the run directory) and ``settings``.

    The message of a ``UserError`` is written to a file next to it. ``parent``: id of the command.
    """
    try:
        with explain_file_errors():
            content = json.loads(job.read_text(encoding="utf-8"))
            settings = read_settings(Settings, content["settings"])
            _run_task(content["task"], Path(content["run"]), settings, parent)
    except UserError as error:
        try:
            job.with_name(ERROR_FILE).write_text(str(error), encoding="utf-8")
        except OSError:  # such as a full disk
            print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if not _lost_another(error):
            raise
        # The command reports the end of the other process.
        print("a process lost its connection to another one", file=sys.stderr, flush=True)
        sys.exit(1)


def _lost_another(error: Exception) -> bool:
    """Whether an error was caused by the end of another process of the group."""
    from torch.distributed import DistError

    return isinstance(error, DistError) or "gloo/transport" in str(error)


def _run_task(task: Task, place: Path, settings: Settings, parent: int) -> None:
    from cyclegan_ad.build import build_data
    from cyclegan_ad.device import prepare_process
    from cyclegan_ad.out_of_memory import explain_out_of_memory
    from cyclegan_ad.runs.directory import RunDirectory
    from cyclegan_ad.runs.lock import locked_by_process

    run = RunDirectory(place)
    with locked_by_process(run.path):
        if os.getppid() != parent:
            sys.exit(1)  # another command may hold the run by now
        prepare_process()
        data = build_data(settings)
        data.setup()
        if task == "score":
            with explain_out_of_memory(settings, lambda: "scoring"):
                _score(run, settings, data)
            return
        from cyclegan_ad.training.train_run import open_loggers, train_run

        with (
            open_loggers(settings, run) as loggers,
            explain_out_of_memory(settings, lambda: "training"),
        ):
            train_run(settings, data, loggers)


def _score(run: "RunDirectory", settings: Settings, data: "AnomalyDataModule") -> None:
    """Score a part of the test set; the first process writes the results of all."""
    import torch

    from cyclegan_ad.evaluation.evaluate_run import score_run, write_evaluation

    if torch.cuda.is_available() and settings.trainer.accelerator != "cpu":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # Few scores are gathered, so the CPU backend is fast enough.
    torch.distributed.init_process_group("gloo")
    try:
        scored = score_run(run, settings, data)
        if torch.distributed.get_rank() == 0:
            write_evaluation(run, settings, data, scored)
    finally:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    exit_with_parent(int(sys.argv[2]))
    # A collective operation, which waits for other processes, cannot be interrupted.
    with raise_on_signals(grace_s=0):
        work(Path(sys.argv[1]), int(sys.argv[2]))
