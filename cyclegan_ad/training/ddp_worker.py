"""One of the processes of a training, ``-m cyclegan_ad.training.ddp_worker SETTINGS PARENT``.

It begins to watch its parent before anything slow is imported, and ends with it.
"""

import json
import os
import sys
from pathlib import Path

from cyclegan_ad.endings import end_with, terminable
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import telling_of_files
from cyclegan_ad.settings import Settings, read_settings

ERROR_FILE = "error.txt"


def work(job: Path, parent: int) -> None:
    """Build the data and the method, and fit.

    Args:
        job: File of the settings of the job, whose run directory is prepared. What a user can mend
            is written beside it.
        parent: Process id of the command.
    """
    try:
        with telling_of_files():
            _train(read_settings(Settings, json.loads(job.read_text(encoding="utf-8"))), parent)
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
        print("a training process lost its connection to another one", file=sys.stderr, flush=True)
        sys.exit(1)


def _lost_another(error: Exception) -> bool:
    """Whether an error says that another of the processes is gone."""
    from torch.distributed import DistError

    return isinstance(error, DistError) or "gloo/transport" in str(error)


def _train(settings: Settings, parent: int) -> None:
    from cyclegan_ad.build import build_data
    from cyclegan_ad.device import prepare_process
    from cyclegan_ad.out_of_memory import explain_out_of_memory
    from cyclegan_ad.runs.directory import RunDirectory
    from cyclegan_ad.runs.lock import locked_by_process
    from cyclegan_ad.training.train_run import open_loggers, train_run

    run = RunDirectory.of(settings)
    with locked_by_process(run.path):
        if os.getppid() != parent:
            sys.exit(1)  # another command may have the run by now
        prepare_process()
        data = build_data(settings)
        data.setup()
        with (
            open_loggers(settings, run) as loggers,
            explain_out_of_memory(settings, lambda: "training"),
        ):
            train_run(settings, data, loggers)


if __name__ == "__main__":
    end_with(int(sys.argv[2]))
    # It may wait for the others in a place where no exception of ours gets through.
    with terminable(grace_s=0):
        work(Path(sys.argv[1]), int(sys.argv[2]))
