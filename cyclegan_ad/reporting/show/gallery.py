"""Single images on the page: Figure 3, Figure 4, and the critical images of each run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cyclegan_ad.display.curves import rates_figure, roc_figure
from cyclegan_ad.display.drawing import CLASS_NAMES, map_scale
from cyclegan_ad.display.histogram import score_figure
from cyclegan_ad.display.terminal import percent
from cyclegan_ad.display.thresholds import drawn_thresholds
from cyclegan_ad.errors import UserError
from cyclegan_ad.metrics.thresholds import critical_images, zfn_accuracy_without
from cyclegan_ad.reporting.compute.aggregate import few_of
from cyclegan_ad.reporting.labels import dataset_title, score_order, signed, table2_row
from cyclegan_ad.reporting.read.read_run import LeftOut, Run
from cyclegan_ad.reporting.show.data_uris import figure_uri, image_uri, map_uri
from cyclegan_ad.runs.examples import CRITICAL_IMAGES, FIGURE_IMAGES, SavedExamples, read_examples
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.text import printable

_THUMBNAIL_PX = 96

# Values for the template of the page, by their names there.
Shown = dict[str, Any]


def gather_pictures(runs: Sequence[Run]) -> tuple[list[Shown], list[Shown], list[LeftOut]]:
    """Prepare the pictures of all runs as data URIs.

    Returns:
        Figures 3 and 4 for each dataset and method, from its run with the lowest seed; the critical
        images of each run by the scores of Table 2; and the runs without readable examples.
    """
    shown: dict[tuple[str, object], Shown] = {}
    critical: list[Shown] = []
    left_out: list[LeftOut] = []
    for run in sorted(runs, key=lambda run: run.order):
        examples: SavedExamples | None = None
        try:
            examples = read_examples(run.path, run.metrics)
        except UserError as error:
            reason = str(error).replace(f"{run.path}/", "")
            left_out.append(LeftOut(f"{run.shown}, pictures", printable(reason)))
        columns = [
            name
            for name in sorted(run.scores, key=score_order)
            if table2_row(name, run.method.name) is not None
        ]
        if (run.dataset, run.method) not in shown:
            shown[run.dataset, run.method] = _named(run) | {
                "tiles": [] if examples is None else _tiles(examples),
                "distributions": [_distribution(run, name) for name in columns],
            }
        critical += [_critical(run, name, examples) for name in columns if run.tested]
    return list(shown.values()), critical, left_out


def _named(run: Run) -> Shown:
    return {
        "dataset": dataset_title(run.dataset),
        "method": run.method.title,
        "run": run.shown,
        "seed": run.seed,
    }


def _tiles(examples: SavedExamples) -> list[Shown]:
    """Show examples spread over the test set, normal ones first; maps share one scale."""
    spread = np.flatnonzero(~examples.critical)
    chosen = [
        int(i) for label in (0, 1) for i in spread[examples.labels[spread] == label][:FIGURE_IMAGES]
    ]
    scale = map_scale(examples.maps[chosen])
    made = examples.reconstructions
    return [
        {
            "path": printable(examples.paths[i]),
            "label": CLASS_NAMES[int(examples.labels[i])],
            "image": image_uri(examples.images[i]),
            "reconstruction": None if made is None else image_uri(made[i]),
            "difference": map_uri(examples.maps[i], scale),
        }
        for i in chosen
    ]


def _distribution(run: Run, column: ScoreColumn) -> Shown:
    """Show the histogram of a score, and its curves if there are abnormal images."""
    thresholds = drawn_thresholds(run.metrics, column.column)
    values = ", ".join(f"{name} {value:.6g}" for name, value in thresholds.items())
    images = "normal and abnormal test images" if run.tested else "normal images"
    given = run.scores[column], run.labels, thresholds, column.column
    curves = {"ROC curve": roc_figure, "Misses and false alarms over the threshold": rates_figure}
    return {
        "score": column.title,
        "uri": figure_uri(score_figure(*given)),
        "alt": f"Histograms of the {column.title} of {images}; thresholds {values}",
        "curves": [
            {
                "title": title,
                "uri": figure_uri(draw(*given)),
                "alt": f"{title} by {column.title}; thresholds {values}",
            }
            for title, draw in curves.items()
            if run.tested
        ],
    }


def _critical(run: Run, column: ScoreColumn, examples: SavedExamples | None) -> Shown:
    """Show the images that the ZFN accuracy of a run depends on under one score."""
    scores, row = run.scores[column], run.metrics["scores"][column.column]
    saved = {} if examples is None else {path: i for i, path in enumerate(examples.paths)}
    images = []
    for position in critical_images(scores, run.labels, CRITICAL_IMAGES):
        path = run.image_paths[position]
        try:
            without: float | None = zfn_accuracy_without(scores, run.labels, position)
        except ValueError:  # the only image of its class
            without = None
        image = reconstruction = None
        if examples is not None and (i := saved.get(path)) is not None:
            image = image_uri(examples.images[i], _THUMBNAIL_PX)
            if examples.reconstructions is not None:
                reconstruction = image_uri(examples.reconstructions[i], _THUMBNAIL_PX)
        images.append(
            {
                "path": printable(path),
                "label": CLASS_NAMES[int(run.labels[position])],
                "score": f"{scores[position]:.6g}",
                "without": percent(without),
                "change": signed(None if without is None else without - row["zfn_accuracy"]),
                "image": image,
                "reconstruction": reconstruction,
            }
        )
    return _named(run) | {
        "score": column.title,
        "threshold": f"{row['zfn_threshold']:.6g}",
        "zfn_accuracy": percent(row["zfn_accuracy"]),
        "few": few_of([run]),
        "images": images,
    }
