"""Critical images of a run: those that set thresholds, misses, and the nearest false alarms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cyclegan_ad.display.thresholds import deciding_threshold
from cyclegan_ad.metrics.thresholds import critical_images, zfn_accuracy_without
from cyclegan_ad.reporting.read.read_run import Run
from cyclegan_ad.runs.examples import CRITICAL_IMAGES
from cyclegan_ad.scoring.names import ScoreColumn


@dataclass(frozen=True, slots=True)
class Critical:
    """A test image that decides about the results of a run.

    Attributes:
        position: Row of ``scores.csv``.
        roles: What it does, such as ``sets the ZFN threshold``.
        without: ZFN accuracy without it, in [0, 1]; None for the only image of its class.
    """

    position: int
    roles: tuple[str, ...]
    without: float | None


def find_critical(run: Run, column: ScoreColumn) -> list[Critical]:
    """Find the images that decide, the abnormal ones first, by score, the hardest of each first.

    Args:
        run: A run with abnormal test images.
        column: One of its scores.
    """
    scores, abnormal = run.scores[column], run.labels == 1
    row = run.metrics["scores"][column.column]
    roles: dict[int, list[str]] = {}

    def give(positions: object, role: str) -> None:
        for position in np.asarray(positions, dtype=int).tolist():
            roles.setdefault(position, []).append(role)

    give(np.flatnonzero(abnormal & (scores == row["zfn_threshold"])), "sets the ZFN threshold")
    # A threshold between images of both classes is a score of one of them.
    give(np.flatnonzero(scores == row["max_accuracy_threshold"])[:1], "sets the ACC threshold")
    name, threshold = deciding_threshold(run.metrics, column.column) or (
        "ZFN",
        row["zfn_threshold"],
    )
    ascending = np.argsort(scores, kind="stable")
    missed = [i for i in ascending if abnormal[i] and scores[i] < threshold]
    give(missed[:CRITICAL_IMAGES], f"missed at the {name} threshold")
    alarms = [i for i in ascending if not abnormal[i] and scores[i] >= threshold]
    give(alarms[:CRITICAL_IMAGES], f"false alarm near the {name} threshold")
    for position in critical_images(scores, run.labels, CRITICAL_IMAGES):
        lowest = "among the lowest abnormal" if abnormal[position] else "among the highest normal"
        roles.setdefault(int(position), [lowest])
    ordered = sorted(
        roles, key=lambda i: (not abnormal[i], scores[i] if abnormal[i] else -scores[i])
    )
    return [Critical(i, tuple(roles[i]), _without(run, column, i)) for i in ordered]


def _without(run: Run, column: ScoreColumn, position: int) -> float | None:
    try:
        return zfn_accuracy_without(run.scores[column], run.labels, position)
    except ValueError:  # the only image of its class
        return None
