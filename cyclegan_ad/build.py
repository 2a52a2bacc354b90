"""Build the data module and the method of a job from its settings."""

from pathlib import Path
from pkgutil import resolve_name
from typing import Any, cast

import pytorch_lightning as pl
import torch

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.data.locate import find_dataset_folder, labelling_of, read_exclude_list
from cyclegan_ad.display.terminal import decoding_progress
from cyclegan_ad.methods.interface import TrainedMethod
from cyclegan_ad.methods.names import METHODS
from cyclegan_ad.settings.train import CycleGAN, LinearProbe, PaDiM, PatchCore, Settings


def build_data(settings: Settings) -> AnomalyDataModule:
    """Build the data module of a job.

    Raises:
        UserError: If the dataset folder does not exist.
    """
    dataset = settings.dataset
    return AnomalyDataModule(
        name=dataset.name,
        layout=dataset.layout,
        root=find_dataset_folder(dataset, settings.data_dir, settings.cache_dir),
        channels=dataset.channels,
        window=dataset.window,
        size_px=settings.resolution,
        seed=settings.seed,
        batch_size=dataset.batch_size,
        copies_per_epoch=dataset.copies_per_epoch,
        augmentation=dataset.augmentation,
        classes=settings.entry.train_classes,
        calibration_fraction=settings.protocol.calibration_fraction,
        normal_only=settings.protocol.normal_only,
        exclude=read_exclude_list(dataset.exclude),
        skip_unreadable=dataset.skip_unreadable,
        storage=dataset.storage,
        memory_limit_mib=dataset.memory_limit_mib,
        cache_dir=settings.cache_dir / "images",
        images_on=dataset.images_on,
        progress=decoding_progress,
        labelling=labelling_of(dataset),
        keep_copies_together=dataset.keep_copies_together,
    )


def ensure_method(settings: Settings) -> None:
    """Check that the method can be built, before any image is read.

    Raises:
        UserError: If a package or the weights of the backbone are missing.
    """
    method = settings.method
    if isinstance(method, LinearProbe):
        from cyclegan_ad.methods.probe_weights import ensure_probe_weights

        path = None if method.weights_path is None else str(method.weights_path)
        ensure_probe_weights(method.backbone, path)
    if not settings.entry.needs_anomalib:
        return
    from cyclegan_ad.pretrained.backbones import ensure_baseline

    if not isinstance(method, PaDiM | PatchCore):
        ensure_baseline(method.name)
        return
    ensure_baseline(
        method.name,
        backbone=method.backbone,
        weights_path=None if method.weights_path is None else str(method.weights_path),
        pretrained=method.pretrained,
    )


def check_training_images(settings: Settings, data: AnomalyDataModule) -> None:
    """Check that a method can be fitted to the training images, before anything long.

    Raises:
        UserError: If a class has too few images for the cross-validation of the probe.
    """
    method = settings.method
    if not isinstance(method, LinearProbe):
        return
    from cyclegan_ad.methods.probe_fit import check_folds

    train = data.split.train
    labels, groups = zip(*((data.samples[i].label, data.groups[i]) for i in train), strict=True)
    check_folds(labels, groups, method.strengths)


def build_method(settings: Settings) -> pl.LightningModule:
    """Build the method with initial weights that depend on the seed only."""
    pl.seed_everything(settings.seed, verbose=False)
    method = settings.method
    arguments: dict[str, Any] = {"channels": settings.dataset.channels, "seed": settings.seed}
    if isinstance(method, CycleGAN):
        arguments |= {
            "max_epochs": settings.trainer.max_epochs,
            "base_channels": method.generator.base_channels,
            "residual_blocks": method.generator.residual_blocks,
            "discriminator_base_channels": method.discriminator.base_channels,
        }
    else:
        arguments["size_px"] = settings.resolution
    given = {"name", "scores", "tta", "generator", "discriminator", "weights_sha256", *arguments}
    for name in type(method).model_fields.keys() - given:
        value = getattr(method, name)
        arguments[name] = str(value) if isinstance(value, Path) else value
    return method_class(method.name)(**arguments)


def load_method(name: str, checkpoint: Path, device: torch.device) -> TrainedMethod:
    """Load a trained method from a checkpoint, in eval mode, on a device."""
    method = method_class(name).load_from_checkpoint(
        checkpoint, map_location=device, weights_only=True
    )
    return cast(TrainedMethod, method.eval())


def method_class(name: str) -> type[pl.LightningModule]:
    """Import the LightningModule of a method; only here, as it may need optional packages."""
    found: type[pl.LightningModule] = resolve_name(METHODS[name].class_path)
    return found
