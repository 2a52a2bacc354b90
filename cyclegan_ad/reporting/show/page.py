"""The web page: one file that needs no network and no scripts."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import groupby

from cyclegan_ad import __version__
from cyclegan_ad.reporting.compute.aggregate import Study
from cyclegan_ad.reporting.compute.honest_protocols import Honest
from cyclegan_ad.reporting.compute.provenance import Origin, Settings
from cyclegan_ad.reporting.labels import METRIC_TITLES, dataset_title
from cyclegan_ad.reporting.read.read_run import LeftOut
from cyclegan_ad.reporting.show.gallery import CriticalRun, Shown
from cyclegan_ad.reporting.show.notes import EMBEDDING_MARK, FLAG, SUBSTITUTE_MARK, UNLIKE
from cyclegan_ad.reporting.show.table2 import Wide
from cyclegan_ad.reporting.show.text_tables import Sheet


@dataclass(frozen=True, slots=True)
class Contents:
    """All that the page shows.

    Attributes:
        source: folder of the runs, fit to print.
        study: all cells.
        table2: the paper's table.
        table2_notes: below it.
        honest: rows of the honest protocols.
        sheets: by name, the tables that are shown as they are.
        extensions: table of the extension scores, or None.
        shown: Figures 3 and 4.
        critical: critical images of each run.
        settings: of the methods.
        origins: of the runs.
        left_out: what is in none of the tables.
        files: names of the files beside the page.
    """

    source: str
    study: Study
    table2: Wide
    table2_notes: Sequence[str]
    honest: Sequence[Honest]
    sheets: dict[str, Sheet]
    extensions: Wide | None
    shown: Sequence[Shown]
    critical: Sequence[CriticalRun]
    settings: Sequence[Settings]
    origins: Sequence[Origin]
    left_out: Sequence[LeftOut]
    files: Sequence[str]


def render_page(contents: Contents) -> str:
    """Fill in the template; text from outside is escaped."""
    from jinja2 import Environment, StrictUndefined

    template = _resource("page.html")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(template).render(
        contents=contents,
        style=_resource("page.css"),
        version=__version__,
        now=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        metrics=list(METRIC_TITLES.values()),
        marks={
            "flag": FLAG,
            "embedding": EMBEDDING_MARK,
            "substitute": SUBSTITUTE_MARK,
            "unlike": UNLIKE,
        },
        by_dataset=lambda rows: [(k, list(v)) for k, v in groupby(rows, key=lambda r: r.dataset)],
        by_run=lambda rows: [(k, list(v)) for k, v in groupby(rows, key=lambda r: r.run)],
        dataset_title=dataset_title,
    )


def _resource(name: str) -> str:
    return (resources.files("cyclegan_ad.reporting.show") / name).read_text(encoding="utf-8")
