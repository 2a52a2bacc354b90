"""The figures of a run, from its stored results: scores, curves, examples; without torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from cyclegan_ad.display.curves import rates_figure, roc_figure
from cyclegan_ad.display.drawing import save_figure
from cyclegan_ad.display.histogram import score_figure
from cyclegan_ad.display.overlay import overlay_scale
from cyclegan_ad.display.reconstruction_figure import Judged, reconstruction_figure
from cyclegan_ad.display.thresholds import deciding_threshold, drawn_thresholds
from cyclegan_ad.methods.names import METHODS
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.examples import read_examples
from cyclegan_ad.runs.results import Rows

EXAMPLES = "reconstruction.png"
HISTOGRAM, CURVES = {"scores": score_figure}, {"roc": roc_figure, "rates": rates_figure}


def figure_names(columns: Iterable[str], tested: bool) -> list[str]:
    """Return the names of the files that `draw_figures` writes.

    Args:
        columns: Score columns.
        tested: Whether the run has abnormal images; only then there are curves.
    """
    kinds = [*HISTOGRAM, *(CURVES if tested else ())]
    return [EXAMPLES, *(f"{kind}_{column}.png" for column in columns for kind in kinds)]


def draw_figures(
    run: RunDirectory, rows: Rows, metrics: Mapping[str, Any], columns: Iterable[str]
) -> None:
    """Draw histograms and curves of scores, and the examples of the run.

    Args:
        run: A run with ``examples.npz``.
        rows: Rows of ``scores.csv``.
        metrics: Content of ``metrics.json``, whose thresholds are drawn.
        columns: Score columns to draw.

    Raises:
        UserError: If the examples are missing, damaged or not those of the metrics.
    """
    labels = np.array([row["label"] for row in rows])
    kinds = HISTOGRAM | (CURVES if labels.any() else {})
    for column in columns:
        scores = np.array([row[column] for row in rows])
        thresholds = drawn_thresholds(metrics, column)
        for kind, draw in kinds.items():
            figure = draw(scores, labels, thresholds, column)
            save_figure(figure, run.figures / f"{kind}_{column}.png")
    draw_examples(run, rows, metrics)


def draw_examples(run: RunDirectory, rows: Rows, metrics: Mapping[str, Any]) -> None:
    """Draw the examples that are spread evenly over the test set, with the run's first score.

    Args:
        run: A run with ``examples.npz``.
        rows: Rows of ``scores.csv``.
        metrics: Content of ``metrics.json``.

    Raises:
        UserError: If the examples are missing, damaged or not those of the metrics.
    """
    saved = read_examples(run.path, metrics)
    even = np.flatnonzero(~saved.critical)
    column = next(iter(metrics["scores"]))
    deciding = deciding_threshold(metrics, column)
    scores = {row["path"]: row[column] for row in rows}
    captions = [saved.paths[i] for i in even]
    reconstruction_figure(
        saved.images[even],
        None if saved.reconstructions is None else saved.reconstructions[even],
        saved.maps[even],
        saved.labels[even],
        captions,
        run.figures / EXAMPLES,
        scale=overlay_scale(saved.maps[even], saved.labels[even]),
        map_shows=METHODS[metrics["method"]].map_shows,
        masks=saved.masks[even],
        judged=deciding and Judged(column, [scores[path] for path in captions], *deciding),
    )
