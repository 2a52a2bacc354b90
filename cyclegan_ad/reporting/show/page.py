"""Render the web page: one file without scripts that loads nothing from the network."""

from __future__ import annotations

import datetime
from importlib import resources
from itertools import groupby

from cyclegan_ad import __version__
from cyclegan_ad.reporting.labels import METRIC_TITLES, dataset_title
from cyclegan_ad.reporting.show.notes import (
    EMBEDDING_MARK,
    FEW_MARK,
    FLAG,
    SUBSTITUTE_MARK,
    UNLIKE,
)
from cyclegan_ad.reporting.show.text_tables import Text, TextTable
from cyclegan_ad.text import counted


def render_page(**contents: object) -> str:
    """Fill in the template; all text is escaped.

    Args:
        contents: Values of the names in ``page.html``.
    """
    from jinja2 import Environment, StrictUndefined

    template = _resource("page.html")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(template).render(
        **contents,
        style=_resource("page.css"),
        version=__version__,
        now=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        metrics=list(METRIC_TITLES.values()),
        marks={
            "flag": FLAG,
            "embedding": EMBEDDING_MARK,
            "substitute": SUBSTITUTE_MARK,
            "unlike": UNLIKE,
            "few": FEW_MARK,
        },
        grouped=lambda rows, key: [
            (name, list(members)) for name, members in groupby(rows, key=lambda row: row[key])
        ],
        counted=counted,
        dataset_title=dataset_title,
        sections=sections,
    )


def sections(table: TextTable, heads: int) -> list[tuple[str, list[tuple[Text, ...]]]]:
    """Divide the rows of a table by their first cells, which become headings.

    Args:
        table: Rows of one heading follow each other.
        heads: Number of these cells.

    Returns:
        Heading, and its rows without these cells.
    """

    def heading(row: tuple[Text, ...]) -> str:
        return ", ".join(cell.text for cell in row[:heads])

    return [(name, [row[heads:] for row in rows]) for name, rows in groupby(table.rows, heading)]


def _resource(name: str) -> str:
    return (resources.files("cyclegan_ad.reporting.show") / name).read_text(encoding="utf-8")
