"""The losses of the paper (Sec. 2.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from cyclegan_ad.methods.discriminator_augmentation import Judge

AdversarialLoss = Literal["least_squares", "log"]


@dataclass(frozen=True)
class Objective:
    """The full objective (Sec. 2.2).

    The two generators, G (``generator_to_normal``) and F (``generator_to_abnormal``), minimise

        L_GAN(G, D_Y) + L_GAN(F, D_X) + lambda_cyc * L_cyc(G, F) + lambda_ide * L_ide(G, F)

    Attributes:
        lambda_cyc: Weight of the cycle-consistency losses (10 in the paper).
        lambda_ide: Weight of the identity losses (5 in the paper).
        adversarial_loss: ``least_squares`` (published code) or ``log`` (paper, Sec. 2.2).
        opposite_real_weight: Weight, in the loss of a discriminator, of real images of the other
            class as further images to reject (0, none, in the paper).
    """

    lambda_cyc: float
    lambda_ide: float
    adversarial_loss: AdversarialLoss
    opposite_real_weight: float = 0.0

    def weighted_sum(self, identity: Tensor, gan: Tensor, cycle: Tensor) -> Tensor:
        """Return the weighted sum of the losses of one generator, or of sums over both, scalars."""
        return self.lambda_ide * identity + gan + self.lambda_cyc * cycle

    def sum_generators(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted sum of the losses of both generators, ``identity_normal`` etc."""
        return self.weighted_sum(
            losses["identity_normal"] + losses["identity_abnormal"],
            losses["gan_normal"] + losses["gan_abnormal"],
            losses["cycle_normal"] + losses["cycle_abnormal"],
        )

    def gan_loss(self, discriminator: Judge, fake: Tensor) -> Tensor:
        """Compute the adversarial loss of a generator (L_GAN, Sec. 2.2).

        Args:
            discriminator: Discriminator of the target domain.
            fake: (N, C, H, W) in [-1, 1], generated.

        Returns:
            Scalar >= 0.
        """
        return adversarial_loss(discriminator(fake), real=True, kind=self.adversarial_loss)

    def discriminator_loss(
        self, discriminator: Judge, real: Tensor, fake: Tensor, opposite: Tensor
    ) -> Tensor:
        """Compute the adversarial loss of a discriminator, halved (published code).

        With ``opposite_real_weight`` the discriminator also learns to reject real images of the
        other class, as one that is given wrong captions too (Reed et al., 2016, "Generative
        adversarial text to image synthesis", GAN-CLS): its loss for these is added.

        Args:
            discriminator: Discriminator of the domain of the images.
            real: (N, C, H, W) in [-1, 1].
            fake: (N, C, H, W) in [-1, 1], generated, without gradient.
            opposite: (N, C, H, W) in [-1, 1], real images of the other domain.

        Returns:
            Scalar >= 0.
        """
        kind, weight = self.adversarial_loss, self.opposite_real_weight
        images = [real, fake] if weight == 0 else [real, fake, opposite]
        judged = discriminator(torch.cat(images)).chunk(len(images))
        loss = 0.5 * (
            adversarial_loss(judged[0], real=True, kind=kind)
            + adversarial_loss(judged[1], real=False, kind=kind)
        )
        if weight == 0:
            return loss
        return loss + weight * adversarial_loss(judged[2], real=False, kind=kind)


def adversarial_loss(prediction: Tensor, *, real: bool, kind: AdversarialLoss) -> Tensor:
    """Compute the adversarial loss of predictions for real or generated images.

    Args:
        prediction: (N, 1, h, w) output of a discriminator, unbounded.
        real: Whether the target is real.
        kind: ``least_squares`` (published code) or ``log`` (paper, Sec. 2.2; predictions are
            logits).

    Returns:
        Scalar, mean over all patches, >= 0.
    """
    target = torch.ones_like(prediction) if real else torch.zeros_like(prediction)
    if kind == "least_squares":
        return functional.mse_loss(prediction, target)
    return functional.binary_cross_entropy_with_logits(prediction, target)


def cycle_loss(cycled: Tensor, real: Tensor) -> Tensor:
    """Compute the cycle-consistency loss L_cyc of one domain (Sec. 2.2).

    Args:
        cycled: (N, C, H, W) in [-1, 1], the images after both translations.
        real: (N, C, H, W) in [-1, 1], the original images.

    Returns:
        Scalar, mean absolute error of the pixels, >= 0.

    Raises:
        ValueError: If the shapes differ.
    """
    if cycled.shape != real.shape:
        raise ValueError(
            f"expected images of equal shape, got {tuple(cycled.shape)} and {tuple(real.shape)}"
        )
    return functional.l1_loss(cycled, real)


def identity_loss(identity: Tensor, real: Tensor) -> Tensor:
    """Compute the identity loss L_ide of one domain (Sec. 2.2), as :func:`cycle_loss`.

    Args:
        identity: (N, C, H, W) in [-1, 1], the images translated into their own domain.
        real: (N, C, H, W) in [-1, 1], the original images.
    """
    return cycle_loss(identity, real)
