"""Loggers of a run: W&B or TensorBoard, each together with a CSV file."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from cyclegan_ad.errors import UserError
from cyclegan_ad.optional_packages import ensure_tensorboard
from cyclegan_ad.settings.train import LocalLogger
from cyclegan_ad.settings.train import WandbLogger as WandbLoggerSettings
from cyclegan_ad.text import printable
from cyclegan_ad.tracking.wandb_checks import RunLabels
from cyclegan_ad.tracking.wandb_results import image_table, log_detector, roc_charts
from cyclegan_ad.tracking.wandb_run import choose_mode, start_wandb_run, was_logged


def build_loggers(
    logger: WandbLoggerSettings | LocalLogger,
    run_dir: Path,
    *,
    config: Mapping[str, Any],
    labels: RunLabels,
) -> list[Logger]:
    """Open the loggers of a job. Close them with `finish_loggers`, also on an error.

    A resumed run continues the same W&B run and the same TensorBoard curves, and starts a new CSV
    file ``logs/version_<k>/metrics.csv``.

    All files are written to the run directory. The list is empty for ``logger=none``; all others
    write the CSV file. ``config`` holds all settings, as nested dictionaries.

    Raises:
        UserError: If a package or an account is missing.
    """
    kind = logger.kind
    if kind == "none":
        return []
    run_dir, shown = Path(run_dir), {name: printable_config(part) for name, part in config.items()}
    loggers: list[Logger] = [CSVLogger(save_dir=run_dir, name="logs")]
    if kind == "tensorboard":
        ensure_tensorboard()
        # No version folder, as TensorBoard joins the event files of a folder to one curve.
        board = TensorBoardLogger(save_dir=run_dir, name="tensorboard", version="")
        board.log_hyperparams(shown)
        loggers.append(board)
    if isinstance(logger, WandbLoggerSettings):
        chosen, reason = choose_mode(logger.mode)
        if chosen != "disabled":
            # Other ranks get a logger without a run, which Lightning does not log to.
            run = rank_zero_only(start_wandb_run)(
                run_dir,
                mode=chosen,
                reason=reason,
                project=logger.project,
                entity=logger.entity,
                **asdict(labels),
                config=shown,
            )
            loggers.append(WandbLogger(experiment=run, save_dir=run_dir, project=logger.project))
    return loggers


def printable_config(part: Any) -> Any:
    """Escape paths in the settings that are not valid UTF-8, which servers reject."""
    if isinstance(part, Mapping):
        return {name: printable_config(value) for name, value in part.items()}
    if isinstance(part, list):
        return [printable_config(value) for value in part]
    return printable(part) if isinstance(part, str) else part


@rank_zero_only
def log_images(loggers: Sequence[Logger], key: str, image: Path, step: int) -> None:
    """Log an image to W&B and TensorBoard."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            logger.log_metrics({key: wandb.Image(str(image))}, step)  # type: ignore[dict-item]
        elif isinstance(logger, TensorBoardLogger):
            with Image.open(image) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            logger.experiment.add_image(key, pixels, step, dataformats="HWC")


@rank_zero_only
def log_final(
    loggers: Sequence[Logger],
    metrics: Mapping[str, Any],
    score_rows: Sequence[Mapping[str, Any]],
    *,
    figures: Mapping[str, Path],
    read_image: Callable[[str], Any],
    contributions: Sequence[Mapping[str, Any]] = (),
    detector: Path | None = None,
    kept_out: Mapping[str, float] | None = None,
) -> None:
    """Log the results of a run: metrics, figures, and for W&B ROC curves and a table of images.

    W&B gets the metrics as the summary of the run (such as ``sse/auroc``), and a table with image,
    class, scores, decisions at the ZFN threshold (without abnormal images, at the quantile) and
    what each term adds to a fused score, highest score first. Of more than 200 images the table has
    200, evenly spread from the highest to the lowest score. TensorBoard gets metrics
    and figures. The CSV logger gets nothing, as the run has metrics.json and scores.csv.

    Args:
        loggers: As returned by `build_loggers`.
        metrics: Content of ``metrics.json``.
        score_rows: Rows of ``scores.csv``.
        figures: Name -> PNG file, e.g. ``{"scores_sse": path}``.
        read_image: Returns the image of a path in a row, (C, H, W) in [-1, 1].
        contributions: Rows of ``contributions.csv``; none without a fused score.
        detector: Folder of the detector, which W&B gets as an artifact; None: not.
        kept_out: For a run that a choice is made among: score column -> AUROC on images kept out of
            training. These are logged in place of all that follows from test images.
    """
    if kept_out is not None:
        metrics = dict(metrics) | {"scores": {}, "localisation": None, "protocols": {}}
        score_rows, figures = (), {}
    flat = flatten_metrics(metrics) | {
        f"{column}/tuning_auroc": value for column, value in (kept_out or {}).items()
    }
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            run = logger.experiment
            run.summary.update(flat)
            with _staged_beside(logger):
                pictures = {f"figures/{key}": wandb.Image(str(p)) for key, p in figures.items()}
                if score_rows:
                    table = image_table(metrics, score_rows, read_image, contributions)
                    charts = roc_charts(metrics, score_rows)
                    run.log({**pictures, **charts, "test_images": table})
                if detector is not None:
                    log_detector(run, detector, metrics)
        elif isinstance(logger, TensorBoardLogger):
            logger.log_metrics(flat, metrics["epochs"])
            for key, path in figures.items():
                log_images([logger], f"figures/{key}", path, metrics["epochs"])


@rank_zero_only
def log_decisions(
    loggers: Sequence[Logger], metrics: Mapping[str, Any], detector: Path | None = None
) -> None:
    """Log metrics to W&B after the thresholds were recomputed, as `log_final` does; not scores.

    Args:
        loggers: As returned by `resume_wandb`.
        metrics: Content of ``metrics.json``.
        detector: As for `log_final`.
    """
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.summary.update(flatten_metrics(metrics))
            if detector is not None:
                with _staged_beside(logger):
                    log_detector(logger.experiment, detector, metrics)


@contextmanager
def _staged_beside(logger: WandbLogger) -> Iterator[None]:
    """Stage the files of tables in the run directory, so that offline runs can be moved."""
    place = str((Path(logger.save_dir or ".") / "wandb").resolve())
    with patch.dict(os.environ, WANDB_DATA_DIR=place):
        yield


@contextmanager
def resume_wandb(
    logger: WandbLoggerSettings | LocalLogger,
    run_dir: Path,
    *,
    config: Mapping[str, Any],
    labels: RunLabels,
) -> Iterator[list[Logger]]:
    """Open the W&B run of a run directory again, for results that came later.

    A run that was logged offline stays offline. What was logged online goes on as far as the
    account and the server allow; otherwise it is offline, with the same id.

    Yields:
        The logger; none if the run was not logged with W&B, which the reason is printed of if W&B
        does not start.
    """
    found: list[Logger] = []
    if isinstance(logger, WandbLoggerSettings) and was_logged(run_dir):
        mode = "auto" if logger.mode == "online" else logger.mode
        again = logger.model_copy(update={"mode": mode})
        try:
            opened = build_loggers(again, run_dir, config=config, labels=labels)
        except UserError as error:
            print(f"W&B: the results are in {run_dir} only: {error}", flush=True)
        else:
            found = [one for one in opened if isinstance(one, WandbLogger)]
    exit_code = 1
    try:
        yield found
        exit_code = 0
    finally:
        finish_loggers(found, exit_code)


@rank_zero_only
def finish_loggers(loggers: Sequence[Logger], exit_code: int = 0) -> None:
    """Write pending data and close the W&B run, so that the next job starts a new one."""
    for logger in loggers:
        logger.finalize("success" if exit_code == 0 else "failed")
        if isinstance(logger, WandbLogger):
            logger.experiment.finish(exit_code=exit_code)


def flatten_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Flatten metrics to the names of the dashboard.

    These are ``<score>/<metric>``, ``localisation/<metric>`` and, for protocols whose thresholds
    are set on other images than the evaluated ones, ``<score>/<protocol>/<metric>``. Of fused
    scores also ``<score>/<term>/weight``, ``<score>/<term>/tuning_auroc`` (on the images that the
    weights are fitted to; of the whole score ``<score>/tuning_auroc``) and ``<score>/constant``.
    """
    groups = metrics["scores"] | {"localisation": metrics["localisation"] or {}}
    for protocol, columns in metrics["protocols"].items():
        groups |= {f"{column}/{protocol}": row for column, row in columns.items()}
    for column, fusion in metrics.get("fusions", {}).items():
        of_terms = dict(fusion["auroc"])
        own = {"tuning_auroc": of_terms.pop("fused"), "constant": fusion["intercept"]}
        groups[column] = groups.get(column, {}) | own
        for term, weight in zip(fusion["terms"], fusion["weights"], strict=True):
            groups[f"{column}/{term}"] = {"weight": weight, "tuning_auroc": of_terms[term]}
    return {
        f"{name}/{key}": value
        for name, row in groups.items()
        for key, value in row.items()
        if isinstance(value, int | float)
    }
