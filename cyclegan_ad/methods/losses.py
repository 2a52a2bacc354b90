"""The losses of the paper (Sec. 2.2), as plain functions of tensors.

The full objective of the generators, G (``generator_to_normal``) and F (``generator_to_abnormal``):

    L = L_GAN(G, D_Y) + L_GAN(F, D_X) + lambda_cyc * L_cyc(G, F) + lambda_ide * L_ide(G, F)
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

AdversarialLoss = Literal["least_squares", "log"]


def adversarial_loss(prediction: Tensor, *, real: bool, kind: AdversarialLoss) -> Tensor:
    """How far a discriminator's prediction is from "real" or from "generated".

    Args:
        prediction: (N, 1, h, w) output of a discriminator, unbounded.
        real: What it should have predicted.
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
    """Cycle-consistency loss L_cyc of one domain (Sec. 2.2): there and back changes nothing.

    Args:
        cycled: (N, C, H, W) in [-1, 1], the images after both translations.
        real: (N, C, H, W) in [-1, 1], the images given.

    Returns:
        Scalar, mean absolute error a pixel, >= 0.

    Raises:
        ValueError: If the shapes differ.
    """
    return _mean_absolute_error(cycled, real)


def identity_loss(identity: Tensor, real: Tensor) -> Tensor:
    """Identity loss L_ide of one domain (Sec. 2.2): an image already there stays as it is.

    Args:
        identity: (N, C, H, W) in [-1, 1], the images passed through their own domain's generator.
        real: (N, C, H, W) in [-1, 1], the images given.

    Returns:
        Scalar, mean absolute error a pixel, >= 0.

    Raises:
        ValueError: If the shapes differ.
    """
    return _mean_absolute_error(identity, real)


def _mean_absolute_error(a: Tensor, b: Tensor) -> Tensor:
    if a.shape != b.shape:
        raise ValueError(
            f"images of one shape are needed, not {tuple(a.shape)} and {tuple(b.shape)}"
        )
    return functional.l1_loss(a, b)
