"""Merging of new scores of a run with those on disk, and the metrics computed from them."""

from collections.abc import Mapping
from typing import Any

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.detector.saved import differences_from_run
from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.apply_protocols import apply_protocols
from cyclegan_ad.evaluation.fingerprints import fingerprints, hash_training_inputs, hash_value
from cyclegan_ad.evaluation.score_images import Scored
from cyclegan_ad.evaluation.score_rows import count_independent
from cyclegan_ad.evaluation.stored_results import StoredResults, read_stored
from cyclegan_ad.evaluation.test_set import Evaluation
from cyclegan_ad.runs.begin import describe_environment
from cyclegan_ad.runs.directory import RunDirectory, run_name
from cyclegan_ad.runs.results import (
    METRICS_FORMAT,
    NOT_SCORES,
    Results,
    Rows,
    SplitRow,
    read_metrics,
)
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.settings.train import Score, Settings


def all_scored(run: RunDirectory, score: Score) -> bool:
    """Return whether the requested scores are on disk and all stored metrics follow from them."""
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
    """Return the settings of the maps of pixel AUROC and AUPRO, as stored in ``metrics.json``."""
    return {"tta": score.tta, "precision": score.precision}


def find_unsupported(run: RunDirectory) -> list[str]:
    """Find results in the run's files that do not follow from its scores.

    Returns:
        One line each, e.g. ``metrics.json: calibrated, score sse: calibration.csv is missing``;
        none for a run that has not been scored.
    """
    return _stored(run)[1]


def _stored(run: RunDirectory) -> tuple[StoredResults | None, list[str]]:
    """Read the results on disk, and find those that are not supported."""
    if not (run.metrics.is_file() and run.scores.is_file()):
        return None, []
    try:
        stored = read_stored(run, run.read_config())
    except UserError as error:
        return None, [str(error).replace(f"{run.path}/", "").partition("; ")[0]]
    wrong = [f"metrics.json: {what}: {why}" for what, why in stored.unsupported.items()]
    if run.detector.is_dir():
        # A file that cannot be read is as one that is missing, and scored again.
        results = Results(read_metrics(run.path), stored.rows, stored.kept, stored.crossval)
        wrong += differences_from_run(run.detector, results)
    return stored, wrong


def combine(
    run: RunDirectory, settings: Settings, data: AnomalyDataModule, found: Evaluation
) -> Results:
    """Merge new scores with those of earlier commands, and compute the metrics.

    Earlier scores of the same images are kept unless the files do not support them.

    Args:
        run: The run.
        settings: Its settings, with the requested scores and protocol.
        data: Its data module after ``setup``.
        found: The new scores.

    Returns:
        Metrics, and the rows of all files of scores.

    Raises:
        UserError: If the protocol cannot be applied to this run.
    """
    earlier = _earlier(run)
    calibration = [] if found.calibration is None else _rows(data, found.calibration)
    tested = _rows(data, found.test)
    tuned = [] if found.tuning is None else _rows(data, found.tuning)
    contributions = [] if found.contributions is None else _rows(data, found.contributions)
    crossval = [
        {"fold": fold} | row
        for fold, scored in sorted(found.crossval.items())
        for row in _rows(data, scored)
    ]
    if earlier is not None and not (
        _images(earlier.rows) == _images(tested) and _images(earlier.kept) == _images(calibration)
    ):
        earlier = None
    metrics: dict[str, Any] = {"scores": {}, "columns": {}, "fusions": {}}
    if earlier is not None:
        metrics = earlier.metrics
        tested = _merge_columns(earlier.rows, tested)
        calibration = _merge_columns(earlier.kept, calibration)
        if _images(earlier.tuned) == _images(tuned):
            tuned = _merge_columns(earlier.tuned, tuned)
        contributions = _merge_columns(earlier.contributions, contributions)
        if not crossval:
            crossval = list(earlier.crossval)
        elif _images(earlier.crossval) == _images(crossval):
            crossval = _merge_columns(earlier.crossval, crossval)
    fusions = metrics["fusions"] | {name: one.as_dict() for name, one in found.fusions.items()}
    split = [SplitRow(*row) for row in data.split_rows()]
    files = {
        run.scores.name: tested,
        run.calibration.name: calibration,
        run.crossval.name: crossval,
        run.tuning.name: tuned,
        run.contributions.name: contributions,
    }
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
            "independent": count_independent(tested, split),
            "thresholds_set_on": "normal images kept out of training"
            if data.normal_only
            else "the test images (optimistic)",
            "columns": metrics["columns"]
            | {column.column: column.as_dict() for column in found.columns},
            "scores": metrics["scores"] | found.summary,
            **({"fusions": fusions} if fusions else {}),
            **apply_protocols(
                tested,
                calibration,
                split,
                settings.protocol,
                seed=settings.seed,
                where=str(run.path),
                crossval=crossval,
            ),
            "fingerprints": {
                **hash_training_inputs(run.read_config(), split),
                run.metrics.name: {
                    "localisation": hash_value([found.localisation, arithmetic]),
                    **({"fusions": hash_value(fusions)} if fusions else {}),
                },
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
        crossval=crossval,
        tuned=tuned,
        contributions=contributions,
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


def _image(row: Mapping[str, Any]) -> tuple[int | None, str]:
    return row.get("fold"), row["path"]


def _images(rows: Rows) -> set[tuple[int | None, str]]:
    return {_image(row) for row in rows}


def _merge_columns(earlier: Rows, rows: Rows) -> list[dict[str, Any]]:
    """Merge the columns of the same images, in the order of the new rows; one may be empty."""
    by_image = {_image(row): dict(row) for row in earlier}
    if not rows or not earlier:
        return [dict(row) for row in rows or earlier]
    return [by_image[_image(row)] | row for row in rows]


def _earlier(run: RunDirectory) -> Results | None:
    """Return the results of earlier commands, without those that are not supported."""
    stored, _ = _stored(run)
    if stored is None:
        return None
    columns = [name for name in stored.metrics["scores"] if name not in stored.doubted]

    def without_others(rows: Rows) -> list[dict[str, Any]]:
        kept = (*NOT_SCORES, *columns)  # of a fused score, also <column>:<term>
        return [
            {name: value for name, value in row.items() if name.partition(":")[0] in kept}
            for row in rows
        ]

    fusions = stored.metrics.get("fusions", {})
    fused = [name for name in fusions if name in columns]
    return Results(
        metrics={
            part: {name: stored.metrics[part][name] for name in columns}
            for part in ("scores", "columns")
        }
        | {"fusions": {name: fusions[name] for name in fused}},
        rows=without_others(stored.rows),
        kept=without_others(stored.kept),
        crossval=without_others(stored.crossval),
        tuned=without_others(stored.tuned),
        contributions=without_others(stored.contributions) if fused else (),
    )
