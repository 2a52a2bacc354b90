"""A common implementation of the paper's two scores: image by image, in float32.

Nothing is batched, kept or shared: each image is reconstructed alone, and the Inception of
pytorch-fid sees each image and each reconstruction alone. The benchmark measures against this, and
a test compares the values.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from torch import Tensor, nn

from cyclegan_ad.pretrained.inception_weights import build_inception

Floats = NDArray[np.float64]
Reconstruct = Callable[[Tensor], Tensor]


def reference_inception() -> nn.Module:
    """pytorch-fid's Inception as it comes: (N, 3, H, W) in [0, 1] to [(N, 2048, 1, 1)].

    Raises:
        UserError: If the weights cannot be had or read.
    """
    network: nn.Module = build_inception()[0]
    return network.eval()


@torch.no_grad()
def reference_sse(reconstruct: Reconstruct, images: Tensor) -> Floats:
    """Sum of squared differences of each image and its reconstruction (Sec. 2.3).

    Args:
        reconstruct: (1, C, H, W) in [-1, 1] to the same, on the device of the images.
        images: (N, C, H, W) float32 in [-1, 1].

    Returns:
        (N,) >= 0.
    """
    scores = []
    for image in images:
        reconstruction = reconstruct(image[None])[0]
        difference = (image.cpu().numpy() - reconstruction.cpu().numpy()).astype(np.float64)
        scores.append(np.sum(difference**2))
    return np.array(scores)


@torch.no_grad()
def reference_fid(reconstruct: Reconstruct, images: Tensor, inception: nn.Module) -> Floats:
    """Frechet Inception distance of each image and its reconstruction (Sec. 2.3).

    Args:
        reconstruct: (1, C, H, W) in [-1, 1] to the same, on the device of the images.
        images: (N, C, H, W) float32 in [-1, 1], C = 1 or 3.
        inception: Of :func:`reference_inception`, on the device of the images.

    Returns:
        (N,) >= 0 but for rounding.
    """
    scores = []
    for image in images:
        before = _features(image, inception)
        after = _features(reconstruct(image[None])[0], inception)
        scores.append(frechet_distance(before, np.cov(before), after, np.cov(after)))
    return np.array(scores)


def frechet_distance(mu1: Floats, sigma1: Floats, mu2: Floats, sigma2: Floats) -> float:
    """Frechet distance of two Gaussians, as pytorch-fid computes it.

    That package's own function does not run with scipy 1.17, whose ``sqrtm`` gives one value.

    Args:
        mu1: (D,) mean of the first.
        sigma1: (D, D) covariance of the first; the paper's score gives a scalar.
        mu2: (D,) mean of the second.
        sigma2: (D, D) covariance of the second, or a scalar.

    Returns:
        ``|mu1 - mu2|^2 + Tr(sigma1 + sigma2 - 2 sqrt(sigma1 sigma2))``.

    Example:
        >>> zero, ones = np.zeros(2), np.ones(2)
        >>> frechet_distance(zero, np.eye(2), ones, 4 * np.eye(2))  # 2 + 2 + 8 - 2 * 4
        4.0
    """
    sigma1, sigma2 = np.atleast_2d(sigma1), np.atleast_2d(sigma2)
    difference = mu1 - mu2
    root = np.real(sqrtm(sigma1.dot(sigma2)))
    return float(
        difference.dot(difference) + np.trace(sigma1) + np.trace(sigma2) - 2 * np.trace(root)
    )


def _features(image: Tensor, inception: nn.Module) -> Floats:
    """(C, H, W) in [-1, 1] to (2048,)."""
    colour = image.expand(3, -1, -1)[None]
    pooled: Tensor = inception((colour + 1) / 2)[0]
    return pooled.flatten().cpu().numpy().astype(np.float64)
