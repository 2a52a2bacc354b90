"""Create a W&B workspace for the runs of a project: ``python -m cyclegan_ad.dashboard --help``."""

from collections.abc import Collection

from cyclegan_ad.cli.command_line import run_command
from cyclegan_ad.errors import UserError
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import read_metrics
from cyclegan_ad.settings.commands import DashboardSettings
from cyclegan_ad.tracking.wandb_checks import check_place
from cyclegan_ad.tracking.wandb_run import cause_of, choose_mode
from cyclegan_ad.tracking.wandb_workspace import (
    build_workspace,
    columns_in,
    describe,
    plan_sections,
)


def dashboard(settings: DashboardSettings) -> None:
    """Save the workspace, or print its layout with ``dry_run=true``.

    Raises:
        UserError: If a setting is invalid, a package or the account is missing, or W&B rejects
            the workspace.
    """
    check_place("", settings.project, settings.entity)
    place = f"{settings.entity or 'YOUR ACCOUNT'}/{settings.project}"
    if settings.dry_run:
        sections = plan_sections(settings.columns or _columns_here(settings))
        print(f"{settings.name!r} in {place}:")
        print("\n".join(describe(sections)))
        return
    try:
        choose_mode("online")
    except UserError as error:
        raise UserError(
            "no W&B account is configured: run `wandb login` or set WANDB_API_KEY; dry_run=true "
            "shows the layout without one"
        ) from error
    import wandb

    try:
        entity = settings.entity or str(wandb.Api().default_entity)
        columns = settings.columns or _columns_of_project(entity, settings.project)
        workspace = build_workspace(
            plan_sections(columns),
            columns,
            entity=entity,
            project=settings.project,
            name=settings.name,
        )
        workspace.save()
    # requests raises subclasses of OSError, and W&B a ValueError of a project that is not there
    except (wandb.Error, OSError, ValueError) as error:
        raise UserError(f"W&B rejected the dashboard of {place}: {cause_of(error)}") from error
    print(f"Dashboard: {workspace.url}")


def _columns_here(settings: DashboardSettings) -> list[str]:
    """Return the score columns of the runs on this machine.

    Raises:
        UserError: If there are none.
    """
    from cyclegan_ad.reporting.read.find_runs import find_runs  # imports NumPy

    found: set[str] = set()
    for place in find_runs(settings.runs)[0]:
        if RunDirectory(place).metrics.is_file():
            found.update(read_metrics(place)["scores"])
    return _in_order(found, f"no run in {settings.runs} is finished", " and runs=PATH")


def _columns_of_project(entity: str, project: str) -> list[str]:
    """Return the score columns that the runs of a W&B project have in their summaries.

    Raises:
        UserError: If there are none.
    """
    import wandb

    runs = wandb.Api().runs(f"{entity}/{project}")
    keys = {str(key) for run in runs for key in run.summary.keys()}  # noqa: SIM118
    return _in_order(columns_in(keys), f"{entity}/{project} has no finished runs", "")


def _in_order(columns: Collection[str], none: str, where: str) -> list[str]:
    if not columns:
        raise UserError(
            f"{none}, so the dashboard has no columns; train first, or set columns=[sse,fid]{where}"
        )
    first = ("sse", "fid", "embedding")
    return sorted(columns, key=lambda c: (first.index(c) if c in first else len(first), c))


if __name__ == "__main__":
    run_command(dashboard, "dashboard")
