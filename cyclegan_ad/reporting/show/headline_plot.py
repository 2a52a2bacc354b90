"""The plot of the headline: every seed and mean of every method, a panel a dataset.

The page draws it from places on an axis, not as a picture, so that it has the width and the
colours of the page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cyclegan_ad.display.numbers import percent
from cyclegan_ad.reporting.compute.final import Result
from cyclegan_ad.reporting.compute.headline import RANKED_BY, Headline, Standing
from cyclegan_ad.reporting.labels import dataset_title


def headline_plot(found: Headline | None) -> list[dict[str, Any]]:
    """Prepare the plot of the page: for each dataset the place of every mean, seed and the paper.

    Returns:
        Values for the template; places are percent of the width of the axis.
    """
    standings = () if found is None else found.standings
    return [_panel(standing) for standing in standings]


def _panel(standing: Standing) -> dict[str, Any]:
    paper = standing.paper
    values = [v for one in standing.results for v in one.statistics[RANKED_BY].values]
    low = 50 if min(values) >= 0.5 and (paper is None or paper.mean_percent >= 50) else 0

    def place(value: float) -> str:
        return f"{100 * (value - low) / (100 - low):.2f}"

    return {
        "dataset": dataset_title(standing.dataset),
        "paper": None if paper is None else place(paper.mean_percent),
        "paper_text": "" if paper is None else f"{paper.mean_percent:.1f}",
        "ticks": [(place(tick), tick) for tick in (low, (low + 100) // 2, 100)],
        "rows": [_strip(one, place, one in standing.best) for one in standing.results],
    }


def _strip(one: Result, place: Callable[[float], str], best: bool) -> dict[str, Any]:
    found = one.statistics[RANKED_BY]
    spread = "" if found.std is None else f" ± {percent(found.std, 1)}"
    return {
        "title": one.method.title,
        "score": "" if one.column is None else one.column.title,
        "best": best,
        "few": one.few is not None,
        "mean": place(100 * found.mean),
        "seeds": [place(100 * value) for value in found.values],
        "text": percent(found.mean, 1) + spread,
    }
