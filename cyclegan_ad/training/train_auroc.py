"""AUROC on a few fixed training images during training, so that curves of runs compare."""

from collections.abc import Sequence

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.data.training_images import choose_training_images
from cyclegan_ad.metrics.thresholds import auroc
from cyclegan_ad.scoring.parts import anomaly_map
from cyclegan_ad.tracking.wandb_workspace import TRAIN_AUROC
from cyclegan_ad.training.snapshots import reconstruct_in_eval

IMAGES = 16
"""Images of each class, at most."""


class TrainingAuroc(Callback):
    """Log the AUROC of the ``sse`` of a few training images every few epochs.

    No test image has a part in it. It is computed by the first rank only and without random
    numbers, so the training does not depend on this callback.

    Args:
        images: (N, C, H, W) float in [-1, 1], training images of both classes.
        labels: N labels, 0 normal, 1 abnormal.
        every_n_epochs: Epochs between two values, >= 1.
        batch_size: Images per batch.
    """

    def __init__(
        self, images: Tensor, labels: Sequence[int], *, every_n_epochs: int, batch_size: int
    ) -> None:
        self.images, self.labels = images, list(labels)
        self.every_n_epochs, self.batch_size = every_n_epochs, batch_size

    @classmethod
    def of(cls, data: AnomalyDataModule, every_n_epochs: int) -> "TrainingAuroc | None":
        """Choose images of each class by the seed, whatever the settings of the method.

        Args:
            data: Data module after ``setup``.
            every_n_epochs: Epochs between two values, >= 1.

        Returns:
            The callback; None if a class has no training image.
        """
        chosen = choose_training_images(data, IMAGES)
        labels = [data.samples[index].label for index in chosen]
        if len(set(labels)) < 2:
            return None
        return cls(
            data.images_at(chosen),
            labels,
            every_n_epochs=every_n_epochs,
            batch_size=data.batch_size,
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log a value if one is due after this epoch, and after the last one."""
        epoch = trainer.current_epoch + 1
        due = epoch % self.every_n_epochs == 0 or epoch == trainer.max_epochs
        if not (due and trainer.is_global_zero):
            return
        scores = []
        for images in self.images.split(self.batch_size):
            reconstructions = reconstruct_in_eval(trainer, pl_module, images)
            scores.append(anomaly_map(images, reconstructions).double().sum(dim=(1, 2)))
        value = auroc(torch.cat(scores).numpy(), self.labels)
        pl_module.log(TRAIN_AUROC, float(value), rank_zero_only=True)
