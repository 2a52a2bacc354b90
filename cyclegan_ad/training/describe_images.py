"""Features of the training images of a linear probe, computed before its fit."""

from __future__ import annotations

import hashlib

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.device import arithmetic, choose_device
from cyclegan_ad.display.terminal import decoding_progress
from cyclegan_ad.methods.linear_probe import DescribedImages, LinearProbe
from cyclegan_ad.scoring.probe_features import describe_images
from cyclegan_ad.settings.train import Settings


def describe_training_images(
    method: LinearProbe, data: AnomalyDataModule, settings: Settings
) -> None:
    """Load the backbone of a probe, and give it the features of the training images.

    Args:
        method: The probe; its ``described`` is set.
        data: Data module after ``setup``.
        settings: Settings without ``auto``.

    Raises:
        UserError: If the weights are missing or do not fit.
    """
    method.load_backbone()
    device = choose_device(settings.trainer.accelerator)
    chosen = training_images(data, method.max_train_images)
    with decoding_progress("Describing training images") as progress, arithmetic(device, "float32"):
        features = describe_images(
            method.model.to(device),
            data,
            chosen,
            device=device,
            batch_size=settings.score.batch_size,
            folder=settings.cache_dir / "features",
            progress=progress,
        )
    method.described = DescribedImages(
        features=features,
        labels=[data.samples[index].label for index in chosen],
        groups=[data.groups[index] for index in chosen],
    )


def training_images(data: AnomalyDataModule, most: int | None) -> list[int]:
    """Return the training images of both classes, at most a number of each, drawn from the seed.

    Args:
        data: Data module after ``setup``.
        most: Largest number of each class; None for all.

    Returns:
        Indices into ``data.samples``, ascending.
    """
    chosen = []
    for label in (0, 1):
        indices = data.train_indices(label)
        if most is not None:
            paths = {index: data.samples[index].path for index in indices}
            indices = sorted(indices, key=lambda i: _drawn(data.seed, paths[i]))[:most]
        chosen += indices
    return sorted(chosen)


def _drawn(seed: int, path: str) -> str:
    # Paths need not be valid UTF-8; another text than that of the split, which ordered by it.
    return hashlib.sha256(f"train:{seed}:{path}".encode(errors="surrogateescape")).hexdigest()
