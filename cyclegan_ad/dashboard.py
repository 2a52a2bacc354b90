"""Create a W&B workspace for the runs of a project: ``python -m cyclegan_ad.dashboard --help``."""

from cyclegan_ad.cli.command_line import run_command
from cyclegan_ad.errors import UserError
from cyclegan_ad.settings.commands import DashboardSettings
from cyclegan_ad.tracking.wandb_checks import check_place
from cyclegan_ad.tracking.wandb_run import cause_of, choose_mode
from cyclegan_ad.tracking.wandb_workspace import build_workspace, describe, plan_sections


def dashboard(settings: DashboardSettings) -> None:
    """Save the workspace, or print its layout with ``dry_run=true``.

    Raises:
        UserError: If a setting is invalid, a package or the account is missing, or W&B rejects
            the workspace.
    """
    check_place("", settings.project, settings.entity)
    columns = settings.columns
    sections = plan_sections(columns)
    place = f"{settings.entity or 'YOUR ACCOUNT'}/{settings.project}"
    if settings.dry_run:
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
        workspace = build_workspace(
            sections,
            columns,
            entity=settings.entity or str(wandb.Api().default_entity),
            project=settings.project,
            name=settings.name,
        )
        workspace.save()
    except (wandb.Error, OSError) as error:  # requests raises subclasses of OSError
        raise UserError(f"W&B rejected the dashboard of {place}: {cause_of(error)}") from error
    print(f"Dashboard: {workspace.url}")


if __name__ == "__main__":
    run_command(dashboard, "dashboard")
