"""Trials of a search (``hydra/sweeper=optuna``): their names, checks and objective."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from cyclegan_ad.cli.sweep_places import join_name
from cyclegan_ad.errors import UserError
from cyclegan_ad.runs.directory import run_name
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.text import as_typed, counted

_PREFIX = "search-"


def objective_of_job(settings: Settings) -> float:
    """Compute and print the objective of a finished job, as a search maximises it."""
    from cyclegan_ad.objective import objective_of_run  # imports torch

    found = objective_of_run(settings)
    print(f"objective: AUROC {100 * found:.2f} % on images kept out of training", flush=True)
    return found


def check_search(settings: Settings) -> None:
    """Check that a trial can be judged by images kept out of its training.

    Raises:
        UserError: If its method keeps none.
    """
    if settings.method.name != "linear_probe" and settings.tuning_fraction == 0:
        remedy = (
            "add method.tuning_fraction=0.25"
            if settings.method.name.startswith("cyclegan")
            else "use method=cyclegan_plus, or method=cyclegan method.tuning_fraction=0.25, or "
            "method=linear_probe"
        )
        raise UserError(
            f"invalid hydra/sweeper=optuna with method={settings.method.name}: no images are kept "
            f"out of training to judge a trial by, and test images must not be used; {remedy}"
        )
    if settings.overwrite:
        raise UserError(
            "invalid overwrite=true with hydra/sweeper=optuna: trials of equal settings would "
            "delete each other; remove it"
        )


def name_trial(settings: Settings, searched: Sequence[str]) -> str:
    """Name the run of a trial after the values of its searched settings.

    Args:
        settings: Settings of the trial.
        searched: Names of the settings that the search varies.

    Returns:
        Such as ``search-cyclegan_plus-64-lambda_cyc-7.5``.
    """
    base, values = run_name(settings).removeprefix(_PREFIX), settings.flat()
    named = {key: values.get(key) for key in searched}
    rounded = {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in named.items()}
    return join_name(_PREFIX + base, rounded)


def describe_best(
    best: Mapping[str, Any], objective: float, trials: int, fixed: Sequence[str]
) -> list[str]:
    r"""Say which trial was best, and how to train with its settings.

    Args:
        best: Searched setting -> value.
        objective: Its AUROC in [0, 1].
        trials: Number of trials.
        fixed: Overrides that all trials share.

    >>> print("\n".join(describe_best({"method.lambda_cyc": 7.5}, 0.9, 20, ["dataset=screw"])))
    Best of 20 trials: method.lambda_cyc=7.5, AUROC 90.00 % on images kept out of training
    To train with it: python -m cyclegan_ad.train dataset=screw method.lambda_cyc=7.5 run_name=NAME
    """
    chosen = [f"{name}={as_typed(value)}" for name, value in best.items()]
    words = [shlex.quote(word) for word in (*fixed, *chosen)]
    return [
        f"Best of {counted(trials, 'trial')}: {' '.join(chosen)}, AUROC {100 * objective:.2f} % on "
        "images kept out of training",
        f"To train with it: python -m cyclegan_ad.train {' '.join(words)} run_name=NAME",
    ]
