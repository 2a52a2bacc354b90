"""The losses of the paper (Sec. 2.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

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
    """

    lambda_cyc: float
    lambda_ide: float
    adversarial_loss: AdversarialLoss

    def weighted_sum(self, identity: Tensor, gan: Tensor, cycle: Tensor) -> Tensor:
        """Add the losses of a generator, scalars, or their sums over both generators."""
        return self.lambda_ide * identity + gan + self.lambda_cyc * cycle

    def of_generators(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Add the losses of both generators: ``identity_normal``, ``identity_abnormal`` etc."""
        return self.weighted_sum(
            losses["identity_normal"] + losses["identity_abnormal"],
            losses["gan_normal"] + losses["gan_abnormal"],
            losses["cycle_normal"] + losses["cycle_abnormal"],
        )

    def gan_loss(self, discriminator: nn.Module, fake: Tensor) -> Tensor:
        """Adversarial loss of a generator, whose images should be judged real.

        Args:
            discriminator: Of the domain translated into.
            fake: (N, C, H, W) in [-1, 1], generated.
        """
        return adversarial_loss(discriminator(fake), real=True, kind=self.adversarial_loss)

    def discriminator_loss(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """Adversarial loss of a discriminator, halved (published code).

        Args:
            discriminator: Of the domain of the images.
            real: (N, C, H, W) in [-1, 1].
            fake: (N, C, H, W) in [-1, 1], generated, without gradient.
        """
        judged_real, judged_fake = discriminator(torch.cat([real, fake])).chunk(2)
        return 0.5 * (
            adversarial_loss(judged_real, real=True, kind=self.adversarial_loss)
            + adversarial_loss(judged_fake, real=False, kind=self.adversarial_loss)
        )


def adversarial_loss(prediction: Tensor, *, real: bool, kind: AdversarialLoss) -> Tensor:
    """Adversarial loss: how far predictions are from those for real or for generated images.

    Args:
        prediction: (N, 1, h, w) output of a discriminator, unbounded.
        real: Whether it should have predicted real.
        kind: ``least_squares`` (the authors' published code) or ``log`` (the paper's text; it
            takes predictions as logits).

    Returns:
        Scalar, mean over all patches, >= 0.

    Raises:
        ValueError: If ``kind`` is neither of the two.
    """
    target = torch.ones_like(prediction) if real else torch.zeros_like(prediction)
    if kind == "least_squares":
        return functional.mse_loss(prediction, target)
    if kind == "log":
        return functional.binary_cross_entropy_with_logits(prediction, target)
    raise ValueError(f"adversarial_loss must be 'least_squares' or 'log', not {kind!r}")


def cycle_loss(cycled: Tensor, real: Tensor) -> Tensor:
    """Cycle-consistency loss L_cyc of one domain (Sec. 2.2): translating twice restores an image.

    Args:
        cycled: (N, C, H, W) in [-1, 1], the images after both translations.
        real: (N, C, H, W) in [-1, 1], the images given.

    Returns:
        Scalar, mean absolute error of the pixels, >= 0.

    Raises:
        ValueError: If the shapes differ.
    """
    return _mean_absolute_error(cycled, real)


def identity_loss(identity: Tensor, real: Tensor) -> Tensor:
    """Identity loss L_ide of one domain (Sec. 2.2): an image of the domain stays as it is.

    Args:
        identity: (N, C, H, W) in [-1, 1], the images translated into their own domain.
        real: (N, C, H, W) in [-1, 1], the images given.

    Returns and raises as :func:`cycle_loss`.
    """
    return _mean_absolute_error(identity, real)


def _mean_absolute_error(a: Tensor, b: Tensor) -> Tensor:
    if a.shape != b.shape:
        raise ValueError(f"expected images of one shape, not {tuple(a.shape)} and {tuple(b.shape)}")
    return functional.l1_loss(a, b)
