"""Critical images of a run: those that set thresholds, misses, and the nearest false alarms."""

from __future__ import annotations

from dataclasses import dataclass

from cyclegan_ad.evaluation.critical_images import critical_roles
from cyclegan_ad.metrics.thresholds import zfn_accuracy_without
from cyclegan_ad.reporting.read.read_run import Run
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
    roles = critical_roles(run.metrics, column.column, run.scores[column], run.labels)
    return [Critical(i, tuple(what), _without(run, column, i)) for i, what in roles.items()]


def _without(run: Run, column: ScoreColumn, position: int) -> float | None:
    try:
        return zfn_accuracy_without(run.scores[column], run.labels, position)
    except ValueError:  # the only image of its class
        return None
