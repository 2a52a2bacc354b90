"""The scores of a run, those found now beside those on disk, and the metrics that follow."""

from typing import Any

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.detector.saved import differences_from_metrics
from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.decide import decide
from cyclegan_ad.evaluation.stored_results import (
    StoredResults,
    digest_of,
    digests_of_training,
    fingerprints,
    read_stored,
)
from cyclegan_ad.evaluation.test_set import Evaluation, Scored
from cyclegan_ad.runs.begin import describe_environment
from cyclegan_ad.runs.directory import RunDirectory, run_name
from cyclegan_ad.runs.results import METRICS_FORMAT, Results, Rows, SplitRow, read_metrics
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.settings import Score, Settings


def all_scored(run: RunDirectory, score: Score) -> bool:
    """Whether the scores asked for are on disk, and all that is told of the run follows from them.

    Args:
        run: The run.
        score: ``score.*``.
    """
    stored, wrong = _stored(run)
    if stored is None or wrong:
        return False
    metrics = stored.metrics
    localised_as_asked = metrics["localisation"] is None or (
        metrics["localisation_by"] == localisation_settings(score)
    )
    known = [ScoreColumn.parse(fields) for fields in metrics["columns"].values()]
    return localised_as_asked and set(score.columns) <= set(known)


def localisation_settings(score: Score) -> dict[str, str]:
    """How the maps behind pixel AUROC and AUPRO are computed, as ``metrics.json`` holds it."""
    return {"tta": score.tta, "precision": score.precision}


def doubts(run: RunDirectory) -> list[str]:
    """What the run's files tell that does not follow from its scores, a line each.

    Returns:
        E.g. ``metrics.json: calibrated, score sse: calibration.csv is gone``; none for a run that
        has not been scored.
    """
    return _stored(run)[1]


def _stored(run: RunDirectory) -> tuple[StoredResults | None, list[str]]:
    """The results on disk, and what is in doubt of them."""
    if not (run.metrics.is_file() and run.scores.is_file()):
        return None, []
    try:
        stored = read_stored(run, run.read_config())
    except UserError as error:
        return None, [str(error).replace(f"{run.path}/", "").partition("; ")[0]]
    wrong = [f"metrics.json: {what}: {why}" for what, why in stored.unsupported.items()]
    if run.detector.is_dir():
        wrong += differences_from_metrics(run.detector, read_metrics(run.path))
    return stored, wrong


def combine(
    run: RunDirectory, settings: Settings, data: AnomalyDataModule, found: Evaluation
) -> Results:
    """Put what was found now beside what earlier commands wrote, and compute what follows.

    Earlier scores of the same images stay, unless they are in doubt.

    Raises:
        UserError: If the protocol asked for cannot be applied to this run.
    """
    earlier = _earlier(run)
    calibration = [] if found.calibration is None else _rows(data, found.calibration)
    tested = _rows(data, found.test)
    if earlier is not None and not (
        _paths(earlier.rows) == _paths(tested) and _paths(earlier.kept) == _paths(calibration)
    ):
        earlier = None
    metrics: dict[str, Any] = {"scores": {}, "columns": {}}
    if earlier is not None:
        metrics = earlier.metrics
        tested, calibration = _beside(earlier.rows, tested), _beside(earlier.kept, calibration)
    split = [SplitRow(*row) for row in data.split_rows()]
    files = {run.scores.name: tested, run.calibration.name: calibration}
    environment = describe_environment()
    arithmetic = localisation_settings(settings.score)
    return Results(
        metrics={
            "format": METRICS_FORMAT,
            "method": settings.method.name,
            "dataset": data.dataset_name,
            "resolution": data.size_px,
            "seed": settings.seed,
            "run": run_name(settings),
            "epochs": settings.trainer.max_epochs,
            "training_seconds": round(run.read_training()["seconds"], 1),
            "test_normal": int((found.test.labels == 0).sum()),
            "test_abnormal": int((found.test.labels == 1).sum()),
            "thresholds_set_on": "the test images (optimistic)",
            "columns": metrics["columns"]
            | {column.column: column.as_dict() for column in found.columns},
            "scores": metrics["scores"] | found.summary,
            **decide(
                tested,
                calibration,
                split,
                settings.protocol,
                seed=settings.seed,
                where=str(run.path),
            ),
            "fingerprints": {
                **digests_of_training(run.read_config(), split),
                run.metrics.name: {"localisation": digest_of([found.localisation, arithmetic])},
                **{file: fingerprints(rows) for file, rows in files.items() if rows},
            },
            "localisation": found.localisation,
            "localisation_by": arithmetic,
            "evaluated_with": {
                name: environment[name] for name in ("cyclegan_ad", "commit", "packages")
            },
        },
        rows=tested,
        kept=calibration,
    )


def _rows(data: AnomalyDataModule, scored: Scored) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"path": data.samples[i].path, "label": int(label)}
        for i, label in zip(scored.indices, scored.labels, strict=True)
    ]
    for column, values in scored.scores.items():
        for row, value in zip(rows, values, strict=True):
            row[column] = float(value)
    return rows


def _paths(rows: Rows) -> set[str]:
    return {row["path"] for row in rows}


def _beside(earlier: Rows, rows: Rows) -> list[dict[str, Any]]:
    """The new columns of images beside the earlier ones, in the order of the new rows."""
    by_path = {row["path"]: row for row in earlier}
    return [by_path[row["path"]] | row for row in rows]


def _earlier(run: RunDirectory) -> Results | None:
    """What earlier commands wrote, but for what is in doubt."""
    stored, _ = _stored(run)
    if stored is None:
        return None
    columns = [name for name in stored.metrics["scores"] if name not in stored.doubted]
    kept_columns = ["path", "label", *columns]
    return Results(
        metrics={
            part: {name: stored.metrics[part][name] for name in columns}
            for part in ("scores", "columns")
        },
        rows=[{name: row[name] for name in kept_columns} for row in stored.rows],
        kept=[{name: row[name] for name in kept_columns} for row in stored.kept],
    )
