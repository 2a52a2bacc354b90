"""The scores of a run on disk, and what follows from them: metrics, thresholds, histograms."""

from collections.abc import Iterable
from typing import Any

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation import Evaluation, Scored
from cyclegan_ad.figures import score_figure
from cyclegan_ad.files import write_rows
from cyclegan_ad.results import METRICS_FORMAT, read_metrics, read_scores
from cyclegan_ad.run_decisions import decide
from cyclegan_ad.run_directory import RunDirectory, run_name
from cyclegan_ad.run_files import describe_environment
from cyclegan_ad.thresholds import summarise

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
    calibration = () if found.calibration is None else found.calibration.indices
    if tested.keys() != _paths(data, found.test.indices) or kept.keys() != _paths(
        data, calibration
    ):
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
        "thresholds_set_on": "the test images (optimistic)",
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


def _paths(data: AnomalyDataModule, indices: Iterable[int]) -> set[str]:
    return {data.samples[i].path for i in indices}


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
    if not _follows(metrics, list(tested.values())):
        return {}, {}, {}
    return metrics["scores"], tested, kept


def _follows(metrics: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    """Whether the metrics are those of these scores: a kill may have come between the two files."""
    if len(rows) != metrics["test_normal"] + metrics["test_abnormal"]:
        return False
    labels = [row["label"] for row in rows]
    return all(
        column in rows[0] and summarise([row[column] for row in rows], labels) == figures
        for column, figures in metrics["scores"].items()
    )


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
