"""AUROC of a run on images that were kept out of its training, which choices may be made by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.fingerprints import is_changed
from cyclegan_ad.evaluation.score_rows import column_of, score_columns
from cyclegan_ad.metrics.thresholds import auroc
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import Rows, read_scores
from cyclegan_ad.text import counted, printable


@dataclass(frozen=True, slots=True)
class KeptOut:
    """The tuning images of a run.

    Attributes:
        rows: Rows of ``tuning.csv``.
        normal: Number of normal images.
        abnormal: Number of abnormal images.
        auroc: Score column -> AUROC in [0, 1]; of a fused score by fits without the fold of the
            image, see :func:`cyclegan_ad.scoring.fit_fusion.fit_fusion`.
    """

    rows: Rows
    normal: int
    abnormal: int
    auroc: dict[str, float]


def read_kept_out(run: RunDirectory, metrics: Mapping[str, Any]) -> KeptOut:
    """Read the tuning images of a run and the AUROC of each score on them.

    Args:
        run: The run.
        metrics: Content of its ``metrics.json``.

    Raises:
        UserError: If there are none, those of one class only, or the file is damaged or changed.
    """
    name = run.tuning.name
    if not run.tuning.is_file():
        raise UserError(
            f"{name} is missing: no images were kept out of the training for tuning; train with "
            "method.tuning_fraction > 0"
        )
    rows = read_scores(run.path, name)
    labels = np.array([row["label"] for row in rows])
    if len(set(labels.tolist())) < 2:
        raise UserError(f"{name} has images of one class only; raise method.tuning_fraction")
    columns = [column for column in score_columns(rows) if column in metrics["scores"]]
    if changed := [column for column in columns if is_changed(metrics, name, column, rows)]:
        raise UserError(
            f"{', '.join(changed)} was changed in {name} after it was computed; evaluate the run "
            "again"
        )
    fusions = metrics.get("fusions", {})  # a run without fused scores has none
    found = {
        column: float(
            fusions[column]["auroc"]["fused"]
            if column in fusions
            else auroc(column_of(rows, column), labels)
        )
        for column in columns
    }
    return KeptOut(rows, int((labels == 0).sum()), int((labels == 1).sum()), found)


def describe_kept_out(run: RunDirectory, metrics: Mapping[str, Any]) -> str:
    """Describe a run in one line without figures of its test images."""
    try:
        kept = read_kept_out(run, metrics)
    except UserError as error:
        by = f"scored; {error}"
    else:
        images = counted(kept.normal + kept.abnormal, "image")
        by = f"AUROC on {images} kept out of training: " + ", ".join(
            f"{name} {100 * value:.2f} %" for name, value in kept.auroc.items()
        )
    return (
        f"{printable(str(run.path))}: {by}. Its test figures are not shown, as choices among such "
        f"runs are made without them ({run.metrics.name} holds them)"
    )
