"""Score a trained run again, or with other scores: ``python -m cyclegan_ad.evaluate --help``."""

from pathlib import Path
from typing import Any

from cyclegan_ad.cli.command_line import importing, run_command
from cyclegan_ad.cli.preflight import check_scoring
from cyclegan_ad.errors import UserError
from cyclegan_ad.out_of_memory import explain_out_of_memory
from cyclegan_ad.path_settings import check_path
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings import check_settings


def evaluate(settings: dict[str, Any]) -> dict[str, Any]:
    """Score the test set of a run with its last weights, write the results, print the table.

    Args:
        settings: All settings of the command (``conf/evaluate.yaml``), resolved.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        UserError: If there is no trained run, its images have changed or are gone, or the memory
            does not suffice.
    """
    check_path("run", settings["run"])
    if settings["root"] is not None:
        check_path("root", settings["root"])
    run = RunDirectory(Path(settings["run"]).expanduser())
    made_with = run.read_config()
    _check_made_with(run, made_with)
    if not run.read_training()["finished"]:
        raise UserError(
            f"{run.path} is not trained to its end; go on with the `python -m cyclegan_ad.train` "
            "command that started it"
        )
    if not run.checkpoint.is_file():
        raise UserError(
            f"{run.checkpoint} is gone; put it back to score the run again (its results are kept), "
            "or train it anew with overwrite=true"
        )
    fraction = made_with["protocol"]["calibration_fraction"]
    wanted = made_with | {
        "score": made_with["score"] | _given(settings["score"]),
        "protocol": made_with["protocol"]
        | _given(settings["protocol"])
        | {"calibration_fraction": fraction},
    }
    if settings["protocol"]["name"] == "paper" and settings["protocol"]["margin"] is None:
        wanted["protocol"]["margin"] = 0.0  # the paper's thresholds have none
    if wanted["protocol"]["name"] == "calibrated" and fraction == 0:
        raise UserError(
            f"{run.path} kept no images out of training to calibrate with; train such a run with "
            "`python -m cyclegan_ad.train protocol=calibrated ...`, or use protocol=crossfit"
        )
    wanted["trainer"] = made_with["trainer"] | {"accelerator": settings["accelerator"]}
    if settings["data_dir"] is not None:
        wanted["data_dir"] = settings["data_dir"]
    if settings["cache_dir"] is not None:
        wanted["cache_dir"] = settings["cache_dir"]
    if settings["root"] is not None:
        wanted["dataset"] = made_with["dataset"] | {"root": settings["root"]}
    check_settings(wanted)
    check_scoring(wanted)
    with importing():
        from cyclegan_ad.evaluation.evaluate_run import evaluate_again

    with explain_out_of_memory(wanted, lambda: "scoring", on_cpu="accelerator=cpu"):
        return evaluate_again(run, wanted)


def _check_made_with(run: RunDirectory, settings: dict[str, Any]) -> None:
    try:
        check_settings(settings)
    except Exception as error:  # of values that are not what any command writes
        reason = str(error) if isinstance(error, UserError) else repr(error)
        raise UserError(
            f"{run.config} is damaged ({reason}); make the run anew with overwrite=true or choose "
            "another run_name"
        ) from error


def _given(group: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if value is not None}


if __name__ == "__main__":
    run_command(evaluate, "evaluate")
