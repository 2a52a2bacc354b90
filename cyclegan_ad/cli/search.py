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
_SHOWN_TRIALS = 10


def objective_of_job(settings: Settings) -> float:
    """Compute and print the objective of a finished job, as a search maximises it."""
    from cyclegan_ad.objective import objective_of_run  # imports torch

    found = objective_of_run(settings)
    print(f"objective: AUROC {100 * found:.2f} % on images kept out of training", flush=True)
    return found


def check_search(settings: Settings, searched: Sequence[str]) -> None:
    """Check that a trial can be judged by images kept out of its training.

    Args:
        settings: Settings of the trial.
        searched: Names of the settings that the search varies.

    Raises:
        UserError: If its method keeps none, or the objective does not depend on what is searched.
    """
    if settings.method.name == "linear_probe":
        first = settings.score.columns[0].name
        if first != "probe":
            raise UserError(
                f"invalid score.names=[{first},...] with hydra/sweeper=optuna: a linear probe is "
                "judged by its score probe; name it first"
            )
        without = [s for s in searched if s.startswith("score.") or s == "method.peak_fraction"]
        if without:
            raise UserError(
                f"hydra/sweeper=optuna cannot search {', '.join(without)}: a linear probe is "
                "judged by its score probe over the 8 symmetries, which does not depend on it"
            )
    elif settings.tuning_fraction == 0:
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


def describe_trials(trials: Sequence[tuple[str, float | None]]) -> list[str]:
    r"""List the best trials, the best one first.

    Args:
        trials: Values of the searched settings, as typed, and the objective of each trial; None for
            a trial that failed.

    >>> print("\n".join(describe_trials([("a=1", 0.9), ("a=2", None), ("a=3", 0.95)])))
    AUROC % on images kept out of training, of 2 trials (the best of several is optimistic):
      95.00  a=3
      90.00  a=1
    """
    judged = [(found, label) for label, found in trials if found is not None]
    best = sorted(judged, key=lambda trial: -trial[0])[:_SHOWN_TRIALS]
    shown = "" if len(best) == len(judged) else f" (the best {len(best)} are shown)"
    return [
        f"AUROC % on images kept out of training, of {counted(len(judged), 'trial')}{shown} (the "
        "best of several is optimistic):",
        *(f"  {100 * found:.2f}  {label}" for found, label in best),
    ]


def describe_best(best: Mapping[str, Any], fixed: Sequence[str]) -> str:
    """Say how to train with the settings of the best trial.

    Args:
        best: Searched setting -> value.
        fixed: Overrides that all trials share.

    >>> describe_best({"method.lambda_cyc": 7.5}, ["dataset=screw"])
    'The best: python -m cyclegan_ad.train dataset=screw method.lambda_cyc=7.5 run_name=NAME'
    """
    chosen = [f"{name}={as_typed(value)}" for name, value in best.items()]
    words = " ".join(shlex.quote(word) for word in (*fixed, *chosen))
    return f"The best: python -m cyclegan_ad.train {words} run_name=NAME"
