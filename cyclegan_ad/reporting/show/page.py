"""Render the web page: one file without scripts that loads nothing from the network."""

from __future__ import annotations

import datetime
import re
from importlib import resources
from itertools import groupby

from markupsafe import Markup, escape

from cyclegan_ad import __version__
from cyclegan_ad.reporting.labels import dataset_title
from cyclegan_ad.reporting.show.data_uris import scale_uri
from cyclegan_ad.reporting.show.notes import FEW_MARK
from cyclegan_ad.reporting.show.text_tables import TextTable, sections_of
from cyclegan_ad.text import counted

# A figure of a table: number, deviation, flags, mark in brackets.
_FIGURE = re.compile(r"([+-]?[\d.]+)( ± [\d.]+)?([†‡*]*)(?: \((\w)\))?")


def render_page(**contents: object) -> str:
    """Fill in the template; all text is escaped.

    Args:
        contents: Values of the names in ``page.html`` and the files it includes.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        column_labels=column_labels,
        counted=counted,
        dataset_title=dataset_title,
        figure=figure,
        group_starts=group_starts,
        grouped=lambda rows, key: [
            (name, list(members)) for name, members in groupby(rows, key=lambda row: row[key])
        ],
        marks={"few": FEW_MARK},
        sections_of=sections_of,
    )
    return environment.get_template("page.html").render(
        **contents,
        style=_resource("page.css"),
        version=__version__,
        now=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        scale_bar=scale_uri(),
    )


def figure(text: str) -> Markup:
    """Write a figure with its deviation and marks smaller; other text as it is.

    >>> figure("90.00 ± 1.20 (f)")
    Markup('90.00<span class="pm"> ± 1.20</span><sup>f</sup>')
    >>> figure("a < b")
    Markup('a &lt; b')
    """
    found = _FIGURE.fullmatch(text)
    if found is None:
        return escape(text)
    number, deviation, flags, mark = found.groups(default="")
    parts = Markup("{}").format(number)
    if deviation:
        parts += Markup('<span class="pm">{}</span>').format(deviation)
    for one in filter(None, (flags, mark)):
        parts += Markup("<sup>{}</sup>").format(one)
    return parts


def column_labels(table: TextTable) -> list[str]:
    """Name the columns of numbers on a card: the first of a group by the name of the group."""
    labels = list(table.header)
    column = 0
    for heading, width in table.groups:
        if heading:
            labels[column] = heading
        column += width
    return labels[table.text_columns :]


def group_starts(table: TextTable) -> set[int]:
    """Return the columns of numbers that a group begins with, counted from the first of them."""
    found, column = set(), 0
    for heading, width in table.groups:
        if heading or column:
            found.add(column - table.text_columns)
        column += width
    return found


def _resource(name: str) -> str:
    return (resources.files("cyclegan_ad.reporting.show") / name).read_text(encoding="utf-8")
