"""Results of a run as W&B shows them: test images, ROC curves, the detector, means over seeds."""

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from cyclegan_ad.display.drawing import CLASS_NAMES, to_display
from cyclegan_ad.display.thresholds import set_thresholds
from cyclegan_ad.scoring.names import TERM_TITLES
from cyclegan_ad.text import printable

if TYPE_CHECKING:
    from wandb.sdk.wandb_run import Run

_TABLE_ROWS = 200
_THUMBNAIL_PX = 128
_ROC_POINTS = 200
ROC_COLUMNS = ("false alarm rate", "detection rate", "threshold")


def image_table(
    metrics: Mapping[str, Any],
    score_rows: Sequence[Mapping[str, Any]],
    read_image: Callable[[str], Any],
    contributions: Sequence[Mapping[str, Any]] = (),
) -> Any:
    """Build the table of test images, see :func:`.loggers.log_final`."""
    import wandb

    scores = [score for score in metrics["scores"] if score in score_rows[0]]
    ordered = sorted(score_rows, key=lambda row: float(row[scores[0]]), reverse=True)
    if len(ordered) > _TABLE_ROWS:
        chosen = np.linspace(0, len(ordered) - 1, _TABLE_ROWS).round().astype(int)
        ordered = [ordered[i] for i in chosen]
    limits = {score: next(iter(set_thresholds(metrics, score).items())) for score in scores}
    decisions = [
        f"{score}: decision at {name}{' (optimistic)' if name == 'ZFN' else ''}"
        for score, (name, _) in limits.items()
    ]
    added = {row["path"]: row for row in contributions}
    terms = [
        (f"{score}:{term}", f"{score}: {TERM_TITLES[term]}")
        for score, fusion in metrics.get("fusions", {}).items()
        if score in scores
        for term in fusion["terms"]
    ]
    titles = [title for _, title in terms]
    table = wandb.Table(columns=["image", "path", "class", *scores, *decisions, *titles])
    for row in ordered:
        picture = Image.fromarray(to_display(read_image(row["path"])))
        picture.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
        decided = [CLASS_NAMES[int(row[score] >= value)] for score, (_, value) in limits.items()]
        table.add_data(
            wandb.Image(picture),
            printable(row["path"]),
            CLASS_NAMES[row["label"]],
            *(row[score] for score in scores),
            *decided,
            *(added[row["path"]][name] for name, _ in terms),
        )
    return table


def roc_charts(
    metrics: Mapping[str, Any], score_rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Draw the ROC curve of each score on the test images, as charts with a table behind them.

    Args:
        metrics: Content of ``metrics.json``.
        score_rows: Rows of ``scores.csv``.

    Returns:
        ``roc/<score>`` -> chart; none without images of both classes. Of long curves 200 points
        are kept, evenly spread.
    """
    import wandb
    from sklearn.metrics import roc_curve

    labels = [row["label"] for row in score_rows]
    if len(set(labels)) < 2:
        return {}
    charts = {}
    for column in metrics["scores"]:
        if column not in score_rows[0]:
            continue
        scores = np.array([row[column] for row in score_rows], np.float64)
        alarms, detections, thresholds = roc_curve(labels, scores)
        kept = np.unique(
            np.linspace(0, len(alarms) - 1, min(_ROC_POINTS, len(alarms))).round().astype(int)
        )
        table = wandb.Table(columns=list(ROC_COLUMNS))
        for k in kept:
            # At the first point nothing is called abnormal; its threshold is infinite.
            limit = float(thresholds[k]) if np.isfinite(thresholds[k]) else None
            table.add_data(float(alarms[k]), float(detections[k]), limit)
        title = f"ROC on the test images, {column}"
        charts[f"roc/{column}"] = wandb.plot.line(table, *ROC_COLUMNS[:2], title=title)
    return charts


def log_detector(run: "Run", folder: Path, metrics: Mapping[str, Any]) -> None:
    """Log the files of a detector as an artifact of type ``detector``.

    Its aliases are ``latest`` and the first digits of the SHA-256 of its weights; a detector that
    changed, as by ``evaluate`` with another score, becomes a new version of the same artifact.

    Args:
        run: An active run.
        folder: ``detector/`` of the run directory.
        metrics: Content of ``metrics.json``.
    """
    import wandb

    named = f"detector-{metrics['run']}-{metrics['dataset']}-seed{metrics['seed']}"
    fingerprint = metrics["fingerprints"]["detector"]
    about = {name: metrics[name] for name in ("run", "method", "dataset", "resolution", "seed")}
    artifact = wandb.Artifact(
        re.sub(r"[^\w.-]", "-", named, flags=re.ASCII)[:128],
        type="detector",
        description="python -m cyclegan_ad.predict detector=FOLDER images=FOLDER",
        metadata=about | {"scores": list(metrics["scores"]), "fingerprint": fingerprint},
    )
    artifact.add_dir(str(folder))
    run.log_artifact(artifact, aliases=["latest", f"weights-{fingerprint['weights'][:12]}"])


def means_over_seeds(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Compute mean and sample standard deviation of the metrics that all runs have.

    Args:
        runs: Flat metrics of two or more runs, as by :func:`.loggers.flatten_metrics`.

    >>> means_over_seeds([{"sse/auroc": 0.5}, {"sse/auroc": 1.0, "fid/auroc": 0.9}])
    {'mean/sse/auroc': 0.75, 'std/sse/auroc': 0.3535533905932738}
    """
    found: dict[str, float] = {}
    for name in runs[0]:
        values = [run[name] for run in runs if name in run]
        if len(values) == len(runs):
            found[f"mean/{name}"] = statistics.fmean(values)
            found[f"std/{name}"] = statistics.stdev(values)
    return found
