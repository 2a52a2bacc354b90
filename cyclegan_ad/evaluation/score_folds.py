"""Scores of ``protocol=crossval`` by a probe that is fitted again without each fold."""

from __future__ import annotations

import torch

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.data.training_images import choose_training_images
from cyclegan_ad.device import arithmetic
from cyclegan_ad.display.terminal import decoding_progress
from cyclegan_ad.evaluation.apply_crossval import training_folds
from cyclegan_ad.evaluation.score_images import Scored, score_images
from cyclegan_ad.methods.linear_probe import DescribedImages, LinearProbe
from cyclegan_ad.scoring.probe_features import describe_images
from cyclegan_ad.scoring.scores import Scores
from cyclegan_ad.settings.train import Settings

_OF_PROBE = ("weight", "centre", "intercept")


def score_folds(
    method: LinearProbe,
    data: AnomalyDataModule,
    scores: Scores,
    settings: Settings,
    device: torch.device,
) -> dict[int, Scored]:
    """Fit the probe without each fold of the abnormal training images, and score with it.

    Normal images are in every fit, unless they share a group with an abnormal one of the fold. The
    strength of the regularisation is chosen anew, without the fold. The probe of the run is
    restored at the end.

    Args:
        method: The probe of the run, on ``device``.
        data: Data module after ``setup``.
        scores: The requested scores, on ``device``.
        settings: Settings of the run, with ``protocol.crossval_folds``.
        device: Device of the computation.

    Returns:
        Fold -> scores of its abnormal images, then of the test images, by the probe without it.

    Raises:
        UserError: If there are too few images for the folds.
    """
    fold_of = training_folds(settings.protocol, data)
    trained = choose_training_images(data, None)
    batch_size = settings.score.batch_size
    with decoding_progress("Describing training images") as report, arithmetic(device, "float32"):
        features = describe_images(
            method.model,
            data,
            trained,
            device=device,
            batch_size=batch_size,
            folder=settings.cache_dir / "features",
            progress=report,
        )
    row = {index: number for number, index in enumerate(trained)}
    before = {name: getattr(method.model.probe, name) for name in _OF_PROBE}
    folds = sorted(set(fold_of.values()))
    found: dict[int, Scored] = {}
    try:
        with decoding_progress("Fitting without each fold", unit="folds") as report:
            for fold in folds:
                held_out = [index for index, of in fold_of.items() if of == fold]
                away = {data.groups[index] for index in held_out}
                kept = choose_training_images(data, method.max_train_images, away)
                method.fit_to(
                    DescribedImages(
                        features=features[[row[index] for index in kept]],
                        labels=[data.samples[index].label for index in kept],
                        groups=[data.groups[index] for index in kept],
                    )
                )
                found[fold] = score_images(
                    method,
                    data,
                    scores,
                    (*held_out, *data.split.test),
                    device=device,
                    batch_size=batch_size,
                )
                report(len(found), len(folds))
    finally:
        for name, tensor in before.items():
            setattr(method.model.probe, name, tensor)
    return found
