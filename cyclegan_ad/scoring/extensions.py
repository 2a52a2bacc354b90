"""Scores of an image and its reconstruction that extend the two of the paper.

Like those, they are one float64 value per image, higher is more abnormal, in raw units.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cyclegan_ad.scoring.parts import check_shapes
from cyclegan_ad.text import counted

# A pixel with almost no variation must not dominate the score. Its variance is raised by a fraction
# of the mean over the image, and by that of rounding to 256 grey levels of [-1, 1] (step^2 / 12),
# below which there is no information.
_FLOOR_SHARE = 0.01
ROUNDING_VARIANCE = (2 / 255) ** 2 / 12


def peak(maps: Tensor, sigma_px: float) -> Tensor:
    """Compute the maximum of the smoothed anomaly map: small and large defects count equally.

    The map is extended by reflection (``d c b a | a b c d | d c b a``), so that no border pixel
    counts many times. The Gaussian is truncated at four standard deviations (6e-5 of its weight).

    Args:
        maps: (N, H, W) real, anomaly maps of any size, also smaller than the Gaussian.
        sigma_px: Standard deviation of the Gaussian in pixels, > 0; no effect below 0.125.

    Returns:
        (N,) float64, in units of the maps.

    Raises:
        ValueError: If the shape is not (N, H, W) with pixels, or ``sigma_px`` is not positive.

    Example:
        >>> maps = torch.zeros(2, 32, 32)
        >>> maps[0, 16, 16] = 1.0
        >>> [round(score, 4) for score in peak(maps, sigma_px=2.0).tolist()]  # 1 / (2 pi 2^2)
        [0.0398, 0.0]
    """
    if maps.ndim != 3 or 0 in maps.shape[1:]:
        raise ValueError(f"invalid maps of shape {tuple(maps.shape)}: expected (N, H, W)")
    if not (math.isfinite(sigma_px) and sigma_px > 0):
        raise ValueError(f"invalid sigma_px={sigma_px}: expected a number > 0")
    from scipy import ndimage  # slow to import

    plain = maps.double().cpu().numpy()
    smooth = ndimage.gaussian_filter(plain, sigma_px, mode="reflect", truncate=4.0, axes=(1, 2))
    return torch.from_numpy(smooth).amax(dim=(1, 2)).to(maps.device)


class ErrorVariance:
    """Running variance of reconstruction errors for each pixel and channel.

    Means and sums of squares are merged batch by batch (Chan, Golub and LeVeque) in float64: the
    batch size affects the result by rounding only.
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean: Tensor | None = None
        self._squares: Tensor | None = None  # sum of squared deviations from the mean

    def update(self, images: Tensor, reconstructions: Tensor) -> None:
        """Add the reconstruction errors of normal images.

        Args:
            images: (N, C, H, W) real in [-1, 1]; C, H and W the same in each call.
            reconstructions: (N, C, H, W) real in [-1, 1].

        Raises:
            ValueError: If the shapes differ or an error is not finite.
        """
        check_shapes(images, reconstructions)
        if len(images) == 0:
            return
        errors = reconstructions.double() - images.double()
        if not bool(torch.isfinite(errors).all()):
            raise ValueError("reconstruction errors contain NaN or infinity")
        count, mean = len(errors), errors.mean(dim=0)
        squares = (errors - mean).square().sum(dim=0)
        if self._mean is None or self._squares is None:
            self._count, self._mean, self._squares = count, mean, squares
            return
        if mean.shape != self._mean.shape:
            raise ValueError(
                f"invalid images of shape {tuple(mean.shape)}: expected {tuple(self._mean.shape)} "
                "as before"
            )
        both, shift = self._count + count, mean - self._mean
        self._mean = self._mean + shift * (count / both)
        self._squares = self._squares + squares + shift.square() * (self._count * count / both)
        self._count = both

    def compute(self) -> Tensor:
        """Compute the variance about the mean error, with a floor against tiny values.

        Returns:
            (C, H, W) float64 > 0: the population variance, plus 1 % of its mean over all pixels and
            channels, plus that of rounding to 256 levels (5e-6).

        Raises:
            ValueError: If there were fewer than 2 images.
        """
        if self._squares is None or self._count < 2:
            raise ValueError(
                f"variance undefined for {counted(self._count, 'image')}: expected 2 or more"
            )
        variance = self._squares / self._count
        # By NumPy on one thread: the order of summation in torch depends on the number of threads.
        mean = float(variance.cpu().numpy().mean())
        return variance + (_FLOOR_SHARE * mean + ROUNDING_VARIANCE)


def standardised(images: Tensor, reconstructions: Tensor, variance: Tensor) -> Tensor:
    """Sum the squared differences, each divided by the variance of the error there.

    Errors count less where normal images are hard to reconstruct. An image reconstructed as well as
    a normal one, with unbiased errors, has a score of about C H W.

    Args:
        images: (N, C, H, W) real in [-1, 1].
        reconstructions: (N, C, H, W) real in [-1, 1].
        variance: (C, H, W) > 0, from `ErrorVariance`.

    Returns:
        (N,) float64 >= 0, dimensionless.

    Raises:
        ValueError: If the shapes are inconsistent or the variance is not positive and finite.

    Example:
        >>> image, reconstruction = torch.zeros(1, 1, 1, 2), torch.full((1, 1, 1, 2), 0.5)
        >>> standardised(image, reconstruction, torch.tensor([[[0.25, 0.125]]])).tolist()
        [3.0]
    """
    check_shapes(images, reconstructions)
    if variance.shape != images.shape[1:]:
        raise ValueError(
            f"invalid variance of shape {tuple(variance.shape)}: expected "
            f"{tuple(images.shape[1:])} as the images"
        )
    if not bool((torch.isfinite(variance) & (variance > 0)).all()):
        raise ValueError("invalid variance: expected positive finite values")
    squares = (images.double() - reconstructions.double()).square()
    return (squares / variance.double()).sum(dim=(1, 2, 3))
