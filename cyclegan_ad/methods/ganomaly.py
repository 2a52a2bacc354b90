"""GANomaly (Akcay et al., 2018): an encoder-decoder-encoder trained on normal images only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.nn import functional
from torch.optim import Adam

from cyclegan_ad.methods.embedding import seeded
from cyclegan_ad.methods.loss_watch import LossWatch, check_weights
from cyclegan_ad.methods.losses import adversarial_loss
from cyclegan_ad.networks.embedding import EmbeddingResult
from cyclegan_ad.networks.ganomaly import GANomalyGenerator
from cyclegan_ad.networks.inference import build_inference, portable_tensors
from cyclegan_ad.pretrained.backbones import ensure_baseline, importing_anomalib


class GANomaly(pl.LightningModule):
    """The networks of GANomaly, with manual optimisation and the published losses.

    The networks need images whose size is a power of two; others are padded evenly with mid grey,
    and reconstructions are cropped. Initial weights are drawn from N(0, 0.02), as published.

    Args:
        channels: Channels of the images, 1 or 3.
        size_px: Height and width of the images.
        base_channels: Width of the first layers (64 as published).
        latent_size: Length of the latent vector (100 as published).
        lambda_adv: Weight of the adversarial loss (1 as published).
        lambda_con: Weight of the contextual loss (50 as published).
        lambda_enc: Weight of the latent loss (1 as published).
        learning_rate: Learning rate of Adam (2e-4 as published).
        betas: Coefficients of Adam's averages (0.5, 0.999 as published).
        seed: Seed of the initial weights.

    Raises:
        UserError: If anomalib is not installed.
    """

    hparams: dict[str, Any]
    generator: GANomalyGenerator
    discriminator: Any  # of anomalib

    def __init__(
        self,
        *,
        channels: int,
        size_px: int,
        base_channels: int,
        latent_size: int,
        lambda_adv: float,
        lambda_con: float,
        lambda_enc: float,
        learning_rate: float,
        betas: tuple[float, float],
        seed: int,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        ensure_baseline("ganomaly")
        with importing_anomalib():
            from anomalib.models.image.ganomaly.torch_model import GanomalyModel
        padded_px = 1 << (size_px - 1).bit_length()
        with seeded(seed):
            networks = GanomalyModel(
                input_size=(padded_px, padded_px),
                num_input_channels=channels,
                n_features=base_channels,
                latent_vec_size=latent_size,
            )
            networks.apply(GanomalyModel.weights_init)  # the call in anomalib has no effect
        self.network = {
            "channels": channels,
            "size_px": size_px,
            "base_channels": base_channels,
            "latent_size": latent_size,
        }
        generator = build_inference("ganomaly", self.network, networks.generator.state_dict())
        self.generator = cast(GANomalyGenerator, generator.train())
        self.discriminator = networks.discriminator
        self.lambda_adv, self.lambda_con, self.lambda_enc = lambda_adv, lambda_con, lambda_enc
        self.learning_rate, self.betas = learning_rate, betas
        self.watch = LossWatch()

    def reconstruct(self, images: Tensor) -> Tensor:
        """Reconstruct images as normal, in eval mode: (N, C, H, W) in [-1, 1] to the same."""
        with self._generator_in_eval_mode():
            return self.generator.reconstruct(images)

    def embed(self, images: Tensor) -> EmbeddingResult:
        """Compare latent vectors, see :meth:`GANomalyGenerator.embed`."""
        with self._generator_in_eval_mode():
            return self.generator.embed(images)

    def inference_state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return arguments and tensors of :func:`build_inference`."""
        return self.network, portable_tensors(self.generator)

    def generator_losses(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Compute the losses of the generator on normal images (Eqs. 1 to 4 of the GANomaly paper).

        As in the authors' code, features of the discriminator and latent vectors are compared by
        mean squares. (anomalib compares predictions of the discriminator, and latents by smooth
        L1.)

        Args:
            images: (N, C, H, W) in [-1, 1], padded.

        Returns:
            Scalar losses, unweighted except their weighted sum ``generator``, and the fake images.
        """
        fake, latent, latent_of_fake = self.generator(images)
        losses = {
            "adversarial": functional.mse_loss(
                self.discriminator(fake)[1], self.discriminator(images)[1]
            ),
            "contextual": functional.l1_loss(fake, images),
            "latent": functional.mse_loss(latent_of_fake, latent),
        }
        losses["generator"] = (
            self.lambda_adv * losses["adversarial"]
            + self.lambda_con * losses["contextual"]
            + self.lambda_enc * losses["latent"]
        )
        return losses, fake

    def discriminator_loss(self, images: Tensor, fake: Tensor) -> Tensor:
        """Compute the log loss of the discriminator on real images and fakes, halved.

        Args:
            images: (N, C, H, W) in [-1, 1], padded.
            fake: (N, C, H, W) in [-1, 1], without gradient.

        Returns:
            Scalar.
        """
        return 0.5 * (
            adversarial_loss(self._logits(images), real=True, kind="log")
            + adversarial_loss(self._logits(fake), real=False, kind="log")
        )

    def _logits(self, images: Tensor) -> Tensor:
        """Predict logits, avoiding the logarithm of 0: (N, C, H, W) to (N,)."""
        return self.discriminator.classifier[0](self.discriminator.features(images)).flatten()

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Update the generator, then the discriminator.

        Args:
            batch: ``normal``: (N, C, H, W) in [-1, 1]; other entries are ignored.
            batch_idx: Number of the batch in this epoch.

        Raises:
            NonFiniteLossError: If a loss is NaN or infinite.
        """
        images = self.generator.pad(batch["normal"])
        generator, discriminator = cast(list[LightningOptimizer], self.optimizers())

        self.discriminator.requires_grad_(False)
        losses, fake = self.generator_losses(images)
        generator.zero_grad()
        self.manual_backward(losses["generator"])
        generator.step()

        self.discriminator.requires_grad_(True)
        losses["discriminator"] = self.discriminator_loss(images, fake.detach())
        discriminator.zero_grad()
        self.manual_backward(losses["discriminator"])
        discriminator.step()

        losses = {name: value.detach() for name, value in losses.items()}
        # Lightning counts the steps of each optimizer; a training step has two.
        self.watch.note(losses, self.global_step // 2, self.current_epoch)
        self.log_dict({f"loss/{name}": value for name, value in losses.items()})
        self.log("learning_rate", torch.tensor(generator.param_groups[0]["lr"]))

    def configure_optimizers(self) -> list[Adam]:
        """Return Adam of the generator and Adam of the discriminator."""
        return [
            Adam(network.parameters(), lr=self.learning_rate, betas=self.betas, fused=True)
            for network in (self.generator, self.discriminator)
        ]

    def on_train_epoch_end(self) -> None:
        """Check losses and weights, so that no bad epoch is checkpointed."""
        self.watch.check()
        check_weights(self, self.current_epoch)

    @contextmanager
    def _generator_in_eval_mode(self) -> Iterator[None]:
        """Switch the generator to eval mode: in train mode, batch norm mixes the images."""
        training = self.generator.training
        self.generator.eval()
        try:
            yield
        finally:
            self.generator.train(training)
