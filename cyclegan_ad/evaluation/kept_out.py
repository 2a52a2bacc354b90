"""AUROC of a run on images that were kept out of its training, which choices may be made by."""

from __future__ import annotations

import numpy as np

from cyclegan_ad.evaluation.score_rows import column_of, score_columns
from cyclegan_ad.metrics.thresholds import auroc
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import read_scores
from cyclegan_ad.text import counted, printable


def kept_out_aurocs(run: RunDirectory) -> tuple[dict[str, float], int]:
    """Compute the AUROC of each score on the tuning images of a run (``tuning.csv``).

    That of a fused score is by fits without the image.

    Returns:
        Score column -> AUROC in [0, 1], and the number of images; nothing if the run has no tuning
        images, or those of one class only.

    Raises:
        UserError: If the file is damaged.
    """
    if not run.tuning.is_file():
        return {}, 0
    rows = read_scores(run.path, run.tuning.name)
    labels = np.array([row["label"] for row in rows])
    if len(set(labels.tolist())) < 2:
        return {}, 0
    columns = score_columns(rows)
    return {name: float(auroc(column_of(rows, name), labels)) for name in columns}, len(rows)


def describe_kept_out(run: RunDirectory) -> str:
    """Describe a run in one line without figures of its test images."""
    found, images = kept_out_aurocs(run)
    place = printable(str(run.path))
    by = (
        f"AUROC on {counted(images, 'image')} kept out of training: "
        + ", ".join(f"{name} {100 * value:.2f} %" for name, value in found.items())
        if found
        else "scored"
    )
    return (
        f"{place}: {by}. Its test figures are not shown, as choices among such runs are made "
        f"without them ({run.metrics.name} holds them)"
    )
