"""Puts the recorded results of the benchmark into docs/benchmark.md: table and figure a machine.

  python -m experiments.benchmarks.readme               writes the section and the figures
  python -m experiments.benchmarks.readme check=true    says whether the section is up to date

The section stands between two comments and is written from the records alone, so the page cannot
say anything else than they do. Quick records are left out.

Settings (change with name=value):
  results=experiments/results   where the records are
  readme=docs/benchmark.md
  figures=docs                  where the figures are written
  check=false                   only compare
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cyclegan_ad.errors import UserError
from cyclegan_ad.files import write_text
from experiments.benchmarks.plot import growth_figure
from experiments.benchmarks.record import full_records
from experiments.benchmarks.table import EXPLANATION, markdown_table
from experiments.driver import Settings, run_driver

DEFAULTS = {
    "results": "experiments/results",
    "readme": "docs/benchmark.md",
    "figures": "docs",
    "check": "false",
}

BEGIN = "<!-- benchmark: written by python -m experiments.benchmarks.readme -->"
END = "<!-- end of benchmark -->"


def fill_readme(settings: Settings) -> list[UserError]:
    """Write the section, or compare it.

    Args:
        settings: Those of the module's help.

    Returns:
        That the section is not the one that the records give, with ``check=true``.

    Raises:
        UserError: If a record or the page cannot be used.
    """
    if settings["check"] not in ("true", "false"):
        raise UserError(f"check={settings['check']} is not possible; choose true or false")
    readme = Path(settings["readme"]).expanduser()
    figures = Path(settings["figures"]).expanduser()
    records = full_records(Path(settings["results"]).expanduser())
    text = readme.read_text(encoding="utf-8")
    beside = Path(os.path.relpath(figures, readme.parent)).as_posix()
    filled = insert(text, section(records, beside), str(readme))
    if settings["check"] == "true":
        if filled == text:
            print(f"{readme} says what the {len(records)} records say")
            return []
        return [
            UserError(
                f"{readme} does not say what the records in {settings['results']} say; "
                "write its section anew with python -m experiments.benchmarks.readme"
            )
        ]
    write_text(readme, filled)
    for record in records:
        growth_figure(record, figures / figure_name(record))
    print(f"{readme}: {len(records)} machines; figures in {figures}")
    return []


def section(records: Sequence[Mapping[str, Any]], figures: str) -> str:
    """What the page says of the machines that were measured.

    Args:
        records: See :mod:`experiments.benchmarks.record`.
        figures: Folder of the figures, relative to the page.

    Returns:
        Markdown; empty without records.
    """
    parts = []
    for record in records:
        name = record["machine"]["name"]
        parts.append(markdown_table(record))
        parts.append(
            f"![Cost by batch, pixels and images on {name}]({figures}/{figure_name(record)})\n"
        )
    return "\n".join([*parts, f"*{EXPLANATION}*\n"]) if parts else ""


def insert(text: str, between: str, name: str) -> str:
    """A text with what stands between the two comments replaced.

    Raises:
        UserError: If the comments are not there, each once and in their order.

    >>> insert(f"a {BEGIN} b {END} c", "new", "README").count("new")
    1
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in after:
        raise UserError(f"{name} has no place for the results; put in two lines: {BEGIN} and {END}")
    return (
        f"{before}{BEGIN}\n{between}\n{END}{after}" if between else f"{before}{BEGIN}\n{END}{after}"
    )


def figure_name(record: Mapping[str, Any]) -> str:
    """Name of the file of a machine's figure."""
    return f"benchmark_{record['machine']['slug']}.png"


if __name__ == "__main__":
    run_driver(fill_readme, DEFAULTS, __doc__)
