"""The scores of a run on disk, and what follows from them: metrics, thresholds, histograms."""

import csv
from typing import Any

import numpy as np

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation import Evaluation, Scored
from cyclegan_ad.figures import score_figure
from cyclegan_ad.files import PATH_TEXT, write_rows
from cyclegan_ad.protocols import calibrated, crossfit
from cyclegan_ad.results import METRICS_FORMAT, read_metrics, read_scores
from cyclegan_ad.run_directory import RunDirectory, run_name
from cyclegan_ad.run_files import describe_environment

Rows = dict[str, dict[str, Any]]  # by path


def all_scored(run: RunDirectory, columns: list[str]) -> bool:
    """Whether every one of these scores has been computed and written."""
    return set(columns) <= _earlier(run)[0].keys()


def write_scores(
    run: RunDirectory, settings: dict[str, Any], data: AnomalyDataModule, found: Evaluation
) -> dict[str, Any]:
    """Write ``scores.csv``, ``calibration.csv`` and a histogram a score; earlier scores stay.

    Returns:
        What ``metrics.json`` is to hold. The caller writes it last: with it a run is complete.

    Raises:
        UserError: If the protocol asked for cannot be applied to this run.
    """
    summary, tested, kept = _earlier(run)
    if tested.keys() != {data.samples[i].path for i in found.test.indices}:
        summary, tested, kept = {}, {}, {}
    _write(run.scores, tested, data, found.test)
    if found.calibration is not None:
        _write(run.calibration, kept, data, found.calibration)
    environment = describe_environment()
    metrics = {
        "format": METRICS_FORMAT,
        "method": settings["method"]["name"],
        "dataset": data.dataset_name,
        "resolution": data.size_px,
        "seed": settings["seed"],
        "run": run_name(settings),
        "epochs": settings["trainer"]["max_epochs"],
        "training_seconds": round(run.read_training()["seconds"], 1),
        "test_normal": int((found.test.labels == 0).sum()),
        "test_abnormal": int((found.test.labels == 1).sum()),
        "scores": summary | found.summary,
        **decide(run, settings),
        "localisation": found.localisation,
        "evaluated_with": {
            name: environment[name] for name in ("cyclegan_ad", "commit", "packages")
        },
    }
    for column, values in found.test.scores.items():
        row = found.summary[column]
        score_figure(
            values,
            found.test.labels,
            {"ZFN": row["zfn_threshold"], "ACC": row["max_accuracy_threshold"]},
            column,
            run.figures / f"scores_{column}.png",
        )
    return metrics


def decide(run: RunDirectory, settings: dict[str, Any]) -> dict[str, Any]:
    """Set thresholds on other images than those they are judged on, from the scores on disk.

    Args:
        run: A run with ``scores.csv``, ``split.csv`` and maybe ``calibration.csv``.
        settings: Its settings, with the protocol asked for.

    Returns:
        ``protocol`` (the name asked for), ``protocol_settings`` and ``protocols``: the name of an
        honest protocol -> column -> what :func:`cyclegan_ad.protocols.crossfit` and
        :func:`cyclegan_ad.protocols.calibrated` say.

    Raises:
        UserError: If the protocol asked for cannot be applied to this run.
    """
    wanted = settings["protocol"]
    margin, confidence = wanted["margin"], wanted["confidence"]
    rows = read_scores(run.path)
    labels = np.array([row["label"] for row in rows])
    hashes = _hashes(run)
    groups = [hashes[row["path"]] for row in rows]
    columns = {name: _column(rows, name) for name in rows[0] if name not in ("path", "label")}
    decided: dict[str, dict[str, Any]] = {}
    try:
        decided["crossfit"] = {
            name: crossfit(
                scores,
                labels,
                groups,
                folds=wanted["folds"],
                seed=settings["seed"],
                margin=margin,
                confidence=confidence,
            )
            for name, scores in columns.items()
        }
    except ValueError as error:
        if wanted["name"] == "crossfit":
            raise UserError(
                f"protocol=crossfit cannot be applied to {run.path}: {error}; use protocol=paper"
            ) from error
    if run.calibration.is_file():
        kept = read_scores(run.path, run.calibration.name)
        decided["calibrated"] = {
            name: calibrated(
                _column(kept, name),
                scores,
                labels,
                margin=margin,
                confidence=confidence,
                calibration_groups=[hashes[row["path"]] for row in kept],
            )
            for name, scores in columns.items()
            if name in kept[0]
        }
    elif wanted["name"] == "calibrated":
        raise UserError(
            f"{run.calibration} is gone; score the run again: "
            f"python -m cyclegan_ad.evaluate run={run.path}"
        )
    return {
        "protocol": wanted["name"],
        "protocol_settings": protocol_settings(settings),
        "protocols": decided,
    }


def protocol_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """What the decisions depend on beside the scores."""
    return {name: settings["protocol"][name] for name in ("folds", "margin", "confidence")}


def _column(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows], dtype=np.float64)


def _hashes(run: RunDirectory) -> dict[str, str]:
    with run.split.open(newline="", **PATH_TEXT) as file:
        return {row["path"]: row["sha256"] for row in csv.DictReader(file)}


def _earlier(run: RunDirectory) -> tuple[dict[str, Any], Rows, Rows]:
    """Metrics of each score, rows of both score files; nothing if one of them is damaged."""
    if not (run.metrics.is_file() and run.scores.is_file()):
        return {}, {}, {}
    try:
        metrics = read_metrics(run.path)
        tested = {row["path"]: row for row in read_scores(run.path)}
        kept = {}
        if run.calibration.is_file():
            kept = {row["path"]: row for row in read_scores(run.path, run.calibration.name)}
    except UserError:
        return {}, {}, {}
    if len(tested) != metrics["test_normal"] + metrics["test_abnormal"]:
        return {}, {}, {}
    return metrics["scores"], tested, kept


def _write(path: Any, earlier: Rows, data: AnomalyDataModule, scored: Scored) -> None:
    rows: list[dict[str, Any]] = [
        {"path": data.samples[i].path, "label": int(label)}
        for i, label in zip(scored.indices, scored.labels, strict=True)
    ]
    rows = [earlier.get(row["path"], row) for row in rows]
    for column, values in scored.scores.items():
        for row, value in zip(rows, values, strict=True):
            row[column] = float(value)
    header = list(rows[0])
    write_rows(path, header, [[row[name] for name in header] for row in rows])
