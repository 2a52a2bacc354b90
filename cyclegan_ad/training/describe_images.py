"""Features of the training images of a linear probe, computed before its fit."""

from __future__ import annotations

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.data.training_images import choose_training_images
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
    chosen = choose_training_images(data, method.max_train_images)
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
