"""Score a trained run again, also with other scores: ``python -m cyclegan_ad.evaluate --help``."""

from typing import Any

from cyclegan_ad.cli.command_line import importing, run_command
from cyclegan_ad.cli.preflight import check_scoring
from cyclegan_ad.errors import UserError
from cyclegan_ad.out_of_memory import explain_out_of_memory
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.commands import EvaluateSettings
from cyclegan_ad.settings.train import Settings


def evaluate(settings: EvaluateSettings) -> dict[str, Any]:
    """Score the test set of a run with its last weights, write the results, print the table.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        UserError: If the run is not trained, its images were changed or removed, or memory runs
            out.
    """
    run = RunDirectory(settings.run)
    made_with = run.read_config()
    if not run.read_training()["finished"]:
        raise UserError(
            f"{run.path} is not fully trained; to resume, run the `python -m cyclegan_ad.train` "
            "command that started it again"
        )
    if not run.checkpoint.is_file():
        raise UserError(
            f"{run.checkpoint} is missing; restore it to score the run again (its results are "
            "kept), or train it from scratch with overwrite=true"
        )
    _check_protocol(run, settings.protocol.name, made_with)
    if settings.protocol.name == "calibrated" and made_with.protocol.calibration_fraction == 0:
        raise UserError(
            f"{run.path} has no calibration images, which protocol=calibrated needs; train with "
            "`python -m cyclegan_ad.train protocol=calibrated ...`, or use protocol=crossfit"
        )
    wanted = made_with.replaced(_changes(settings))
    check_scoring(wanted)
    with importing():
        from cyclegan_ad.job import evaluate_again

    with explain_out_of_memory(wanted, lambda: "scoring", on_cpu="accelerator=cpu"):
        return evaluate_again(run, wanted)


def _check_protocol(run: RunDirectory, name: str | None, made_with: Settings) -> None:
    """Check that a protocol suits the images of a run: with or without abnormal ones.

    Raises:
        UserError: If it does not.
    """
    if name is None or (name == "quantile") is made_with.protocol.normal_only:
        return
    if name == "quantile":
        raise UserError(
            f"invalid protocol=quantile for {run.path}: it is for datasets without abnormal "
            "images; use protocol=crossfit"
        )
    raise UserError(
        f"invalid protocol={name} for {run.path}: it has no abnormal images; leave protocol out"
    )


def _changes(settings: EvaluateSettings) -> dict[str, Any]:
    """Return the settings of the run that the command changes: dotted name -> value."""
    given = settings.flat()
    changes = {name: given[name] for name in given if name.startswith(("score.", "protocol."))}
    # Always that of the run, which was trained without those images.
    del changes["protocol.calibration_fraction"]
    if settings.protocol.name == "paper" and settings.protocol.margin is None:
        changes["protocol.margin"] = 0.0  # protocol=paper has no margin
    changes |= {
        "trainer.accelerator": settings.accelerator,
        "data_dir": given["data_dir"],
        "cache_dir": given["cache_dir"],
        "dataset.root": given["root"],
        "dataset.table": given["table"],
    }
    return {name: value for name, value in changes.items() if value is not None}


if __name__ == "__main__":
    run_command(evaluate, "evaluate")
