"""Starts a job and ends it as it is about to make its first step, whose moment it writes down.

python -m experiments.benchmarks.first_step FILE SETTING=VALUE ...
"""

import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Run ``cyclegan_ad.train`` on the words of the command line, but for the first."""
    from cyclegan_ad.cli.command_line import run_command
    from cyclegan_ad.methods.cyclegan import CycleGAN
    from cyclegan_ad.train import train

    moment = Path(sys.argv.pop(1))

    def training_step(self: CycleGAN, batch: Any, batch_idx: int) -> None:
        moment.write_text(repr(time.time()))
        raise KeyboardInterrupt  # the job's loggers are closed on the way out

    CycleGAN.training_step = training_step  # type: ignore[method-assign]
    run_command(train, "train")


if __name__ == "__main__":
    main()
