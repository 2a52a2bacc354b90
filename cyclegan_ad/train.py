"""Train on one dataset and evaluate the result: ``python -m cyclegan_ad.train --help``."""

from typing import Any

from cyclegan_ad.cli.command_line import importing, run_command
from cyclegan_ad.cli.preflight import check_training, record_weights_hash
from cyclegan_ad.out_of_memory import explain_out_of_memory, phase_of
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.train import Settings


def train(settings: Settings) -> dict[str, Any]:
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


if __name__ == "__main__":
    run_command(train, "train")
