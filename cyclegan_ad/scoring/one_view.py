"""Scores of images as they are, in one symmetry."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cyclegan_ad.methods.names import SIGNALS
from cyclegan_ad.scoring.extensions import peak, standardised
from cyclegan_ad.scoring.frechet import single_image_frechet, spatial_frechet
from cyclegan_ad.scoring.fusion import PROBE_TERM, as_term
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.scoring.parts import View, check_shapes
from cyclegan_ad.scoring.signals import signal


def sse(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Sum the squared errors over all pixels and channels of an image (the paper's ``sse``).

    Args:
        images: (N, C, H, W) real in [-1, 1].
        reconstructions: Likewise.

    Returns:
        (N,) float64 in [0, 4 C H W].

    Raises:
        ValueError: If the shapes differ or are not (N, C, H, W).

    Example:
        >>> sse(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5)).tolist()
        [1.0]
    """
    check_shapes(images, reconstructions)
    return (images.double() - reconstructions.double()).square().sum(dim=(1, 2, 3))


def score_of(column: ScoreColumn, view: View) -> Tensor:
    """Compute a score of the images of one view, but for those that are fused.

    Args:
        column: The score.
        view: N images with what is known of them.

    Returns:
        (N,) float64, higher is more abnormal.

    Raises:
        ValueError: If a part that the score needs is not set.
    """
    match column.name:
        case "sse":
            return sse(view.images, view.reconstructions)
        case "fid":
            return single_image_frechet(*view.pooled)
        case "fid_spatial":
            before, after = view.features
            return spatial_frechet(before.spatial, after.spatial)
        case "peak":
            assert column.peak_sigma_px is not None
            return peak(view.anomaly_map, column.peak_sigma_px)
        case "standardised":
            if view.variance is None:
                raise ValueError("score standardised: variance of the errors is not set")
            return standardised(view.images, view.reconstructions, view.variance)
        case name if name in SIGNALS:
            return signal(name, view, column.peak_sigma_px)
        case "probe_peak":
            assert view.embedding.peaks is not None
            return view.embedding.peaks.double()
        case _:
            scores: Tensor = view.embedding.scores.double()
            return scores


def terms_of(view: View, names: Sequence[str]) -> Tensor:
    """Compute terms of a fused score of one view, (N, K) float64, see :mod:`.fusion`."""

    def raw(name: str) -> Tensor:
        if name == PROBE_TERM:
            return view.probed
        if name == "sse":
            return sse(view.images, view.reconstructions)
        return signal(name, view, None)

    return torch.stack([as_term(name, raw(name)) for name in names], dim=1)
