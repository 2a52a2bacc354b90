"""Write tables and a web page from run directories: ``python -m cyclegan_ad.report --help``."""

from pathlib import Path

from cyclegan_ad.cli.command_line import run_command
from cyclegan_ad.settings.commands import ReportSettings


def report(settings: ReportSettings) -> Path:
    """Read the runs below a folder; write the page and the tables, print Table 2.

    Returns:
        The folder written to.

    Raises:
        UserError: If a setting is invalid, there are no runs, or the folder is not writable.
    """
    from cyclegan_ad.reporting.build import write_report

    write_report(settings.runs, settings.out, settings.protocol.name)
    return settings.out


if __name__ == "__main__":
    run_command(report, "report")
