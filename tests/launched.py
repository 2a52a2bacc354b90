"""A command whose jobs tell how they were launched, for the tests of launchers: no torch in it.

    python launched.py runs=PATH seed=0,1 -m hydra/launcher=...

Job k writes PATH/k.json. Some seeds are special: see `task`.
"""

import contextlib
import json
import os
import signal
import sys
import time
from typing import Any

from cyclegan_ad.cli.command_line import run_command
from cyclegan_ad.errors import UserError

REFUSED, DEFECTIVE, KILLED, ENDLESS = 13, 14, 15, 16


def task(settings: Any) -> None:
    seed, folder = settings.seed, settings.runs
    started = time.time()
    environment = {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES",)}
    # torch takes its number of threads from here when it starts.
    environment["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS")
    if seed == REFUSED:
        raise UserError("seed 13 is unlucky; take another")
    if seed == DEFECTIVE:
        raise ZeroDivisionError("a defect\nin two lines")
    if seed == KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
    told = environment | {
        "blocks": settings.method.generator.residual_blocks,
        "torch": "torch" in sys.modules,
        "pid": os.getpid(),
        "started": started,
    }
    folder.mkdir(parents=True, exist_ok=True)
    if seed == ENDLESS:
        (folder / f"{seed}.json").write_text(json.dumps(told))
        time.sleep(600)
    time.sleep(0.5)
    (folder / f"{seed}.json").write_text(json.dumps(told | {"ended": time.time()}))
    print(f"job {seed} says so")


if __name__ == "__main__":
    with contextlib.suppress(ImportError):
        import submitit

        # How long it looks for the result of a job that has died; 15 s, for slow network disks.
        submitit.Job._results_timeout_s = 2
    if "GPUS" in os.environ:  # as if the machine had them
        from cyclegan_ad import hardware

        hardware.visible_gpus = lambda: os.environ["GPUS"].split(",")
    run_command(task, "train")
