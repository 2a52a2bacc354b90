"""Scores the test set of a trained run and writes all that follows from the scores."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cyclegan_ad.build import build_data, load_method
from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.data.examples import examples_at, spread_evenly
from cyclegan_ad.detector.saved import detector_fingerprint, save_detector, write_decisions
from cyclegan_ad.device import choose_device, describe_device, prepare_process
from cyclegan_ad.display.reconstruction_figure import reconstruction_figure
from cyclegan_ad.display.result_table import print_result
from cyclegan_ad.display.terminal import decoding_progress
from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.decide import decide
from cyclegan_ad.evaluation.pictures import look_at, write_examples
from cyclegan_ad.evaluation.test_set import evaluate
from cyclegan_ad.evaluation.write_scores import all_scored, doubts, write_scores
from cyclegan_ad.files import write_json
from cyclegan_ad.metrics.thresholds import critical_images
from cyclegan_ad.pretrained.features import ensure_weights
from cyclegan_ad.reference.differences import departures_of
from cyclegan_ad.runs.begin import check_split
from cyclegan_ad.runs.checkpoints import check_checkpoint, identity_of
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.examples import CRITICAL_IMAGES, FIGURE_IMAGES, examples_fingerprint
from cyclegan_ad.runs.examples import FILE as EXAMPLES
from cyclegan_ad.runs.results import read_metrics, read_scores
from cyclegan_ad.scoring.names import needs_extractor, score_columns
from cyclegan_ad.scoring.scores import build_scores
from cyclegan_ad.text import printable

NETWORK_SETTINGS = ("channels", "base_channels", "residual_blocks")


def prepare_data(settings: dict[str, Any]) -> AnomalyDataModule:
    """What training and evaluation begin with: weights of the scores, device, images.

    Raises:
        UserError: If the images or the weights of a network behind a score cannot be had.
    """
    prepare_process()
    if needs_extractor(settings["score"]["names"]):
        ensure_weights(settings["score"]["extractor"])
    choose_device(settings["trainer"]["accelerator"])
    data = build_data(settings)
    data.setup()
    return data


def is_complete(run: RunDirectory, score: Mapping[str, Any]) -> bool:
    """Whether a trained run has the scores asked for and every file that follows from scores.

    Args:
        run: The run.
        score: The settings ``score.*``.
    """
    if not all_scored(run, score):
        return False
    config = run.read_config()
    examples = examples_fingerprint(run.path)
    written = read_metrics(run.path)["fingerprints"].get(EXAMPLES)
    if not examples or examples != written:
        return False
    files = [run.figures / "reconstruction.png"]
    files += [run.figures / f"scores_{column}.png" for column in score_columns(score)]
    if config["protocol"]["calibration_fraction"] > 0:
        files.append(run.calibration)
    whole = config["method"]["name"] != "cyclegan" or run.detector.is_dir()
    return whole and all(file.is_file() for file in files)


def evaluate_again(run: RunDirectory, settings: dict[str, Any]) -> dict[str, Any]:
    """Score the test set of a trained run, write the results and print the table.

    Args:
        run: The run.
        settings: Its settings, with the scores asked for.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        UserError: If the images or the weights of a network behind a score cannot be had.
    """
    data = prepare_data(settings)
    with run.locked():
        check_split(run, data)
        metrics = evaluate_run(run, settings, data)
    print_outcome(run, metrics)
    return metrics


def print_outcome(run: RunDirectory, metrics: dict[str, Any]) -> None:
    """Print the table of a run and say where the rest is."""
    print_result(metrics, departures_of(run.path, metrics))
    kept = "Scores, figures and the detector" if run.detector.is_dir() else "Scores and figures"
    print(f"{kept}: {run.path}")


def evaluate_run(
    run: RunDirectory, settings: dict[str, Any], data: AnomalyDataModule
) -> dict[str, Any]:
    """Score the test set with the run's last weights and write all that follows.

    Scores that the run has already stay; the ones asked for are computed anew.

    Args:
        run: A trained run.
        settings: Its settings, with the scores asked for.
        data: Its data, set up.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        UserError: If its last checkpoint is damaged or not that of this run's last epoch.
    """
    for line in doubts(run):
        print(f"{printable(line)}; scored again, without other scores that are in doubt")
    device = choose_device(settings["trainer"]["accelerator"])
    epochs = check_checkpoint(run, identity_of(settings, data))
    if epochs != settings["trainer"]["max_epochs"]:
        raise UserError(
            f"{run.checkpoint} is of epoch {epochs}, but {run.training} says that the training is "
            f"finished; put back the last one, or delete {run.training.name} and train again to "
            f"resume after epoch {epochs}"
        )
    method = load_method(settings["method"]["name"], run.checkpoint, device)
    features_dir = Path(settings["cache_dir"]).expanduser() / "features"
    scores = build_scores(settings["score"], features_dir).to(device)
    batch_size = settings["score"]["batch_size"]
    print(f"scoring on {describe_device(device)}", flush=True)
    with decoding_progress("Scoring images") as progress:
        found = evaluate(
            method, data, scores, device=device, batch_size=batch_size, progress=progress
        )
    metrics = write_scores(run, settings, data, found)
    _write_examples(run, method, data, device)
    metrics["fingerprints"][EXAMPLES] = examples_fingerprint(run.path)
    if settings["method"]["name"] == "cyclegan":
        save_detector(
            run.detector,
            method.generator_to_normal,
            network={name: method.hparams[name] for name in NETWORK_SETTINGS},
            preprocessing={
                "channels": data.channels,
                "size_px": data.size_px,
                "resize": "bicubic",
                "range": [-1.0, 1.0],
            },
            metrics=metrics,
        )
        metrics["fingerprints"]["detector"] = detector_fingerprint(run.detector)
    write_json(run.metrics, metrics)
    return metrics


def decide_again(run: RunDirectory, settings: dict[str, Any]) -> dict[str, Any]:
    """Apply another protocol to the scores of a complete run; no network is asked again.

    Args:
        run: The run, locked by the caller.
        settings: Its settings, with the protocol asked for.

    Returns:
        What ``metrics.json`` holds now.

    Raises:
        UserError: If the protocol cannot be applied to this run.
    """
    metrics = read_metrics(run.path) | decide(run, settings)
    if run.detector.is_dir():
        write_decisions(run.detector, metrics)
    write_json(run.metrics, metrics)
    return metrics


def _write_examples(
    run: RunDirectory, method: Any, data: AnomalyDataModule, device: torch.device
) -> None:
    """Draw some test images, and keep them with the ones that the thresholds hang on."""
    even = spread_evenly(data, FIGURE_IMAGES)
    shown = examples_at(data, [*even, *_critical(run, data)])
    reconstructions, maps = look_at(method, shown.images, device)
    write_examples(
        run.path, shown, reconstructions, maps, np.arange(len(shown.images)) >= len(even)
    )
    n = len(even)
    reconstruction_figure(
        shown.images[:n],
        None if reconstructions is None else reconstructions[:n],
        maps[:n],
        shown.labels[:n],
        shown.captions[:n],
        run.figures / "reconstruction.png",
        masks=shown.masks[:n],
    )


def _critical(run: RunDirectory, data: AnomalyDataModule) -> list[int]:
    """Images on which the thresholds of any of the run's scores hang, as indices of samples."""
    rows = read_scores(run.path)
    labels = [row["label"] for row in rows]
    positions: dict[int, None] = {}
    for name in rows[0]:
        if name in ("path", "label"):
            continue
        found = critical_images([row[name] for row in rows], labels, CRITICAL_IMAGES)
        positions |= dict.fromkeys(found)
    index = {data.samples[i].path: i for i in data.split.test}
    return [index[rows[position]["path"]] for position in positions]
