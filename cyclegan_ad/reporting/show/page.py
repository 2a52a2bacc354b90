"""The web page: one file that needs no network and no scripts."""

from __future__ import annotations

import datetime
from importlib import resources
from itertools import groupby

from cyclegan_ad import __version__
from cyclegan_ad.reporting.labels import METRIC_TITLES, dataset_title
from cyclegan_ad.reporting.show.notes import EMBEDDING_MARK, FLAG, SUBSTITUTE_MARK, UNLIKE
from cyclegan_ad.text import counted


def render_page(**contents: object) -> str:
    """Fill in the template; text from outside is escaped.

    Args:
        contents: All that the page shows, by the names it has in ``page.html``.
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
        },
        by_dataset=lambda rows: [
            (k, list(v)) for k, v in groupby(rows, key=lambda r: r["dataset"])
        ],
        by_run=lambda rows: [(k, list(v)) for k, v in groupby(rows, key=lambda r: r["run"])],
        counted=counted,
        dataset_title=dataset_title,
    )


def _resource(name: str) -> str:
    return (resources.files("cyclegan_ad.reporting.show") / name).read_text(encoding="utf-8")
