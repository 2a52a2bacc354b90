"""The scores of a run on disk, and what follows from them: metrics, thresholds, histograms."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.detector.saved import unlike_metrics
from cyclegan_ad.display.reconstruction_figure import score_figure
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
from cyclegan_ad.files import write_rows
from cyclegan_ad.runs.begin import describe_environment
from cyclegan_ad.runs.directory import RunDirectory, run_name
from cyclegan_ad.runs.results import METRICS_FORMAT, read_metrics, read_scores, read_split
from cyclegan_ad.scoring.names import score_columns

Rows = dict[str, dict[str, Any]]  # by path


def all_scored(run: RunDirectory, score: Mapping[str, Any]) -> bool:
    """Whether the scores asked for are on disk, and all that is told of the run follows from them.

    Args:
        run: The run.
        score: The settings ``score.*``.
    """
    stored, wrong = _stored(run)
    if stored is None or wrong:
        return False
    metrics = stored.metrics
    as_asked = metrics["localisation"] is None or metrics[
        "localisation_by"
    ] == localisation_settings(score)
    return as_asked and set(score_columns(score)) <= metrics["scores"].keys()


def localisation_settings(score: Mapping[str, Any]) -> dict[str, str]:
    """How the maps behind pixel AUROC and AUPRO are computed, of the settings ``score.*``."""
    return {name: score[name] for name in ("tta", "precision")}


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
        wrong += unlike_metrics(run.detector, read_metrics(run.path))
    return stored, wrong


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
    arithmetic = localisation_settings(settings["score"])
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
        "fingerprints": {
            **digests_of_training(run.read_config(), read_split(run.path)),
            run.metrics.name: {"localisation": digest_of([found.localisation, arithmetic])},
            **{
                file.name: fingerprints(read_scores(run.path, file.name))
                for file in (run.scores, run.calibration)
                if file.is_file()
            },
        },
        "localisation": found.localisation,
        "localisation_by": arithmetic,
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
    """Metrics of each score, rows of both score files; nothing of what is in doubt."""
    stored, _ = _stored(run)
    if stored is None:
        return {}, {}, {}
    columns = [name for name in stored.metrics["scores"] if name not in stored.doubted]
    return (
        {name: stored.metrics["scores"][name] for name in columns},
        _by_path(stored.rows, columns),
        _by_path(stored.kept, columns),
    )


def _by_path(rows: Sequence[dict[str, Any]], columns: list[str]) -> Rows:
    names = ["path", "label", *columns]
    return {row["path"]: {name: row[name] for name in names} for row in rows}


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
