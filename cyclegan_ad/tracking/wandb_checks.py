"""What W&B would refuse of a job, found before anything is read or written."""

import os
import re
from dataclasses import dataclass

from cyclegan_ad.errors import UserError
from cyclegan_ad.runs.directory import run_name
from cyclegan_ad.settings import Settings, WandbLogger
from cyclegan_ad.tracking.wandb_run import cause_of, choose_mode

_LONGEST_TAG = 64
_LONGEST_NAME = 128
_SHOWN = 60


@dataclass(frozen=True)
class RunLabels:
    """How W&B is to call a run.

    Attributes:
        group: What dashboards group by.
        name: Shown name of the run.
        tags: Labels to filter by.
    """

    group: str
    name: str
    tags: tuple[str, ...]


def labels_of_run(settings: Settings) -> RunLabels:
    """How W&B is to call the run of a job."""
    dataset, seed = settings.dataset.name, f"seed{settings.seed}"
    group = f"{run_name(settings)}/{dataset}"
    tags = (settings.method.name, dataset, f"{settings.resolution}px", seed)
    return RunLabels(group, f"{group}/{seed}", tags)


def check_place(prefix: str, project: str, entity: str | None) -> None:
    """Check that a W&B project and its owner can be so called.

    Args:
        prefix: What stands before the names of the settings, such as ``logger.``.
        project: W&B project.
        entity: W&B user or team.

    Raises:
        UserError: If not.
    """
    if not project.strip() or len(project) > _LONGEST_NAME or re.search(r"[/\\#?%:]", project):
        raise UserError(
            f"{prefix}project={_short(project)} is not possible; W&B takes 1 to {_LONGEST_NAME} "
            "characters, none of / \\ # ? % : (a team goes to "
            f"{prefix}entity=NAME)"
        )
    if entity is not None and not re.fullmatch(r"[A-Za-z0-9_.-]+", entity):
        raise UserError(
            f"{prefix}entity={_short(entity)} is not possible; it is a W&B user or team: letters, "
            "digits and any of . _ -"
        )


def check_run(settings: Settings) -> None:
    """Check how W&B is to call the run of a job and where it puts it, without contacting anything.

    Args:
        settings: All settings of the job, with ``logger=wandb``.

    Raises:
        UserError: Naming the setting.
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
            f"dataset.name={_short(dataset)} is not possible with logger=wandb; it becomes a tag, "
            f"which may have {_LONGEST_TAG} characters: shorten it, or use logger=csv"
        )
    if len(labels.name) > _LONGEST_NAME:
        raise UserError(
            f"run_name={_short(run_name(settings))} is not possible with logger=wandb; the "
            f"name of its run, {_short(labels.name)}, may have {_LONGEST_NAME} characters: "
            "shorten it, or use logger=csv"
        )


def check_variables() -> None:
    """Check the environment variables that W&B reads when a run starts.

    Raises:
        UserError: Naming the variable.
    """
    names = {name for name in os.environ if name.startswith("WANDB_")} - {"WANDB_MODE"}
    if not names:
        return
    import wandb  # --help and most mistakes need not wait for it

    for name in sorted(names):
        try:
            wandb.Settings().update_from_env_vars({name: os.environ[name]})
        except (wandb.Error, ValueError) as error:
            # Not its value, which may be a secret.
            raise UserError(
                f"W&B does not take {name} ({cause_of(error)}); correct or unset it"
            ) from error


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
