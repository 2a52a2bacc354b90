"""Evaluation of a trained run: scores of the test set, metrics, figures and the detector."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from cyclegan_ad.build import build_data, load_method
from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.detector.description import describe_scores
from cyclegan_ad.detector.saved import detector_fingerprint
from cyclegan_ad.detector.saved import write_scores as write_detector_scores
from cyclegan_ad.device import choose_device, describe_device, prepare_process
from cyclegan_ad.display.result_table import print_result
from cyclegan_ad.display.terminal import decoding_progress
from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.apply_protocols import apply_protocols
from cyclegan_ad.evaluation.combine import combine, find_unsupported
from cyclegan_ad.evaluation.figures import draw_figures
from cyclegan_ad.evaluation.fit_fusions import PROBE_BACKBONE, check_tuning_images
from cyclegan_ad.evaluation.kept_out import describe_kept_out
from cyclegan_ad.evaluation.pictures import make_pictures, write_examples
from cyclegan_ad.evaluation.score_folds import score_folds
from cyclegan_ad.evaluation.score_images import rank_and_processes
from cyclegan_ad.evaluation.test_set import Evaluation, evaluate
from cyclegan_ad.evaluation.write_detector import write_detector
from cyclegan_ad.methods.interface import TrainedMethod
from cyclegan_ad.methods.linear_probe import LinearProbe
from cyclegan_ad.methods.names import FUSED
from cyclegan_ad.methods.probe_weights import ensure_probe_weights
from cyclegan_ad.pretrained.features import ensure_weights
from cyclegan_ad.reference.differences import differences_of_run
from cyclegan_ad.runs.checkpoints import check_checkpoint, identity_of
from cyclegan_ad.runs.directory import RunDirectory, judged_by_kept_out
from cyclegan_ad.runs.examples import FILE as EXAMPLES
from cyclegan_ad.runs.examples import examples_fingerprint
from cyclegan_ad.runs.results import (
    Results,
    read_results,
    read_split,
    write_metrics,
    write_scores,
)
from cyclegan_ad.scoring.names import needs_extractor
from cyclegan_ad.scoring.probe_features import remember_maps
from cyclegan_ad.scoring.scores import Scores, build_scores
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.text import printable


def prepare_data(settings: Settings) -> AnomalyDataModule:
    """Prepare training and evaluation: the weights of feature extractors, the device, the images.

    Returns:
        The data module after ``setup``.

    Raises:
        UserError: If the images or the weights of a feature extractor are unavailable, or a fused
            score has too few images to be fitted to.
    """
    prepare_process()
    if needs_extractor(settings.score.names):
        ensure_weights(settings.score.extractor)
    if "fused" in settings.score.names:
        ensure_probe_weights(PROBE_BACKBONE, None)
    data = build_data(settings)
    data.setup()
    if any(name in FUSED for name in settings.score.names):
        check_tuning_images(data, settings.score.names)
    return data


def print_results(run: RunDirectory, metrics: dict[str, Any]) -> None:
    """Print the result table of a run; of a run of a choice, what the choice may be made by."""
    if judged_by_kept_out(metrics["run"]):
        print(describe_kept_out(run, metrics))
    else:
        print_result(metrics, differences_of_run(run.path, metrics))


def print_outcome(run: RunDirectory, metrics: dict[str, Any]) -> None:
    """Print the results of a run and the path of its files."""
    print_results(run, metrics)
    print(f"Scores, figures and the detector: {run.path}")


@dataclass(frozen=True)
class ScoredRun:
    """A trained method and its scores of the test set."""

    method: TrainedMethod
    scores: Scores
    device: torch.device
    found: Evaluation


def score_run(run: RunDirectory, settings: Settings, data: AnomalyDataModule) -> ScoredRun:
    """Score the test set with the run's last weights, without writing files.

    In a group of processes, each scores a subset of the images and gets the scores of all.

    Args:
        run: A trained run.
        settings: Its settings, with the requested scores.
        data: Its data module after ``setup``.

    Returns:
        The method and the scores.

    Raises:
        UserError: If its last checkpoint is damaged or not that of this run's last epoch.
    """
    rank, processes = rank_and_processes()
    device = choose_device(settings.trainer.accelerator)
    if rank == 0:
        for line in find_unsupported(run):
            print(f"{printable(line)}; scoring again, without other unsupported scores")
    epochs = check_checkpoint(run, identity_of(settings.training(), data))
    if epochs != settings.trainer.max_epochs:
        raise UserError(
            f"{run.checkpoint} is of epoch {epochs}, but the training is finished according to "
            f"{run.training}; restore the last checkpoint, or delete {run.training.name} and train "
            f"again to resume after epoch {epochs}"
        )
    method = load_method(settings.method.name, run.checkpoint, device)
    cache = settings.cache_dir / "features"
    if isinstance(method, LinearProbe):
        remember_maps(method.model, cache)
    scores = build_scores(settings.score.columns, cache).to(device)
    unseen = settings.protocol.name == "crossval" and not settings.entry.refits
    score = partial(
        evaluate,
        method,
        data,
        scores,
        device=device,
        batch_size=settings.score.batch_size,
        training_images=data.train_indices(1) if unseen else (),
    )
    if rank > 0:
        return ScoredRun(method, scores, device, score())
    print(f"scoring on {describe_device(device, processes)}", flush=True)
    with decoding_progress("Scoring images") as progress:
        found = score(progress=progress)
    if settings.protocol.name == "crossval" and isinstance(method, LinearProbe):
        folds = score_folds(method, data, scores, settings, device)
        found = replace(found, crossval=folds)
    return ScoredRun(method, scores, device, found)


def evaluate_run(run: RunDirectory, settings: Settings, data: AnomalyDataModule) -> Results:
    """Score a run as :func:`score_run` does, and write as :func:`write_evaluation` does.

    The requested scores are computed again; other scores of the run are kept.
    """
    return write_evaluation(run, settings, data, score_run(run, settings, data))


def write_evaluation(
    run: RunDirectory, settings: Settings, data: AnomalyDataModule, scored: ScoredRun
) -> Results:
    """Write all results that follow from the scores of a run, ``metrics.json`` last.

    Args:
        run: A trained run.
        settings: Its settings, with the requested scores.
        data: Its data module after ``setup``.
        scored: Result of :func:`score_run`.

    Returns:
        The results as written.
    """
    method, results = scored.method, combine(run, settings, data, scored.found)
    pictures = make_pictures(method, data, results, scored.device)
    metrics = results.metrics
    write_scores(run.path, results.rows)
    if results.kept:
        write_scores(run.path, results.kept, run.calibration.name)
    for file, rows in (
        (run.crossval, results.crossval),
        (run.tuning, results.tuned),
        (run.contributions, results.contributions),
    ):
        if rows:
            write_scores(run.path, rows, file.name)
    write_examples(run.path, pictures)
    metrics["fingerprints"][EXAMPLES] = examples_fingerprint(run.path)
    draw_figures(run, results.rows, metrics, metrics["scores"])
    write_detector(run, data, scored, results, pictures, settings.score.batch_size)
    metrics["fingerprints"]["detector"] = detector_fingerprint(run.detector)
    write_metrics(run.path, metrics)
    return results


def decide_again(run: RunDirectory, settings: Settings) -> dict[str, Any]:
    """Apply another protocol to the scores of a complete run, without computing scores again.

    Args:
        run: The run, locked by the caller.
        settings: Its settings, with the requested protocol.

    Returns:
        The new content of ``metrics.json``.

    Raises:
        UserError: If the protocol cannot be applied to this run.
    """
    stored, split = read_results(run.path), read_split(run.path)
    if settings.protocol.name == "calibrated" and not stored.kept:
        raise UserError(
            f"{run.calibration} is missing; evaluate the run again: "
            f"python -m cyclegan_ad.evaluate run={run.path}"
        )
    if settings.protocol.name == "crossval" and not stored.crossval:
        raise UserError(
            f"{run.crossval} is missing; evaluate the run again: "
            f"python -m cyclegan_ad.evaluate run={run.path} protocol=crossval"
        )
    metrics = stored.metrics | apply_protocols(
        stored.rows,
        stored.kept,
        split,
        settings.protocol,
        seed=settings.seed,
        where=str(run.path),
        crossval=stored.crossval,
    )
    decided = replace(stored, metrics=metrics)
    write_detector_scores(run.detector, describe_scores(decided))
    draw_figures(run, stored.rows, metrics, metrics["scores"])
    write_metrics(run.path, metrics)
    return metrics
