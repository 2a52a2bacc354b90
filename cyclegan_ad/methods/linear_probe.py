"""Linear probe: logistic regression on frozen features of normal and abnormal images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from cyclegan_ad.methods.embedding import seeded
from cyclegan_ad.methods.folds import smallest_class
from cyclegan_ad.methods.probe_fit import Probe, fit_probe
from cyclegan_ad.methods.probe_weights import load_probe_weights
from cyclegan_ad.networks.embedding import EmbeddingResult
from cyclegan_ad.networks.inference import portable_tensors
from cyclegan_ad.networks.probe import ProbeScorer
from cyclegan_ad.pretrained.names import BACKBONES

# Of the ImageNet weights; Inception's inputs are resized and scaled as in pytorch-fid.
_INPUT_PX = {"inception": 299}
_USUAL_INPUT_PX = 224


@dataclass(frozen=True)
class DescribedImages:
    """Training images as a probe sees them.

    Attributes:
        features: (N, S, D) float32, pooled features of each image in S symmetries.
        labels: N labels, 0 normal or 1 abnormal.
        groups: N names; images of one name are never on both sides of a fold.
    """

    features: NDArray[np.float32]
    labels: Sequence[int]
    groups: Sequence[str]


class LinearProbe(pl.LightningModule):
    """Logistic regression on the pooled features of a network trained on ImageNet.

    The features are computed before the training (:meth:`load_backbone`, then :attr:`described`);
    its one epoch fits the probe, see :func:`cyclegan_ad.methods.probe_fit.fit_probe`.

    Args:
        channels: Channels of the images, 1 or 3.
        size_px: Height and width of the images.
        backbone: A name of :data:`cyclegan_ad.pretrained.names.BACKBONES`, or ``inception``.
        layers: Its layers, see :class:`cyclegan_ad.networks.probe.ProbeScorer`.
        weights_path: File with the ImageNet weights; None for the default of the backbone.
        strengths: Values of scikit-learn's C that cross-validation chooses from.
        folds: Folds of the cross-validation.
        peak_fraction: Fraction of the positions whose highest responses make the score
            ``probe_peak``.
        max_train_images: Not more training images of each class are described; None for all.
        seed: Seed of the folds.
    """

    method_name = "linear_probe"
    hparams: dict[str, Any]

    def __init__(
        self,
        *,
        channels: int,
        size_px: int,
        backbone: str,
        layers: Sequence[str],
        weights_path: str | None,
        strengths: Sequence[float],
        folds: int,
        peak_fraction: float,
        max_train_images: int | None,
        seed: int,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.backbone_name, self.weights_path = backbone, weights_path
        self.strengths, self.folds, self.seed = tuple(strengths), folds, seed
        self.max_train_images = max_train_images
        self.described: DescribedImages | None = None
        known = BACKBONES.get(backbone)
        self.network: dict[str, Any] = {
            "channels": channels,
            "size_px": size_px,
            "backbone": backbone,
            "layers": list(layers),
            "input_px": _INPUT_PX.get(backbone, _USUAL_INPUT_PX),
            "antialias": known is not None,
            "mean": [0.5] * 3 if known is None else list(known.mean),
            "std": [0.5] * 3 if known is None else list(known.std),
            "peak_fraction": peak_fraction,
        }
        with seeded(seed):  # weights are drawn, then replaced
            self.model = ProbeScorer(**self.network)

    def embed(self, images: Tensor) -> EmbeddingResult:
        """Judge images, see :meth:`ProbeScorer.embed`."""
        return self.model.embed(images)

    def inference_state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return arguments and tensors of :func:`build_inference`.

        Raises:
            RuntimeError: If the probe is not fitted.
        """
        if not self.model.is_fitted():
            raise RuntimeError("linear_probe is not fitted")
        return self.network, portable_tensors(self.model)

    def load_backbone(self) -> None:
        """Load the ImageNet weights; raise a UserError if they are missing or do not fit."""
        load_probe_weights(self.backbone_name, self.weights_path, self.model.backbone)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def configure_optimizers(self) -> list[Any]:
        """Return no optimizer; Lightning warns of None."""
        return []

    def setup(self, stage: str) -> None:
        """Set the mode of training, without which Lightning warns; it changes nothing."""
        self.train()

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Do nothing: the features were computed before, a batch of Lightning is not needed."""

    def on_train_epoch_end(self) -> None:
        """Fit the probe to the described images; checkpoints are written after this.

        Raises:
            UserError: If a class has too few images, or all images have the same features.
            RuntimeError: If no images were described.
        """
        if self.described is None:
            raise RuntimeError("linear_probe has no features: set `described` before the training")
        probe = self.fit_to(self.described)
        for number, strength in enumerate(probe.strengths):
            self.log(f"probe/strength_{number}", strength)
        chosen = f"method.strengths={' and '.join(f'{one:g}' for one in probe.strengths)}"
        if len(self.strengths) > 1:
            few = smallest_class(self.described.labels, self.described.groups)[1] < 2
            chosen += (
                " (the smallest, as cross-validation needs two different images of each class)"
                if few
                else " chosen by cross-validation on the training images"
            )
        self.print(f"linear_probe: {chosen}")

    def fit_to(self, described: DescribedImages) -> Probe:
        """Fit the probe to images and score with it from now on; its strength is chosen anew.

        Raises:
            UserError: If a class has too few images, or all images have the same features.
        """
        features = described.features
        probe = fit_probe(
            features,
            described.labels,
            described.groups,
            strengths=self.strengths,
            folds=self.folds,
            seed=self.seed,
            parts=self.model.parts(),
        )
        self.take(probe, features.mean(axis=(0, 1), dtype=np.float64))
        return probe

    def take(self, probe: Probe, mean: NDArray[np.float64]) -> None:
        """Score images with a probe from now on.

        Args:
            probe: A fitted probe.
            mean: (D,) mean features of its training images, the zero of the maps.
        """
        centre = float(probe.weight @ mean)
        self.model.set_probe(torch.from_numpy(probe.weight), centre, probe.intercept + centre)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Give the backbone the memory format in which it is fast."""
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
