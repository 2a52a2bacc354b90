"""Train on one dataset and evaluate the result: ``python -m cyclegan_ad.train --help``.

From Python, the module itself is a function: ``from cyclegan_ad import train``, then
``train("screw", resolution=64)``.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cyclegan_ad.cli.command_line import importing, run_command
from cyclegan_ad.cli.preflight import check_training, record_weights_hash
from cyclegan_ad.out_of_memory import explain_out_of_memory, phase_of
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.text import printable

if TYPE_CHECKING:
    from cyclegan_ad.finished_run import Run


def run_training(settings: Settings) -> dict[str, Any]:
    """Train (or resume or reuse a run), score the test set, set thresholds, print the table.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        UserError: If the settings, the data, the weights or the run directory are invalid, or
            memory runs out.
    """
    settings = record_weights_hash(settings)
    check_training(settings)
    with importing():
        from cyclegan_ad.job import run_job

    with explain_out_of_memory(settings, lambda: phase_of(RunDirectory.of(settings))):
        return run_job(settings)


def train_command(settings: Settings) -> None:
    """Run the command; after a single training, print how its detector is used."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    run_training(settings)
    if HydraConfig.get().mode == RunMode.RUN:
        detector = printable(shlex.quote(f"detector={RunDirectory.of(settings).path}"))
        print(f"Decide about new images: python -m cyclegan_ad.predict {detector} images=FOLDER")


def train(dataset: str | Path = "demo", **settings: Any) -> Run:
    """Train on a dataset and evaluate the result, with the settings of the command.

    Like the command, it resumes an unfinished run, and reuses a finished one.

    Args:
        dataset: Name of a dataset, or the folder of your own images.
        settings: Settings of the command (docs/settings.md): plain values (``seed=3``), the option
            of a group (``method="patchcore"``), several settings of a group as a dictionary
            (``trainer={"max_epochs": 20}``), or dotted names (``**{"trainer.max_epochs": 20}``).

    Returns:
        The run.

    Raises:
        UserError: If a setting is unknown or invalid, or the training cannot be done.

    Example:
        ``train("screw", resolution=64, seed=0, method="padim", logger="none")``
    """
    from cyclegan_ad.cli.python_settings import training_settings
    from cyclegan_ad.finished_run import read_run

    checked = training_settings(dataset, settings)
    run_training(checked)
    return read_run(RunDirectory.of(checked).path)


class _CallableModule(ModuleType):
    """Lets ``train`` be both the command and the function of the package."""

    def __call__(self, dataset: str | Path = "demo", **settings: Any) -> Run:
        return train(dataset, **settings)


sys.modules[__name__].__class__ = _CallableModule
sys.modules[__name__].__doc__ = train.__doc__ if __name__ != "__main__" else __doc__


if __name__ == "__main__":
    run_command(train_command, "train")
