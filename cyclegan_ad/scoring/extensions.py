"""Scores of ours on an image and its reconstruction, beside the paper's two.

Like the paper's, they are one float64 number an image, higher is more abnormal, in raw units.
"""

from __future__ import annotations

import math

import torch
from scipy import ndimage
from torch import Tensor

from cyclegan_ad.scoring.parts import check_shapes

# A pixel that hardly ever varies must not decide the score alone. Its variance is raised by a part
# of the mean over the image, and by that of rounding to 256 grey levels of [-1, 1] (step^2 / 12),
# below which there is no information.
_FLOOR_SHARE = 0.01
_ROUNDING_VARIANCE = (2 / 255) ** 2 / 12


def peak(maps: Tensor, sigma_px: float) -> Tensor:
    """Maximum of the smoothed anomaly map: a small defect counts as much as a large one.

    Outside the image it goes on as its mirror image (``d c b a | a b c d | d c b a``), so that no
    border pixel counts many times as it would if repeated. The Gaussian ends at four standard
    deviations; beyond are 6e-5 of its weight.

    Args:
        maps: (N, H, W) real, anomaly maps, of any size, also smaller than the Gaussian.
        sigma_px: standard deviation of the Gaussian, > 0; below 0.125 it changes nothing.

    Returns:
        (N,) float64, in the unit of the maps.

    Raises:
        ValueError: if the shape is not (N, H, W) with pixels or the width is not above 0.

    Example:
        >>> maps = torch.zeros(2, 32, 32)
        >>> maps[0, 16, 16] = 1.0
        >>> [round(score, 4) for score in peak(maps, sigma_px=2.0).tolist()]  # 1 / (2 pi 2^2)
        [0.0398, 0.0]
    """
    if maps.ndim != 3 or 0 in maps.shape[1:]:
        raise ValueError(f"maps must be (N, H, W), not {tuple(maps.shape)}")
    if not (math.isfinite(sigma_px) and sigma_px > 0):
        raise ValueError(f"sigma_px must be above 0, not {sigma_px}")
    plain = maps.double().cpu().numpy()
    smooth = ndimage.gaussian_filter(plain, sigma_px, mode="reflect", truncate=4.0, axes=(1, 2))
    return torch.from_numpy(smooth).amax(dim=(1, 2)).to(maps.device)


class ErrorVariance:
    """Running variance of reconstruction errors, a value a pixel and channel.

    Means and sums of squares are merged batch by batch (Chan, Golub and LeVeque), in float64: the
    size of the batches changes no more than rounding.
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean: Tensor | None = None
        self._squares: Tensor | None = None  # sum of squared deviations from the mean

    def update(self, images: Tensor, reconstructions: Tensor) -> None:
        """Take in normal images and what became of them.

        Args:
            images: (N, C, H, W) real in [-1, 1]; C, H and W the same each time.
            reconstructions: (N, C, H, W) real in [-1, 1].

        Raises:
            ValueError: if the shapes differ or an error is not finite.
        """
        check_shapes(images, reconstructions)
        if len(images) == 0:
            return
        errors = reconstructions.double() - images.double()
        if not bool(torch.isfinite(errors).all()):
            raise ValueError("a reconstruction error is not finite")
        count, mean = len(errors), errors.mean(dim=0)
        squares = (errors - mean).square().sum(dim=0)
        if self._mean is None or self._squares is None:
            self._count, self._mean, self._squares = count, mean, squares
            return
        if mean.shape != self._mean.shape:
            raise ValueError(
                f"images are {tuple(mean.shape)}, but those before {tuple(self._mean.shape)}"
            )
        both, shift = self._count + count, mean - self._mean
        self._mean = self._mean + shift * (count / both)
        self._squares = self._squares + squares + shift.square() * (self._count * count / both)
        self._count = both

    def compute(self) -> Tensor:
        """Variance about the mean error, raised a little where errors hardly vary.

        Returns:
            (C, H, W) float64 > 0: the population variance, plus 1 % of its mean over all pixels and
            channels, plus that of rounding to 256 levels (5e-6).

        Raises:
            ValueError: if fewer than 2 images were taken in.
        """
        if self._squares is None or self._count < 2:
            raise ValueError(f"the variance of the errors needs 2 images, not {self._count}")
        variance = self._squares / self._count
        # By NumPy, on one thread: how torch adds up depends on the number of its threads.
        mean = float(variance.cpu().numpy().mean())
        return variance + (_FLOOR_SHARE * mean + _ROUNDING_VARIANCE)


def standardised(images: Tensor, reconstructions: Tensor, variance: Tensor) -> Tensor:
    """Sum over pixels and channels of the squared difference over the variance of the error there.

    Where normal images are hard to reconstruct, an error says little. An image that is as well
    reconstructed as a normal one, its errors without a bias, scores about C H W.

    Args:
        images: (N, C, H, W) real in [-1, 1].
        reconstructions: (N, C, H, W) real in [-1, 1].
        variance: (C, H, W) > 0, from `ErrorVariance`.

    Returns:
        (N,) float64 >= 0, without a unit.

    Raises:
        ValueError: if the shapes do not fit together or the variance is not positive and finite.

    Example:
        >>> image, reconstruction = torch.zeros(1, 1, 1, 2), torch.full((1, 1, 1, 2), 0.5)
        >>> standardised(image, reconstruction, torch.tensor([[[0.25, 0.125]]])).tolist()
        [3.0]
    """
    check_shapes(images, reconstructions)
    if variance.shape != images.shape[1:]:
        raise ValueError(
            f"the variance must be {tuple(images.shape[1:])} as the images, not "
            f"{tuple(variance.shape)}"
        )
    if not bool((torch.isfinite(variance) & (variance > 0)).all()):
        raise ValueError("the variance must be positive and finite everywhere")
    squares = (images.double() - reconstructions.double()).square()
    return (squares / variance.double()).sum(dim=(1, 2, 3))
