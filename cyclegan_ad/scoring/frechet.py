"""Frechet distances between the deep features of single images.

They are computed in float64: a distance is a small difference of large sums.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def single_image_frechet(features: Tensor, other: Tensor) -> Tensor:
    """Compute the Frechet distance of two images from pooled features, the paper's ``fid``.

    A single image has no covariance over images: the paper uses the features of an image as the
    mean, and their standard deviation over the D features (with D - 1 in the denominator) as a
    scalar deviation, which gives ``|f1 - f2|^2 + (std(f1) - std(f2))^2``.

    Args:
        features: (N, D) real, D >= 2, pooled features of N images.
        other: (N, D) real, pooled features of the N images they are compared with.

    Returns:
        (N,) float64, >= 0, in squared feature units; 0 for equal features.

    Raises:
        ValueError: If the shapes differ or are not (N, D) with D >= 2.

    Example:
        >>> a = torch.tensor([[0.0, 2.0]])  # std sqrt(2)
        >>> single_image_frechet(a, 3 * a).tolist()  # |(0, 4)|^2 + (2 sqrt(2))^2
        [24.0]
    """
    if features.shape != other.shape or features.ndim != 2 or features.shape[1] < 2:
        raise ValueError(
            f"invalid features of shapes {tuple(features.shape)} and {tuple(other.shape)}: "
            "expected (N, D) with D >= 2 for both"
        )
    f1, f2 = features.double(), other.double()
    spread = f1.std(dim=1, correction=1) - f2.std(dim=1, correction=1)
    return (f1 - f2).square().sum(dim=1) + spread.square()


def spatial_frechet(maps: Tensor, other: Tensor) -> Tensor:
    """Compute the Frechet distance of two images from the positions of a feature map.

    Extension of the paper: the h*w positions of an intermediate layer are the samples of a
    C-dimensional Gaussian per image (covariance with h*w - 1 in the denominator), and
    ``d^2 = |mu1 - mu2|^2 + Tr(C1 + C2 - 2 sqrt(C1 C2))``.

    With X the centred (positions, C) samples divided by sqrt(h*w - 1), ``C = X^T X`` and
    ``Tr sqrt(C1 C2)`` is the nuclear norm of ``X1 X2^T``: this needs no matrix root, and no C x C
    matrix if there are fewer positions than channels.

    Args:
        maps: (N, C, h, w) real, h*w >= 2, feature maps of N images.
        other: (N, C, h, w) real, feature maps of the N images they are compared with.

    Returns:
        (N,) float64, >= 0, in squared feature units; 0 up to rounding for equal maps,
        not finite for an image whose maps are not.

    Raises:
        ValueError: If the shapes differ or are not (N, C, h, w) with h*w >= 2.
    """
    if maps.shape != other.shape or maps.ndim != 4 or maps.shape[2] * maps.shape[3] < 2:
        raise ValueError(
            f"invalid maps of shapes {tuple(maps.shape)} and {tuple(other.shape)}: expected "
            "(N, C, h, w) with h*w >= 2 for both"
        )
    samples = zip(maps.double().flatten(2).mT, other.double().flatten(2).mT, strict=True)
    # One at a time: a non-finite image would make the factorisations of all fail.
    return torch.stack([_from_samples(one, another) for one, another in samples])


def _from_samples(s1: Tensor, s2: Tensor) -> Tensor:
    """Compute the distance of the Gaussians of two sets of samples, (positions, C) each."""
    positions, channels = s1.shape
    mu1, mu2 = s1.mean(dim=0), s2.mean(dim=0)
    x1 = (s1 - mu1) / math.sqrt(positions - 1)  # C1 = x1^T x1
    x2 = (s2 - mu2) / math.sqrt(positions - 1)
    distance: Tensor = (mu1 - mu2).square().sum() + x1.square().sum() + x2.square().sum()
    if not torch.isfinite(distance):
        return distance  # the factorisations below would fail to converge
    if positions > channels:
        # With x = q r, C = r^T r: the (C, C) factors r replace the samples.
        x1, x2 = torch.linalg.qr(x1, mode="r").R, torch.linalg.qr(x2, mode="r").R
    distance -= 2 * torch.linalg.svdvals(x1 @ x2.mT).sum()
    return distance.clamp_min(0)  # rounding can leave -1e-12 for equal maps
