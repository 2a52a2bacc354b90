"""The images that a score's thresholds depend on, missed ones, and the nearest false alarms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cyclegan_ad.display.thresholds import SEVERAL, deciding_threshold
from cyclegan_ad.metrics.thresholds import critical_images
from cyclegan_ad.runs.examples import CRITICAL_IMAGES


def critical_roles(
    metrics: Mapping[str, Any], column: str, scores: ArrayLike, labels: ArrayLike
) -> dict[int, list[str]]:
    """Find the images that decide by a score. Their pictures are kept, and the report shows them.

    Args:
        metrics: Content of ``metrics.json``.
        column: Score column.
        scores: (N,) scores of the images that the thresholds were set on.
        labels: (N,) 0 normal, 1 abnormal.

    Returns:
        Position -> what the image does, such as ``sets the ZFN threshold``; the abnormal images
        first, the hardest of each class first. Without abnormal images, the normal ones with the
        highest scores.
    """
    values, abnormal = np.asarray(scores, dtype=np.float64), np.asarray(labels) == 1
    row = metrics["scores"][column]
    roles: dict[int, list[str]] = {}

    def give(positions: ArrayLike, role: str) -> None:
        for position in np.asarray(positions, dtype=int).tolist():
            roles.setdefault(position, []).append(role)

    if abnormal.any():
        give(np.flatnonzero(abnormal & (values == row["zfn_threshold"])), "sets the ZFN threshold")
        # A threshold between images of both classes is a score of one of them.
        acc = np.flatnonzero(values == row["max_accuracy_threshold"])
        give(acc[:1], "sets the ACC threshold")
        name, threshold = deciding_threshold(metrics, column) or ("ZFN", row["zfn_threshold"])
        if name in SEVERAL:  # of which the detector has the lowest
            name = f"lowest {name}"
        ascending = np.argsort(values, kind="stable")
        missed = ascending[abnormal[ascending] & (values[ascending] < threshold)]
        give(missed[:CRITICAL_IMAGES], f"missed at the {name} threshold")
        alarms = ascending[~abnormal[ascending] & (values[ascending] >= threshold)]
        give(alarms[:CRITICAL_IMAGES], f"false alarm near the {name} threshold")
    for position in critical_images(values, labels, CRITICAL_IMAGES):
        lowest = "among the lowest abnormal" if abnormal[position] else "among the highest normal"
        roles.setdefault(position, [lowest])
    hardness = np.where(abnormal, values, -values)
    return {i: roles[i] for i in sorted(roles, key=lambda i: (not abnormal[i], hardness[i]))}
