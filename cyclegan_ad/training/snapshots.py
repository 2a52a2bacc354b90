"""Figures of reconstructions of fixed test images during training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from cyclegan_ad.display.drawing import to_pixels
from cyclegan_ad.display.overlay import overlay_scale
from cyclegan_ad.display.reconstruction_figure import reconstruction_figure
from cyclegan_ad.methods.interface import Reconstructs
from cyclegan_ad.methods.names import SQUARED_DIFFERENCE
from cyclegan_ad.scoring.parts import anomaly_map
from cyclegan_ad.tracking.loggers import log_images


class ReconstructionSnapshots(Callback):
    """Draw and log images, reconstructions and anomaly maps every few epochs.

    The figures are written to ``figures/epoch_<number>.png`` in the run directory, by the first
    rank only and without synchronisation. No random numbers are used, so the training does not
    depend on this callback.

    Args:
        images: (N, C, H, W) float in [-1, 1], a few of both classes.
        labels: N labels, 0 normal, 1 abnormal.
        captions: N captions, e.g. file names.
        run_dir: The run directory.
        every_n_epochs: Epochs between two figures, >= 1.
        masks: (N, H, W) bool, defects to outline, or None.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Sequence[int],
        captions: Sequence[str],
        *,
        run_dir: Path,
        every_n_epochs: int,
        masks: Tensor | None = None,
    ) -> None:
        self.images = images
        self.labels = torch.as_tensor(labels)
        self.captions = list(captions)
        self.run_dir = Path(run_dir)
        self.every_n_epochs = every_n_epochs
        self.masks = masks

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw a figure if one is due after this epoch."""
        epoch = trainer.current_epoch + 1
        if not trainer.is_global_zero or epoch % self.every_n_epochs:
            return
        reconstructions = reconstruct_in_eval(trainer, pl_module, self.images)
        maps = anomaly_map(self.images, reconstructions).numpy()
        path = reconstruction_figure(
            to_pixels(self.images),
            to_pixels(reconstructions),
            maps,
            self.labels,
            self.captions,
            self.run_dir / "figures" / f"epoch_{epoch:04d}.png",
            scale=overlay_scale(maps, self.labels),
            map_shows=SQUARED_DIFFERENCE,
            masks=self.masks,
        )
        log_images(trainer.loggers, "reconstructions", path, trainer.fit_loop.total_batch_idx)


def reconstruct_in_eval(
    trainer: pl.Trainer, pl_module: pl.LightningModule, images: Tensor
) -> Tensor:
    """Reconstruct images in eval mode within a training, which goes on as if nothing had happened.

    Args:
        trainer: The trainer of the module.
        pl_module: A method that reconstructs.
        images: (N, C, H, W) float in [-1, 1].

    Returns:
        The same shape, float32, on the CPU.
    """
    # Some modules may be in eval mode on purpose, so the mode of each is restored.
    assert isinstance(pl_module, Reconstructs)
    modes = {module: module.training for module in pl_module.modules()}
    dtype: Any = pl_module.dtype  # float64 with trainer.precision=64-true
    pl_module.eval()
    try:
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            reconstructions = pl_module.reconstruct(images.to(pl_module.device, dtype))
    finally:
        for module, training in modes.items():
            module.training = training
    return reconstructions.float().cpu()
