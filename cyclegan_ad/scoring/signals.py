"""Signals: scores from all four networks of a CycleGAN, beyond the paper's use of one.

In the paper's symbols (Sec. 2.2) ``generator_to_normal`` is G, ``generator_to_abnormal`` F,
``discriminator_normal`` D_Y and ``discriminator_abnormal`` D_X. Each signal of an image x is one
float64 value, higher for more abnormal, in raw units, finite for finite inputs, and a function of
that image alone.
"""

from __future__ import annotations

from torch import Tensor

from cyclegan_ad.scoring.extensions import ROUNDING_VARIANCE, peak
from cyclegan_ad.scoring.parts import View, check_shapes


def change_abnormal(images: Tensor, made_abnormal: Tensor) -> Tensor:
    """Compute ``-|x - F(x)|^2``, minus the ``sse`` of the other generator.

    An abnormal image needs no change to look abnormal: the identity loss (L_ide, Sec. 2.2) trains
    F to leave it alone.

    Args:
        images: (N, C, H, W) real in [-1, 1], x.
        made_abnormal: (N, C, H, W) real in [-1, 1], F(x).

    Returns:
        (N,) float64 in [-4 C H W, 0].

    Example:
        >>> import torch
        >>> change_abnormal(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5)).tolist()
        [-1.0]
    """
    return -_squared_change(images, made_abnormal)


def peak_abnormal(change_map: Tensor, sigma_px: float) -> Tensor:
    """Compute minus the maximum of the smoothed change made by F, see :func:`.extensions.peak`.

    Args:
        change_map: (N, H, W) real in [0, 4 C], ``(x - F(x))^2`` summed over channels.
        sigma_px: Standard deviation of the Gaussian in pixels, > 0.

    Returns:
        (N,) float64 in [-4 C, 0].
    """
    return -peak(change_map, sigma_px)


def change_ratio(images: Tensor, reconstructions: Tensor, made_abnormal: Tensor) -> Tensor:
    """Compute ``log(|x - G(x)|^2 / |x - F(x)|^2)``: which of the two has more to change.

    What both change in any image, such as its texture, cancels. To both sums that of rounding to
    256 levels (5e-6 for each pixel and channel) is added, so that the ratio of two images without
    change is 1.

    Args:
        images: (N, C, H, W) real in [-1, 1], x.
        reconstructions: (N, C, H, W) real in [-1, 1], G(x).
        made_abnormal: (N, C, H, W) real in [-1, 1], F(x).

    Returns:
        (N,) float64 in [-13.6, 13.6]; 0 if both change as much.
    """
    floor = ROUNDING_VARIANCE * images[0].numel()
    made_normal = _squared_change(images, reconstructions) + floor
    return made_normal.log() - (_squared_change(images, made_abnormal) + floor).log()


def cycle_normal(images: Tensor, cycled: Tensor) -> Tensor:
    """Compute ``|x - G(F(x))|``, the cycle error of an image taken as normal.

    It is the term of the cycle-consistency loss (L_cyc, Sec. 2.2) that is trained on normal images.

    Args:
        images: (N, C, H, W) real in [-1, 1], x.
        cycled: (N, C, H, W) real in [-1, 1], G(F(x)).

    Returns:
        (N,) float64 in [0, 2 C H W], a sum over pixels and channels.
    """
    return _absolute_change(images, cycled)


def cycle_abnormal(images: Tensor, cycled: Tensor) -> Tensor:
    """Compute ``-|x - F(G(x))|``, minus the cycle error of an image taken as abnormal.

    It is the term of L_cyc (Sec. 2.2) that is trained on abnormal images, which are therefore
    restored better.

    Args:
        images: (N, C, H, W) real in [-1, 1], x.
        cycled: (N, C, H, W) real in [-1, 1], F(G(x)).

    Returns:
        (N,) float64 in [-2 C H W, 0].
    """
    return -_absolute_change(images, cycled)


def critic_normal(responses: Tensor) -> Tensor:
    """Compute minus the mean response of D_Y over the patches of x.

    With the least-squares loss a response is about 1 for a real normal image and 0 for a generated
    one (L_GAN, Sec. 2.2; published code); with the log loss it is a logit.

    Args:
        responses: (N, 1, h, w) real, D_Y(x).

    Returns:
        (N,) float64, unbounded.
    """
    return -responses.double().mean(dim=(1, 2, 3))


def critic_normal_peak(responses: Tensor) -> Tensor:
    """Compute minus the lowest response of D_Y: of the patch that looks least normal.

    Args:
        responses: (N, 1, h, w) real, D_Y(x).

    Returns:
        (N,) float64, unbounded.
    """
    return -responses.double().amin(dim=(1, 2, 3))


def critic_abnormal(responses: Tensor) -> Tensor:
    """Compute the mean response of D_X over the patches of x, as :func:`critic_normal`.

    Args:
        responses: (N, 1, h, w) real, D_X(x).

    Returns:
        (N,) float64, unbounded.
    """
    return responses.double().mean(dim=(1, 2, 3))


def critic_abnormal_peak(responses: Tensor) -> Tensor:
    """Compute the highest response of D_X: of the patch that looks most abnormal.

    Args:
        responses: (N, 1, h, w) real, D_X(x).

    Returns:
        (N,) float64, unbounded.
    """
    return responses.double().amax(dim=(1, 2, 3))


def critics(normal: Tensor, abnormal: Tensor) -> Tensor:
    """Compute :func:`critic_abnormal` plus :func:`critic_normal`: mean D_X(x) - mean D_Y(x).

    Args:
        normal: (N, 1, h, w) real, D_Y(x).
        abnormal: (N, 1, h, w) real, D_X(x).

    Returns:
        (N,) float64, unbounded, 0 if both discriminators respond alike.

    Example:
        >>> import torch
        >>> critics(torch.full((1, 1, 2, 2), 0.75), torch.full((1, 1, 2, 2), 0.25)).tolist()
        [-0.5]
    """
    return critic_abnormal(abnormal) + critic_normal(normal)


def signal(name: str, parts: View, peak_sigma_px: float | None) -> Tensor:
    """Compute a signal from the parts of a batch.

    Args:
        name: One of :data:`cyclegan_ad.methods.names.SIGNALS`.
        parts: Images with all that the networks make of them.
        peak_sigma_px: Of ``peak_abnormal``; None for others.

    Returns:
        (N,) float64.
    """
    match name:
        case "change_abnormal":
            return change_abnormal(parts.images, parts.made_abnormal)
        case "peak_abnormal":
            assert peak_sigma_px is not None
            return peak_abnormal(parts.change_map, peak_sigma_px)
        case "change_ratio":
            return change_ratio(parts.images, parts.reconstructions, parts.made_abnormal)
        case "cycle_normal":
            return cycle_normal(parts.images, parts.cycled_normal)
        case "cycle_abnormal":
            return cycle_abnormal(parts.images, parts.cycled_abnormal)
        case "critic_normal":
            return critic_normal(parts.judged_normal)
        case "critic_normal_peak":
            return critic_normal_peak(parts.judged_normal)
        case "critic_abnormal":
            return critic_abnormal(parts.judged_abnormal)
        case "critic_abnormal_peak":
            return critic_abnormal_peak(parts.judged_abnormal)
        case "critics":
            return critics(parts.judged_normal, parts.judged_abnormal)
    raise ValueError(f"invalid signal {name}")


def _squared_change(images: Tensor, other: Tensor) -> Tensor:
    check_shapes(images, other)
    return (images.double() - other.double()).square().sum(dim=(1, 2, 3))


def _absolute_change(images: Tensor, other: Tensor) -> Tensor:
    check_shapes(images, other)
    return (images.double() - other.double()).abs().sum(dim=(1, 2, 3))
