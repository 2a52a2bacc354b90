"""A common implementation of the paper's two scores, image by image in float32.

The reference of the benchmark and of a test: nothing is batched, cached or shared.
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
    """Return the Inception of pytorch-fid, (N, 3, H, W) in [0, 1] to [(N, 2048, 1, 1)].

    Raises:
        UserError: If the weights cannot be found or read.
    """
    return build_inception()[0].eval()


@torch.no_grad()
def reference_sse(reconstruct: Reconstruct, images: Tensor) -> Floats:
    """Compute the summed squared difference of each image and its reconstruction (Sec. 2.3).

    Args:
        reconstruct: Maps (1, C, H, W) in [-1, 1] to the same, on the device of the images.
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
    """Compute the Frechet Inception distance of each image and its reconstruction (Sec. 2.3).

    Args:
        reconstruct: Maps (1, C, H, W) in [-1, 1] to the same, on the device of the images.
        images: (N, C, H, W) float32 in [-1, 1], C = 1 or 3.
        inception: Network of :func:`reference_inception`, on the device of the images.

    Returns:
        (N,) >= 0 up to rounding.
    """
    scores = []
    for image in images:
        before = _features(image, inception)
        after = _features(reconstruct(image[None])[0], inception)
        scores.append(frechet_distance(before, np.cov(before), after, np.cov(after)))
    return np.array(scores)


def frechet_distance(mu1: Floats, sigma1: Floats, mu2: Floats, sigma2: Floats) -> float:
    """Compute the Frechet distance of two Gaussians as pytorch-fid does.

    ``|mu1 - mu2|^2 + Tr(sigma1 + sigma2 - 2 sqrt(sigma1 sigma2))`` of means (D,) and covariances
    (D, D), or scalars as in the paper. The function of pytorch-fid does not run with scipy 1.17.

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
