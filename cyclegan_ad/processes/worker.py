"""One of several processes of a job, ``-m cyclegan_ad.processes.worker JOB PARENT``.

It begins to watch its parent before anything slow is imported, and ends with it.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclegan_ad.endings import end_with, terminable
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import telling_of_files
from cyclegan_ad.settings import Settings, read_settings

if TYPE_CHECKING:  # they bring torch
    from cyclegan_ad.data.datamodule import AnomalyDataModule
    from cyclegan_ad.runs.directory import RunDirectory

Task = Literal["train", "score"]
ERROR_FILE = "error.txt"


def work(job: Path, parent: int) -> None:
    """Do what the file of a job says.

    Args:
        job: File with ``task``, ``run`` (its directory) and ``settings``. What a user can fix is
            written beside it.
        parent: Process id of the command.
    """
    try:
        with telling_of_files():
            content = json.loads(job.read_text(encoding="utf-8"))
            settings = read_settings(Settings, content["settings"])
            _do(content["task"], Path(content["run"]), settings, parent)
    except UserError as error:
        try:
            job.with_name(ERROR_FILE).write_text(str(error), encoding="utf-8")
        except OSError:  # the disk may be what it tells of
            print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if not _lost_another(error):
            raise
        # Whose end the command tells of.
        print("a process lost its connection to another one", file=sys.stderr, flush=True)
        sys.exit(1)


def _lost_another(error: Exception) -> bool:
    """Whether an error says that another of the processes is gone."""
    from torch.distributed import DistError

    return isinstance(error, DistError) or "gloo/transport" in str(error)


def _do(task: Task, place: Path, settings: Settings, parent: int) -> None:
    from cyclegan_ad.build import build_data
    from cyclegan_ad.device import prepare_process
    from cyclegan_ad.out_of_memory import explain_out_of_memory
    from cyclegan_ad.runs.directory import RunDirectory
    from cyclegan_ad.runs.lock import locked_by_process

    run = RunDirectory(place)
    with locked_by_process(run.path):
        if os.getppid() != parent:
            sys.exit(1)  # another command may have the run by now
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
    """Score a part of the test set; the first process writes what all have found."""
    import torch

    from cyclegan_ad.evaluation.evaluate_run import score_run, write_evaluation

    if torch.cuda.is_available() and settings.trainer.accelerator != "cpu":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # Scores are gathered on the CPU, which needs no fast network.
    torch.distributed.init_process_group("gloo")
    try:
        scored = score_run(run, settings, data)
        if torch.distributed.get_rank() == 0:
            write_evaluation(run, settings, data, scored)
    finally:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    end_with(int(sys.argv[2]))
    # It may wait for the others in a place where no exception of ours gets through.
    with terminable(grace_s=0):
        work(Path(sys.argv[1]), int(sys.argv[2]))
