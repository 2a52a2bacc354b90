"""Checks of settings and variables that W&B would reject, before files are read or written."""

import os
import re
from dataclasses import dataclass

from cyclegan_ad.errors import UserError
from cyclegan_ad.runs.directory import run_name
from cyclegan_ad.settings.train import Settings, WandbLogger
from cyclegan_ad.tracking.wandb_run import cause_of, choose_mode

_LONGEST_TAG = 64
_LONGEST_NAME = 128
_SHOWN = 60


@dataclass(frozen=True)
class RunLabels:
    """Names of a run in W&B; the group is one per run name and dataset."""

    group: str
    name: str
    tags: tuple[str, ...]


def labels_of_run(settings: Settings) -> RunLabels:
    """Return the names of the run of a job in W&B."""
    dataset, seed = settings.dataset.name, f"seed{settings.seed}"
    group = f"{run_name(settings)}/{dataset}"
    tags = (settings.method.name, dataset, f"{settings.resolution}px", seed)
    return RunLabels(group, f"{group}/{seed}", tags)


def check_place(prefix: str, project: str, entity: str | None) -> None:
    """Check the names of a W&B project and of its owner.

    Raises:
        UserError: If W&B does not allow a name.
    """
    if not project.strip() or len(project) > _LONGEST_NAME or re.search(r"[/\\#?%:]", project):
        raise UserError(
            f"invalid {prefix}project={_short(project)}: expected a W&B project of 1 to "
            f"{_LONGEST_NAME} characters, none of / \\ # ? % : (set the team with "
            f"{prefix}entity=NAME)"
        )
    if entity is not None and not re.fullmatch(r"[A-Za-z0-9_.-]+", entity):
        raise UserError(
            f"invalid {prefix}entity={_short(entity)}: expected a W&B user or team (letters, "
            "digits and any of . _ -)"
        )


def check_run(settings: Settings) -> None:
    """Check the names and the project of the run of a job in W&B, without network access.

    Raises:
        UserError: If a name is not allowed, naming the setting.
    """
    logger, labels = settings.logger, labels_of_run(settings)
    assert isinstance(logger, WandbLogger)
    mode, _ = choose_mode(logger.mode)
    if mode == "disabled":
        return
    check_place("logger.", logger.project, logger.entity)
    dataset = settings.dataset.name
    if len(dataset) > _LONGEST_TAG:
        raise UserError(
            f"invalid dataset.name={_short(dataset)}: logger=wandb needs a name of at most "
            f"{_LONGEST_TAG} characters; shorten it or use logger=csv"
        )
    if len(labels.name) > _LONGEST_NAME:
        raise UserError(
            f"invalid run_name={_short(run_name(settings))}: logger=wandb needs a run name "
            f"{_short(labels.name)} of at most {_LONGEST_NAME} characters; shorten it or use "
            "logger=csv"
        )


def check_variables() -> None:
    """Check the environment variables that W&B reads when a run starts.

    Raises:
        UserError: If a value is invalid, naming the variable.
    """
    names = {name for name in os.environ if name.startswith("WANDB_")} - {"WANDB_MODE"}
    if not names:
        return
    import wandb  # slow, not needed for most errors

    for name in sorted(names):
        try:
            wandb.Settings().update_from_env_vars({name: os.environ[name]})
        except (wandb.Error, ValueError) as error:
            # Without the value, which may be a secret.
            raise UserError(
                f"invalid environment variable {name} ({cause_of(error)}); correct or unset it"
            ) from error


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
