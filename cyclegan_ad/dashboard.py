"""Lay out a W&B workspace for the runs of a project: ``python -m cyclegan_ad.dashboard --help``."""

import textwrap
from typing import Any

from cyclegan_ad.cli.command_line import run_command
from cyclegan_ad.errors import UserError
from cyclegan_ad.tracking.wandb_checks import check_place
from cyclegan_ad.tracking.wandb_run import choose_mode
from cyclegan_ad.tracking.wandb_workspace import build_workspace, describe, plan_sections


def dashboard(settings: dict[str, Any]) -> None:
    """Save the workspace, or only print what it would show.

    Args:
        settings: All settings of the command (``conf/dashboard.yaml``), resolved.

    Raises:
        UserError: If a setting is wrong, a package or the account is missing, or W&B refuses.
    """
    _check(settings)
    columns = settings["columns"]
    sections = plan_sections(columns)
    place = f"{settings['entity'] or 'YOUR ACCOUNT'}/{settings['project']}"
    if settings["dry_run"]:
        print(f"{settings['name']!r} in {place} would show:")
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
            entity=settings["entity"] or str(wandb.Api().default_entity),
            project=settings["project"],
            name=settings["name"],
        )
        workspace.save()
    except (wandb.Error, OSError) as error:  # what requests raises is an OSError
        cause = textwrap.shorten(str(error) or type(error).__name__, 200, placeholder="...")
        raise UserError(f"W&B did not take the dashboard of {place}: {cause}") from error
    print(f"Dashboard: {workspace.url}")


def _check(settings: dict[str, Any]) -> None:
    for name in ("project", "name"):
        if not isinstance(settings[name], str) or not settings[name]:
            raise UserError(f"{name}={settings[name]} is not possible; it is a text")
    if settings["entity"] is not None and not isinstance(settings["entity"], str):
        raise UserError(f"entity={settings['entity']} is not possible; it is a W&B user or team")
    check_place("", settings["project"], settings["entity"])
    if not isinstance(settings["dry_run"], bool):
        raise UserError(f"dry_run={settings['dry_run']} is not possible; use true or false")
    columns = settings["columns"]
    if not (isinstance(columns, list) and columns and all(isinstance(c, str) for c in columns)):
        raise UserError(
            f"columns={columns} is not possible; it is a list of columns of scores.csv, such as "
            "columns=[sse,fid]"
        )


if __name__ == "__main__":
    run_command(dashboard, "dashboard")
