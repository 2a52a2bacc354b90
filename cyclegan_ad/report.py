"""Tables and a web page from run directories: ``python -m cyclegan_ad.report --help``."""

from pathlib import Path
from typing import Any

from cyclegan_ad.cli.command_line import run_command
from cyclegan_ad.errors import UserError
from cyclegan_ad.path_settings import check_path

PROTOCOLS = ("paper", "crossfit", "calibrated")


def report(settings: dict[str, Any]) -> Path:
    """Read the runs below a folder; write the page and the tables, print Table 2.

    Args:
        settings: All settings of the command (``conf/report.yaml``), resolved.

    Returns:
        The folder written to.

    Raises:
        UserError: If a setting is wrong, there are no runs, or the folder cannot be written.
    """
    for name in ("runs", "out"):
        check_path(name, settings[name])
    protocol = settings["protocol"]["name"]
    if protocol is not None and protocol not in PROTOCOLS:
        raise UserError(
            f"protocol.name={protocol} is not possible; choose one of {', '.join(PROTOCOLS)}"
        )
    from cyclegan_ad.reporting.build import write_report

    out = Path(settings["out"]).expanduser()
    write_report(Path(settings["runs"]).expanduser(), out, protocol)
    return out


if __name__ == "__main__":
    run_command(report, "report")
