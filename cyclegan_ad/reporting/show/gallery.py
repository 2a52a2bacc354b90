"""What the page shows of single images: Figure 3, Figure 4, and the critical images of each run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cyclegan_ad.errors import UserError
from cyclegan_ad.metrics.critical import critical_images, zfn_accuracy_without
from cyclegan_ad.reporting.labels import (
    dataset_order,
    dataset_title,
    percent,
    score_order,
    signed,
    table2_row,
)
from cyclegan_ad.reporting.read.read_run import LeftOut, Run
from cyclegan_ad.reporting.show.data_uris import (
    check_examples,
    histogram_uri,
    image_uri,
    map_scale,
    map_uri,
)
from cyclegan_ad.runs.examples import (
    CRITICAL_IMAGES,
    FIGURE_IMAGES,
    SavedExamples,
    read_examples,
)
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.text import printable

_THUMBNAIL_PX = 96
_CLASSES = ("normal", "abnormal")


@dataclass(frozen=True, slots=True)
class Tile:
    """An example: its pictures are data URIs; no reconstruction where the method makes none."""

    path: str
    label: str
    image: str
    reconstruction: str | None
    difference: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The score distributions of a run, by score."""

    score: str
    uri: str
    alt: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One method on one dataset, as its run with the lowest seed shows it."""

    dataset: str
    method: str
    run: str
    seed: int
    tiles: tuple[Tile, ...]
    distributions: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Critical:
    """An image that the result of a run hangs on."""

    path: str
    label: str
    score: str
    without: str
    change: str
    image: str | None
    reconstruction: str | None


@dataclass(frozen=True, slots=True)
class CriticalRun:
    """The critical images of a run under one score."""

    dataset: str
    method: str
    run: str
    seed: int
    score: str
    threshold: str
    zfn_accuracy: str
    images: tuple[Critical, ...]


def look_at_runs(runs: Sequence[Run]) -> tuple[list[Shown], list[CriticalRun], list[LeftOut]]:
    """Prepare the pictures of all runs.

    Returns:
        Figures 3 and 4 for each dataset and method; the critical images of each run, under the
        scores of Table 2; and the runs without readable examples.
    """
    shown: dict[tuple[str, object], Shown] = {}
    critical: list[CriticalRun] = []
    left_out: list[LeftOut] = []
    ordered = sorted(runs, key=lambda run: (dataset_order(run.dataset), run.method.order, run.seed))
    for run in ordered:
        examples: SavedExamples | None = None
        try:
            examples = read_examples(run.path, run.metrics)
            check_examples(examples)
            if unknown := set(examples.paths) - set(run.image_paths):
                raise ValueError(f"examples.npz shows {min(unknown)}, which is no test image")
        except (UserError, ValueError) as error:
            examples = None
            reason = str(error).replace(f"{run.path}/", "")
            left_out.append(LeftOut(f"{run.shown}, pictures", printable(reason)))
        columns = [
            name
            for name in sorted(run.scores, key=score_order)
            if table2_row(name, run.method.name) is not None
        ]
        if (run.dataset, run.method) not in shown:
            shown[run.dataset, run.method] = Shown(
                dataset=dataset_title(run.dataset),
                method=run.method.title,
                run=run.shown,
                seed=run.seed,
                tiles=() if examples is None else _tiles(examples),
                distributions=tuple(_distribution(run, name) for name in columns),
            )
        critical += [_critical(run, name, examples) for name in columns]
    return list(shown.values()), critical, left_out


def _tiles(examples: SavedExamples) -> tuple[Tile, ...]:
    """Examples spread over the test set, the normal ones first; maps share one scale."""
    spread = np.flatnonzero(~examples.critical)
    chosen = [
        int(i) for label in (0, 1) for i in spread[examples.labels[spread] == label][:FIGURE_IMAGES]
    ]
    scale = map_scale(examples.maps[chosen])
    made = examples.reconstructions
    return tuple(
        Tile(
            path=printable(examples.paths[i]),
            label=_CLASSES[int(examples.labels[i])],
            image=image_uri(examples.images[i]),
            reconstruction=None if made is None else image_uri(made[i]),
            difference=map_uri(examples.maps[i], scale),
        )
        for i in chosen
    )


def _distribution(run: Run, column: ScoreColumn) -> Picture:
    row = run.metrics["scores"][column.column]
    thresholds = {"ZFN": row["zfn_threshold"], "ACC": row["max_accuracy_threshold"]}
    return Picture(
        score=column.title,
        uri=histogram_uri(run.scores[column], run.labels, thresholds, column.column),
        alt=f"Histograms of the {column.title} of normal and abnormal test images; "
        f"ZFN threshold {row['zfn_threshold']:.6g}, ACC {row['max_accuracy_threshold']:.6g}",
    )


def _critical(run: Run, column: ScoreColumn, examples: SavedExamples | None) -> CriticalRun:
    scores, row = run.scores[column], run.metrics["scores"][column.column]
    saved = {} if examples is None else {path: i for i, path in enumerate(examples.paths)}
    images = []
    for position in critical_images(scores, run.labels, CRITICAL_IMAGES):
        path = run.image_paths[position]
        try:
            without: float | None = zfn_accuracy_without(scores, run.labels, position)
        except ValueError:  # the only image of its class
            without = None
        i = saved.get(path)
        image = reconstruction = None
        if examples is not None and i is not None:
            image = image_uri(examples.images[i], _THUMBNAIL_PX)
            if examples.reconstructions is not None:
                reconstruction = image_uri(examples.reconstructions[i], _THUMBNAIL_PX)
        images.append(
            Critical(
                path=printable(path),
                label=_CLASSES[int(run.labels[position])],
                score=f"{scores[position]:.6g}",
                without=percent(without),
                change=signed(None if without is None else without - row["zfn_accuracy"]),
                image=image,
                reconstruction=reconstruction,
            )
        )
    return CriticalRun(
        dataset=dataset_title(run.dataset),
        method=run.method.title,
        run=run.shown,
        seed=run.seed,
        score=column.title,
        threshold=f"{row['zfn_threshold']:.6g}",
        zfn_accuracy=percent(row["zfn_accuracy"]),
        images=tuple(images),
    )
