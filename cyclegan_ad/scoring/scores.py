"""Anomaly scores of images.

A score is one float64 value per image, higher is more abnormal, in raw units. It is a function of
that image and its reconstruction alone, without rescaling over a batch or a dataset.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cyclegan_ad.data.augment import SYMMETRIES, dihedral, inverse
from cyclegan_ad.methods.interface import Reconstructs, TrainedMethod
from cyclegan_ad.pretrained.feature_cache import FeatureCache
from cyclegan_ad.pretrained.features import FeatureExtractor, build_extractor
from cyclegan_ad.scoring.extensions import peak, standardised
from cyclegan_ad.scoring.frechet import single_image_frechet, spatial_frechet
from cyclegan_ad.scoring.names import OWN_SCORES, ScoreColumn
from cyclegan_ad.scoring.parts import View, check_shapes


class NonFiniteScoreError(ValueError):
    """A score is NaN or infinite.

    Attributes:
        column: Name of the score.
        positions: Positions of the images within the batch, from 0.
    """

    def __init__(self, column: str, positions: list[int]) -> None:
        super().__init__(
            f"score {column} is NaN or infinite at positions {', '.join(map(str, positions))} of "
            "the batch (from 0)"
        )
        self.column = column
        self.positions = positions


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


class ScoredImages(NamedTuple):
    """Scores of N images.

    Attributes:
        scores: Column -> (N,) float64, in order of the columns.
        maps: (N, H, W) float32, anomaly maps, higher is more abnormal.
        reconstructions: (N, C, H, W) real in [-1, 1]; None if the method has none.
    """

    scores: dict[str, Tensor]
    maps: Tensor
    reconstructions: Tensor | None


class Scores(nn.Module):
    """The requested scores, computed together.

    The extractor is frozen. This module must not be part of the trained one, or its weights would
    be saved in every checkpoint.

    Args:
        columns: Scores to compute, with the same extractor, ``tta`` and precision (except that of
            ``OWN_SCORES``).
        extractor: Feature extractor of ``fid`` and ``fid_spatial``; None if not needed.
        feature_cache: Cache of the features of images for ``fid``; None for no cache.
        variance: (C, H, W) variance of the reconstruction errors on normal training images, for
            ``standardised``; may be set later.

    Raises:
        ValueError: If the extractor is not the one that a score needs.
    """

    variance: Tensor | None

    def __init__(
        self,
        columns: Sequence[ScoreColumn],
        extractor: FeatureExtractor | None,
        *,
        feature_cache: FeatureCache | None = None,
        variance: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self.extractor = extractor
        name = None if extractor is None else extractor.name
        if any(column.extractor not in (None, name) for column in self.columns):
            raise ValueError(f"invalid extractor={name} for scores {', '.join(self.names)}")
        [self.tta] = {column.tta for column in self.columns}
        others = [column.precision for column in self.columns if column.name not in OWN_SCORES]
        [self.precision] = {*others} or {"float32"}
        # The maps of fid_spatial are too large for the cache, and come with the pooled features.
        self.feature_cache = None if "fid_spatial" in self.names else feature_cache
        self.register_buffer("variance", variance)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scores, in order."""
        return tuple(column.name for column in self.columns)

    @torch.no_grad()
    def forward(self, method: TrainedMethod, images: Tensor) -> ScoredImages:
        """Score images with a method.

        Args:
            method: A trained method in eval mode, on the device of the images.
            images: (N, C, H, W) real in [-1, 1], C = 1 or 3; square with ``tta=dihedral``.

        Returns:
            Scores, maps and reconstructions, on the device of the images. With ``tta=dihedral``
            scores and maps are averaged over the symmetries, the maps after the inverse symmetry.

        Raises:
            ValueError: If the shapes differ or are not (N, C, H, W).
            NonFiniteScoreError: If a score is not finite; names the images of the batch.
        """
        inputs = partial(
            View,
            method,
            extractor=self.extractor,
            feature_cache=self.feature_cache,
            precision=self.precision,
        )
        view = inputs(images, variance=self.variance)
        scores, maps = self._scores(view), view.anomaly_map
        reconstructions = view.reconstructions if isinstance(method, Reconstructs) else None
        if self.tta == "none":
            return ScoredImages(scores, maps, reconstructions)
        for symmetry in range(1, SYMMETRIES):
            variance = None if self.variance is None else _turn(self.variance[None], symmetry)[0]
            view = inputs(_turn(images, symmetry), variance=variance)
            for column, values in self._scores(view).items():
                scores[column] = scores[column] + values
            maps = maps + _turn(view.anomaly_map[:, None], inverse(symmetry))[:, 0]
        averages = {column: total / SYMMETRIES for column, total in scores.items()}
        return ScoredImages(averages, maps / SYMMETRIES, reconstructions)

    def _scores(self, view: View) -> dict[str, Tensor]:
        scores = {}
        for column in self.columns:
            values = scores[column.column] = self._score(column, view)
            bad = ~torch.isfinite(values)
            if bad.any():
                raise NonFiniteScoreError(column.column, torch.nonzero(bad).flatten().tolist())
        return scores

    def _score(self, column: ScoreColumn, view: View) -> Tensor:
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
            case "probe_peak":
                assert view.embedding.peaks is not None
                return view.embedding.peaks.double()
            case _:
                scores: Tensor = view.embedding.scores.double()
                return scores


def _turn(images: Tensor, symmetry: int) -> Tensor:
    return dihedral(images, torch.full((len(images),), symmetry, device=images.device))


def build_scores(columns: Sequence[ScoreColumn], features_dir: Path | None = None) -> Scores:
    """Build the requested scores, with a feature extractor only if one needs it.

    Args:
        columns: Scores to compute.
        features_dir: Folder of a :class:`FeatureCache`; None for no cache.

    Raises:
        UserError: If the extractor's weights are unavailable or unreadable.
    """
    extractor = feature_cache = None
    for column in columns:
        if column.extractor is not None and extractor is None:
            extractor = build_extractor(column.extractor, column.precision)
    if extractor is not None and features_dir is not None:
        feature_cache = FeatureCache(extractor, features_dir)
    return Scores(columns, extractor, feature_cache=feature_cache)
