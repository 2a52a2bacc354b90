"""Single images on the page: examples, distributions, and the critical images of each run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cyclegan_ad.display.curves import rates_figure, roc_figure
from cyclegan_ad.display.drawing import CLASS_NAMES
from cyclegan_ad.display.histogram import score_figure
from cyclegan_ad.display.numbers import percent
from cyclegan_ad.display.overlay import overlay_scale
from cyclegan_ad.display.thresholds import deciding_threshold, drawn_thresholds
from cyclegan_ad.errors import UserError
from cyclegan_ad.reporting.compute.aggregate import few_of
from cyclegan_ad.reporting.compute.critical import Critical, find_critical
from cyclegan_ad.reporting.labels import dataset_title, score_order, signed, table2_row
from cyclegan_ad.reporting.read.read_run import LeftOut, Run
from cyclegan_ad.reporting.show.data_uris import figure_uri, image_uri, map_uri
from cyclegan_ad.runs.examples import FIGURE_IMAGES, SavedExamples, read_examples
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.text import printable

_THUMBNAIL_PX = 144

# Values for the template of the page, by their names there.
Shown = dict[str, Any]


def gather_pictures(runs: Sequence[Run]) -> tuple[list[Shown], list[Shown], list[LeftOut]]:
    """Prepare the pictures of all runs as data URIs.

    Returns:
        Examples and distributions for each dataset and method, from its run with the lowest seed;
        the critical images of each run, by its first score and those of Table 2; and the runs
        without readable examples.
    """
    shown: dict[tuple[str, object], Shown] = {}
    critical: list[Shown] = []
    lowest: set[str] = set()  # runs with the lowest seed
    left_out: list[LeftOut] = []
    for run in sorted(runs, key=lambda run: run.order):
        examples: SavedExamples | None = None
        try:
            examples = read_examples(run.path, run.metrics)
        except UserError as error:
            reason = str(error).replace(f"{run.path}/", "")
            left_out.append(LeftOut(f"{run.shown}, pictures", printable(reason)))
        pictures = None if examples is None else _Pictures(examples)
        first = run.first_score
        columns = [
            name
            for name in sorted(run.scores, key=score_order)
            if name == first or table2_row(name, run.method.name) is not None
        ]
        if (run.dataset, run.method) not in shown:
            shown[run.dataset, run.method] = _named(run) | {
                "tiles": [] if pictures is None else _tiles(run, first, pictures),
                "scale": None if pictures is None else pictures.scale_text,
                "score": first.title,
                "judged": _judged(run, first),
                "distributions": [_distribution(run, name) for name in columns],
            }
            lowest.add(run.shown)
        with_maps = run.shown in lowest
        critical += [_critical(run, name, pictures, with_maps) for name in columns if run.tested]
    return list(shown.values()), critical, left_out


class _Pictures:
    """Examples of a run as data URIs; all its maps share one scale.

    The scale begins where normal images lie, see `overlay_scale`.

    Args:
        examples: Saved examples.
    """

    def __init__(self, examples: SavedExamples) -> None:
        self.examples = examples
        self._places = {path: i for i, path in enumerate(examples.paths)}
        # As overlays: from the images that are not chosen by their scores.
        even = ~examples.critical if not examples.critical.all() else examples.critical
        self._scale = overlay_scale(examples.maps[even], examples.labels[even])
        self.scale_text = tuple(f"{value:.3g}" for value in self._scale)

    def of(self, path: str, with_maps: bool = True) -> Shown:
        """Return ``image``, ``reconstruction`` and ``map`` of a path, None where there is none."""
        place = self._places.get(path)
        if place is None:
            return _NOT_SAVED
        mask, made = self.examples.masks[place], self.examples.reconstructions
        found = _NOT_SAVED | {
            "image": image_uri(self.examples.images[place], _THUMBNAIL_PX, mask),
            "outlined": bool(mask.any()),
        }
        if with_maps:
            found["map"] = map_uri(self.examples.maps[place], self._scale, _THUMBNAIL_PX, mask)
            if made is not None:
                found["reconstruction"] = image_uri(made[place], _THUMBNAIL_PX)
        return found


_NOT_SAVED: Shown = {"image": None, "reconstruction": None, "map": None, "outlined": False}


def _named(run: Run) -> Shown:
    return {
        "dataset": dataset_title(run.dataset),
        "method": run.method.title,
        "run": run.shown,
        "seed": run.seed,
    }


def _judged(run: Run, column: ScoreColumn) -> str:
    """Name the threshold that the examples are judged at."""
    found = deciding_threshold(run.metrics, column.column)
    return "" if found is None else f"{found[0]} threshold {found[1]:.6g}"


def _tiles(run: Run, column: ScoreColumn, pictures: _Pictures) -> list[Shown]:
    """Show examples spread over the test set, normal ones first."""
    examples = pictures.examples
    spread = np.flatnonzero(~examples.critical)
    chosen = [
        int(i) for label in (0, 1) for i in spread[examples.labels[spread] == label][:FIGURE_IMAGES]
    ]
    scores = dict(zip(run.image_paths, run.scores[column].tolist(), strict=True))
    threshold = deciding_threshold(run.metrics, column.column)
    tiles = []
    for i in chosen:
        path, label = examples.paths[i], int(examples.labels[i])
        score = scores.get(path)
        held = None if score is None or threshold is None else score >= threshold[1]
        tiles.append(
            pictures.of(path)
            | {
                "path": printable(path),
                "label": CLASS_NAMES[label],
                "score": "" if score is None else f"{score:.6g}",
                "decision": "" if held is None else _DECISIONS[label][held],
            }
        )
    return tiles


# By label, and whether the score reaches the threshold.
_DECISIONS = (("passes", "false alarm"), ("missed", "found"))


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


def _critical(run: Run, column: ScoreColumn, pictures: _Pictures | None, with_maps: bool) -> Shown:
    """Show the images that the results of a run depend on under one score."""
    row = run.metrics["scores"][column.column]

    def image(one: Critical) -> Shown:
        path = run.image_paths[one.position]
        change = None if one.without is None else one.without - row["zfn_accuracy"]
        return (_NOT_SAVED if pictures is None else pictures.of(path, with_maps)) | {
            "path": printable(path),
            "label": CLASS_NAMES[int(run.labels[one.position])],
            "score": f"{run.scores[column][one.position]:.6g}",
            "roles": one.roles,
            "without": percent(one.without),
            "change": signed(change),
        }

    return _named(run) | {
        "score": column.title,
        "threshold": f"{row['zfn_threshold']:.6g}",
        "judged": _judged(run, column),
        "zfn_accuracy": percent(row["zfn_accuracy"]),
        "few": few_of([run]),
        "images": [image(one) for one in find_critical(run, column)],
    }
