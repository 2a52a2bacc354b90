"""Write the recorded results of the benchmark into a page: table and figure of each machine.

  python -m experiments.benchmarks.readme

The section between two comments of the page is generated from the records, without quick ones.

Settings (change with name=value):
  page=docs/benchmark.md    page with the two comments
  figures=docs              folder that the figures are written to
"""

import os
import re
from pathlib import Path

from cyclegan_ad.errors import UserError
from cyclegan_ad.files import write_text
from experiments.benchmarks.record import EXPLANATION, draw, markdown_table, read_records
from experiments.driver import Settings, run_driver

DEFAULTS = {"page": "docs/benchmark.md", "figures": "docs"}
RESULTS = Path("experiments/results")

BEGIN = "<!-- benchmark: written by python -m experiments.benchmarks.readme -->\n"
END = "<!-- end of benchmark -->"


def fill_page(settings: Settings) -> list[UserError]:
    """Write the section and the figures.

    Raises:
        UserError: If the page does not have the two comments.
    """
    page, figures = Path(settings["page"]), Path(settings["figures"])
    text = page.read_text(encoding="utf-8")
    write_text(page, fill(text, os.path.relpath(figures, page.parent)))
    for record in read_records(RESULTS):
        draw(record, figures / f"benchmark_{record['machine']['slug']}.png")
    return []


def fill(text: str, figures: str) -> str:
    """Replace the section between the two comments of a page.

    Args:
        text: Content of the page, in Markdown.
        figures: Folder of the figures, relative to the page.

    Raises:
        UserError: If the comments do not occur exactly once.
    """
    parts = []
    for record in read_records(RESULTS):
        name, slug = record["machine"]["name"], record["machine"]["slug"]
        place = Path(figures, f"benchmark_{slug}.png").as_posix()
        parts += [markdown_table(record), f"![Cost of a training step on {name}]({place})\n"]
    section = "\n".join([*parts, f"*{EXPLANATION}*\n"])
    filled, count = re.subn(f"(?<={BEGIN}).*?(?={END})", lambda _: section, text, flags=re.DOTALL)
    if count != 1:
        raise UserError(f"the page has no section for the results; add {BEGIN.strip()} and {END}")
    return filled


if __name__ == "__main__":
    run_driver(fill_page, DEFAULTS, __doc__)
