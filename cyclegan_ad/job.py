"""One job from settings to results: data, training, evaluation, files, figures, log.

run_job:       reject, resume or reuse -> read the data -> train_run -> evaluate_run
train_run:     build the method, fit it               (in one or several processes)
evaluate_run:  load the weights, score the test set, write the results     (likewise)
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.loggers import Logger

from cyclegan_ad.build import ensure_method
from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.data.notes import collect_notes
from cyclegan_ad.device import choose_device, describe_device
from cyclegan_ad.display.terminal import decoding_progress
from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.apply_protocols import check_protocol, protocol_settings
from cyclegan_ad.evaluation.complete import is_complete
from cyclegan_ad.evaluation.evaluate_run import (
    decide_again,
    evaluate_run,
    prepare_data,
    print_outcome,
    print_results,
)
from cyclegan_ad.evaluation.kept_out import read_kept_out
from cyclegan_ad.processes.launch import run_in_processes
from cyclegan_ad.runs.begin import check_images, check_split, write_start
from cyclegan_ad.runs.directory import RunDirectory, State, judged_by_kept_out
from cyclegan_ad.runs.results import Results, read_metrics, read_results
from cyclegan_ad.settings.train import Settings, WandbLogger
from cyclegan_ad.text import counted, printable
from cyclegan_ad.tracking.loggers import log_decisions, log_final, resume_wandb
from cyclegan_ad.tracking.wandb_checks import check_run, check_variables, labels_of_run
from cyclegan_ad.training.resolve_auto import resolve_auto
from cyclegan_ad.training.train_run import open_loggers, train_run


def run_job(settings: Settings) -> dict[str, Any]:
    """Train and evaluate as far as needed, print the table, return what ``metrics.json`` holds.

    Raises:
        UserError: If the data, the weights, the device or the run directory are not usable.
    """
    run = RunDirectory.of(settings)
    exists = run.config.is_file() and not settings.overwrite
    settings = resolve_auto(settings, run.read_config() if exists else None)
    state = run.claim(settings)
    if state == "trained" and is_complete(run, settings):
        return _reuse_results(run, settings, run.locked())
    if state != "trained":
        ensure_method(settings)
    if isinstance(settings.logger, WandbLogger) and settings.logger.mode != "disabled":
        check_run(settings)
        check_variables()
    data = prepare_data(settings)
    check_protocol(settings.protocol, data, refits=settings.entry.refits)
    with run.locked():
        # Checked again: another process may have held the lock until now.
        state = run.claim(settings)
        if state == "trained" and is_complete(run, settings):
            return _reuse_results(run, settings, nullcontext())
        results = _train_and_evaluate(run, settings, data, state)
    print_outcome(run, results.metrics)
    return results.metrics


def _reuse_results(
    run: RunDirectory, settings: Settings, lock: AbstractContextManager[None]
) -> dict[str, Any]:
    """Print the results of a complete run; the lock is taken only to recompute thresholds.

    Raises:
        UserError: If the images are not those of the run.
    """
    with decoding_progress(f"checking {settings.dataset.name}") as report:
        check_images(run, settings, report)
    metrics = read_metrics(run.path)
    asked = settings.protocol.name, protocol_settings(settings.protocol)
    if asked != (metrics["protocol"], metrics["protocol_settings"]):
        with lock:
            metrics = decide_again(run, settings)
            if not judged_by_kept_out(metrics["run"]):
                with _wandb_again(run, settings) as loggers:
                    log_decisions(loggers, metrics, _detector_to_log(run, settings))
        print(f"{run.path} is already scored; thresholds recomputed with protocol={asked[0]}")
    else:
        print(f"{run.path} is already complete; to train it again use overwrite=true")
    print_results(run, metrics)
    return metrics


def _train_and_evaluate(
    run: RunDirectory, settings: Settings, data: AnomalyDataModule, state: State
) -> Results:
    processes = settings.trainer.processes
    if state != "new":
        try:
            check_split(run, data)
        except UserError:
            if not run.only_started():
                raise
            state = "new"  # nothing was trained yet, so start again
    if state == "new":
        write_start(run, settings, data)
    _announce(run, settings, data, state)
    if state != "trained" and processes > 1:
        run_in_processes("train", run, settings, processes)
    with open_loggers(settings, run) as loggers:
        if state != "trained" and processes == 1:
            train_run(settings, data, loggers)
        results = _evaluate(run, settings, data)
        _log_results(loggers, run, settings, results, data)
    return results


def _log_results(
    loggers: Sequence[Logger],
    run: RunDirectory,
    settings: Settings,
    results: Results,
    data: AnomalyDataModule,
) -> None:
    log_final(
        loggers,
        results.metrics,
        results.rows,
        figures={
            path.stem: path
            for path in sorted(run.figures.glob("*.png"))
            if not path.stem.startswith("epoch_")  # logged during training
        },
        read_image=data.test_image_of_path,
        contributions=results.contributions,
        detector=_detector_to_log(run, settings),
        kept_out=_kept_out(run, results.metrics),
    )


def _kept_out(run: RunDirectory, metrics: dict[str, Any]) -> dict[str, float] | None:
    """Return what a run of a choice is judged by; None for any other run."""
    if not judged_by_kept_out(metrics["run"]):
        return None
    try:
        return read_kept_out(run, metrics).auroc
    except UserError:  # of a probe, which is judged by its training images
        return {}


def _wandb_again(run: RunDirectory, settings: Settings) -> AbstractContextManager[Sequence[Logger]]:
    return resume_wandb(
        settings.logger, run.path, config=settings.as_dict(), labels=labels_of_run(settings)
    )


def _detector_to_log(run: RunDirectory, settings: Settings) -> Path | None:
    logger = settings.logger
    wanted = isinstance(logger, WandbLogger) and logger.log_detector
    return run.detector if wanted and run.detector.is_dir() else None


def evaluate_again(run: RunDirectory, settings: Settings) -> dict[str, Any]:
    """Score the test set of a trained run, print the table, return what ``metrics.json`` holds.

    The results also reach the W&B run of the training, if there is one.

    Raises:
        UserError: If the images, or the weights of a network that a score needs, are missing.
    """
    data = prepare_data(settings)
    check_protocol(settings.protocol, data, refits=settings.entry.refits)
    with run.locked():
        check_split(run, data)
        results = _evaluate(run, settings, data)
        with _wandb_again(run, settings) as loggers:
            _log_results(loggers, run, settings, results, data)
    print_outcome(run, results.metrics)
    return results.metrics


def _evaluate(run: RunDirectory, settings: Settings, data: AnomalyDataModule) -> Results:
    """Score the test set in as many processes as training used, at most one per GPU."""
    processes = settings.trainer.processes if settings.trainer.strategy == "ddp" else 1
    if choose_device(settings.trainer.accelerator).type == "cuda":
        processes = min(processes, torch.cuda.device_count())
    if processes == 1:
        return evaluate_run(run, settings, data)
    run_in_processes("score", run, settings, processes)
    return read_results(run.path)


def _announce(run: RunDirectory, settings: Settings, data: AnomalyDataModule, state: State) -> None:
    train = sum(len(data.train_indices(label)) for label in data.trained_labels)
    test = len(data.split.test)
    purpose = "to set the threshold on" if data.normal_only else "for testing"
    kept = (("tuning", data.split.tuning), ("calibration", data.split.calibration))
    kept_out = "".join(f", {len(images)} for {what}" for what, images in kept if images)
    verb = {
        "new": "training",
        "unfinished": f"resuming after epoch {run.read_training()['epochs']}",
        "trained": "already trained; scoring",
    }[state]
    print(
        f"{run.path}: {verb}; {data.dataset_name} has {counted(train, 'image')} for training"
        f"{kept_out} and {test} {purpose}"
    )
    if state != "trained":
        trainer = settings.trainer
        computer = describe_device(choose_device(trainer.accelerator), trainer.processes)
        mixed = trainer.precision == "bf16-mixed"
        precision = ", precision bf16-mixed (trainer.precision=32-true for float32)"
        print(f"training on {computer}{precision if mixed else ''}", flush=True)
    if data.unreadable:
        files = counted(len(data.unreadable), "unreadable file is", "unreadable files are")
        print(f"{files} left out (listed in {run.split})")
    for note in collect_notes(data):
        print(f"note: {printable(note)}")
