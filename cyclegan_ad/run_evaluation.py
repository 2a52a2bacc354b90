"""Scores the test set of a trained run and writes all that follows from the scores."""

from typing import Any

import torch

from cyclegan_ad.build import build_data
from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.detector import save_detector
from cyclegan_ad.device import choose_device, prepare_process
from cyclegan_ad.evaluation import choose_examples, evaluate
from cyclegan_ad.features import ensure_weights
from cyclegan_ad.figures import reconstruction_figure
from cyclegan_ad.methods.cyclegan import CycleGAN
from cyclegan_ad.run_directory import RunDirectory, write_json
from cyclegan_ad.run_files import check_split, write_scores
from cyclegan_ad.score_names import needs_extractor
from cyclegan_ad.scores import anomaly_map, build_scores
from cyclegan_ad.tables import print_result
from cyclegan_ad.training import check_checkpoint

FIGURE_IMAGES = 5  # of each class
NETWORK_SETTINGS = ("channels", "base_channels", "residual_blocks")


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
    prepare_process()
    if needs_extractor(settings["score"]["names"]):
        ensure_weights(settings["score"]["extractor"])
    data = build_data(settings)
    data.setup()
    with run.locked():
        check_split(run, data)
        metrics = evaluate_run(run, settings, data)
    print_result(metrics)
    print(f"Scores, figures and the detector: {run.path}")
    return metrics


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
    """
    device = choose_device(settings["trainer"]["accelerator"])
    check_checkpoint(run)
    method = CycleGAN.load_from_checkpoint(run.checkpoint, map_location=device, weights_only=True)
    method.eval()
    score = settings["score"]
    scores = build_scores(score["names"], score["extractor"]).to(device)
    found = evaluate(method, data, scores, device=device, batch_size=score["batch_size"])
    metrics = write_scores(run, settings, data, found)
    shown = choose_examples(data, FIGURE_IMAGES)
    with torch.inference_mode():
        reconstructions = method.reconstruct(shown.images.to(device)).float().cpu()
    reconstruction_figure(
        shown.images,
        reconstructions,
        anomaly_map(shown.images, reconstructions),
        shown.labels,
        shown.captions,
        run.figures / "reconstruction.png",
        masks=shown.masks,
    )
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
        decisions={
            column: {
                "zfn_threshold": row["zfn_threshold"],
                "max_accuracy_threshold": row["max_accuracy_threshold"],
                "set_on": "the test images of this run (optimistic)",
                "normal_images": metrics["test_normal"],
                "abnormal_images": metrics["test_abnormal"],
            }
            for column, row in metrics["scores"].items()
        },
    )
    write_json(run.metrics, metrics)
    return metrics
