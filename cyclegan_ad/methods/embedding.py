"""Common base of PaDiM and PatchCore, which fit a model to features of a pretrained network.

One epoch collects the features of the normal training images, to which the model is fitted at its
end, without gradients. anomalib draws the initial weights and fits the models.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor, nn

from cyclegan_ad.errors import UserError
from cyclegan_ad.hardware import available_bytes
from cyclegan_ad.networks.embedding import EmbeddingResult, EmbeddingScorer
from cyclegan_ad.networks.inference import build_inference, portable_tensors
from cyclegan_ad.pretrained.backbones import ensure_baseline, load_weights
from cyclegan_ad.pretrained.names import BACKBONES


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global random generators of torch and numpy; restore their states at the end."""
    with isolate_rng():
        torch.manual_seed(seed)
        np.random.seed(seed)
        yield


class EmbeddingMethod(pl.LightningModule):
    """A model of the features of normal images, fitted in one pass.

    Args:
        channels: Channels of the images, 1 or 3.
        size_px: Height and width of the images.
        backbone: One of :data:`cyclegan_ad.pretrained.names.BACKBONES`.
        layers: Layers whose features are used, from fine to coarse.
        pretrained: Whether to use ImageNet weights instead of random ones. They are loaded when the
            training starts, since checkpoints contain them.
        weights_path: File with the ImageNet weights; None for the default of the backbone.
        max_train_images: Number of training images to draw at random; None for all.
        seed: Seed of every random choice.

    Raises:
        UserError: If anomalib is not installed.
    """

    method_name: str
    hparams: dict[str, Any]
    network: dict[str, Any]
    model: EmbeddingScorer

    def __init__(
        self,
        *,
        channels: int,
        size_px: int,
        backbone: str,
        layers: Sequence[str],
        pretrained: bool,
        weights_path: str | None,
        max_train_images: int | None,
        seed: int,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        ensure_baseline(self.method_name)
        self.image_shape, self.seed = (channels, size_px, size_px), seed
        self.backbone_name, self.backbone, self.layers = backbone, BACKBONES[backbone], list(layers)
        self.pretrained, self.weights_path = pretrained, weights_path
        self.max_train_images = max_train_images
        self._collected: dict[int, Tensor] = {}  # place -> embedding of a training image
        self._seen, self._draw = 0, np.random.default_rng(seed)

    @abstractmethod
    def fit_embeddings(self, embeddings: list[Tensor]) -> None:
        """Fit the model to the embeddings of the normal training images; empty the list."""

    @abstractmethod
    def peak_bytes(self, n_images: int, embedding: Tensor) -> float:
        """Estimate the peak memory of a fit to ``n_images`` embeddings like the given one."""

    def embed(self, images: Tensor) -> EmbeddingResult:
        """Compare images with normal ones, see :meth:`EmbeddingScorer.embed`."""
        self.model.eval()
        return self.model.embed(images)

    def inference_state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return arguments and tensors of :func:`build_inference`.

        Raises:
            RuntimeError: If the model is not fitted.
        """
        if not self.model.is_fitted():
            raise RuntimeError(f"{self.method_name} is not fitted")
        return self.network, portable_tensors(self.model)

    def begin_with(self, initial: nn.Module, **own: Any) -> None:
        """Build the model of inference from anomalib's one, which has not been fitted.

        Args:
            initial: Model of anomalib with initial weights and random choices.
            own: Arguments of the scorer besides those of :class:`EmbeddingScorer`.
        """
        channels, size_px, _ = self.image_shape
        self.network = {
            "channels": channels,
            "size_px": size_px,
            "backbone": self.backbone_name,
            "layers": self.layers,
            "mean": list(self.backbone.mean),
            "std": list(self.backbone.std),
            **own,
        }
        built = build_inference(self.method_name, self.network, initial.state_dict())
        self.model = cast(EmbeddingScorer, built)

    def configure_optimizers(self) -> list[Any]:
        """Return no optimizer; Lightning warns of None."""
        return []

    def setup(self, stage: str) -> None:
        """Raise a UserError if there are several processes, as each has only some images."""
        if self.trainer.world_size > 1:
            raise UserError(
                f"invalid trainer.devices={self.trainer.world_size}: method={self.method_name} is "
                "fitted by one process; use trainer.devices=1"
            )
        self.train()  # Lightning warns of eval mode, which the backbone sets itself

    def on_train_start(self) -> None:
        """Load the ImageNet weights; raise a UserError if they are missing or do not fit."""
        if self.pretrained:
            network = self.get_submodule("model.feature_extractor.feature_extractor")
            load_weights(self.backbone_name, self.weights_path, network)

    def on_train_epoch_start(self) -> None:
        """Discard collected embeddings."""
        self._collected.clear()
        self._seen, self._draw = 0, np.random.default_rng(self.seed)

    @torch.no_grad()
    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Collect the embeddings of normal images.

        Args:
            batch: ``normal``: (N, C, H, W) in [-1, 1]; other entries are ignored.
            batch_idx: Number of the batch in this epoch; at the first, memory is checked.

        Raises:
            UserError: If the memory does not suffice; names the possible number of images.
        """
        images = batch["normal"]
        admitted = self._admit(len(images))
        if not admitted:
            return
        with torch.autocast(images.device.type, enabled=False):
            kept = images[list(admitted.values())].to(self.model.dtype)
            embeddings = self.model.eval().describe(kept)
        if batch_idx == 0:
            self._check_memory(embeddings[0], len(images) * self.trainer.num_training_batches)
        for place, embedding in zip(admitted, embeddings, strict=True):
            self._collected[place] = embedding.clone(memory_format=torch.contiguous_format)

    @torch.no_grad()
    def on_train_epoch_end(self) -> None:
        """Fit the model to the collected embeddings; checkpoints are written after this."""
        embeddings = [self._collected[place] for place in sorted(self._collected)]
        self._collected.clear()
        with seeded(self.seed), torch.autocast(self.device.type, enabled=False):
            self.fit_embeddings(embeddings)

    def _admit(self, count: int) -> dict[int, int]:
        """Draw the next images to keep (reservoir sampling): index among the kept -> position."""
        admitted = {}
        for position in range(count):
            place = self._seen
            self._seen += 1
            if self.max_train_images is not None and place >= self.max_train_images:
                place = int(self._draw.integers(self._seen))
            if self.max_train_images is None or place < self.max_train_images:
                admitted[place] = position
        return admitted

    def _check_memory(self, embedding: Tensor, n_images: float) -> None:
        if self.max_train_images is not None:
            n_images = min(n_images, self.max_train_images)
        needed, available = self.peak_bytes(int(n_images), embedding), available_bytes(self.device)
        if needed <= available:
            return
        possible = bisect_right(
            range(int(n_images)), available, key=lambda n: self.peak_bytes(n, embedding)
        )
        remedy = "use a smaller resolution, backbone or (PaDiM) method.n_features"
        if possible > 1:
            remedy = f"use method.max_train_images={possible - 1} or less (drawn from the seed)"
        raise UserError(
            f"method={self.method_name} needs {needed / 1e9:.1f} GB of memory for "
            f"{int(n_images)} training images of {self.image_shape[1]} px, and "
            f"{available / 1e9:.1f} GB are free on {self.device}; {remedy}"
        )
