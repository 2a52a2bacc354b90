"""What decided: weights of the terms of fused scores, and what they add to test images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.metrics.thresholds import critical_images
from cyclegan_ad.reporting.compute.aggregate import Statistic
from cyclegan_ad.reporting.labels import Method, cell_order, score_order
from cyclegan_ad.reporting.read.read_run import Run
from cyclegan_ad.runs.examples import CRITICAL_IMAGES
from cyclegan_ad.runs.results import read_scores
from cyclegan_ad.scoring.names import ScoreColumn

CONSTANT = "constant"
TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Term:
    """A term of a fused score, its constant, or their total, over seeds.

    Attributes:
        name: Name of the term, `CONSTANT` or `TOTAL`.
        weight: Its weight, or the constant; None for the total.
        auroc: AUROC in [0, 1] on the tuning images, of the total by a fit without the image; None
            for the constant.
        normal: Mean of what it adds to the score of the normal test images of a run; of the total,
            their mean score.
        abnormal: The same of the abnormal ones.
    """

    name: str
    weight: Statistic | None
    auroc: Statistic | None
    normal: Statistic
    abnormal: Statistic


@dataclass(frozen=True, slots=True)
class Decided:
    """One method with one fused score on one dataset.

    Attributes:
        dataset: Name of the dataset.
        method: Column of Table 2.
        column: A fused score.
        seeds: Seeds of the runs, ascending.
        tuned_normal: Fewest normal tuning images of a run.
        tuned_abnormal: Fewest abnormal tuning images of a run.
        terms: Its terms, then the constant and the total.
    """

    dataset: str
    method: Method
    column: ScoreColumn
    seeds: tuple[int, ...]
    tuned_normal: int
    tuned_abnormal: int
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Explained:
    """A critical test image of a run, and what decided about it.

    Attributes:
        path: Path of the image.
        label: 0 normal, 1 abnormal.
        score: Its fused score.
        added: Term, or `CONSTANT` -> what it adds; the sum is the score.
    """

    path: str
    label: int
    score: float
    added: dict[str, float]


def gather_decided(runs: Sequence[Run]) -> list[Decided]:
    """Average weights and contributions over seeds, in the order of the tables.

    Args:
        runs: Runs of `choose_consistent`; those without abnormal images, or without a fused score,
            are left out.
    """
    cells: dict[tuple[str, Method, ScoreColumn], list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.seed):
        for column in fused_columns(run):
            cells[run.dataset, run.method, column].append(run)
    return [_decided(*key, cells[key]) for key in sorted(cells, key=cell_order)]


def fused_columns(run: Run) -> list[ScoreColumn]:
    """Return the fused scores of a run, if it has abnormal test images."""
    found = [
        one for one in run.scores if run.tested and one.column in run.metrics.get("fusions", {})
    ]
    return sorted(found, key=score_order)


def explain_critical(run: Run, column: ScoreColumn) -> list[Explained]:
    """Explain the abnormal images with the lowest scores and the normal ones with the highest."""
    added = _added(run, column)
    scores = run.scores[column]
    return [
        Explained(
            path=run.image_paths[i],
            label=int(run.labels[i]),
            score=float(scores[i]),
            added={name: float(values[i]) for name, values in added.items()},
        )
        for i in critical_images(scores, run.labels, CRITICAL_IMAGES)
    ]


def _decided(dataset: str, method: Method, column: ScoreColumn, runs: list[Run]) -> Decided:
    fusions: list[Mapping[str, Any]] = [run.metrics["fusions"][column.column] for run in runs]
    added = [_added(run, column) | {TOTAL: run.scores[column]} for run in runs]
    return Decided(
        dataset=dataset,
        method=method,
        column=column,
        seeds=tuple(run.seed for run in runs),
        tuned_normal=min(int(fusion["normal"]) for fusion in fusions),
        tuned_abnormal=min(int(fusion["abnormal"]) for fusion in fusions),
        terms=tuple(
            Term(
                name,
                _over([_weights(fusion).get(name) for fusion in fusions]),
                _over([_aurocs(fusion).get(name) for fusion in fusions]),
                *(
                    Statistic(
                        tuple(
                            float(values[name][run.labels == label].mean())
                            for run, values in zip(runs, added, strict=True)
                        )
                    )
                    for label in (0, 1)
                ),
            )
            for name in added[0]
        ),
    )


def _over(values: Sequence[float | None]) -> Statistic | None:
    known = tuple(float(value) for value in values if value is not None)
    return Statistic(known) if known else None


def _weights(fusion: Mapping[str, Any]) -> dict[str, float]:
    weights = dict(zip(fusion["terms"], fusion["weights"], strict=True))
    return weights | {CONSTANT: fusion["intercept"]}


def _aurocs(fusion: Mapping[str, Any]) -> dict[str, float]:
    found = dict(fusion["auroc"])
    return found | {TOTAL: found.pop("fused")}


def _added(run: Run, column: ScoreColumn) -> dict[str, NDArray[np.float64]]:
    """Read what each term adds to the score of each test image, and the constant: (N,) each."""
    fusion = run.metrics["fusions"][column.column]
    rows = {row["path"]: row for row in read_scores(run.path, "contributions.csv")}
    found = {
        term: np.array([rows[path][f"{column.column}:{term}"] for path in run.image_paths])
        for term in fusion["terms"]
    }
    return found | {CONSTANT: np.full(len(run.image_paths), float(fusion["intercept"]))}
