"""Anomaly scores of images.

A score is one float64 value per image, higher is more abnormal, in raw units. It is a function of
that image and its reconstruction alone, without rescaling over a batch or a dataset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cyclegan_ad.data.augment import SYMMETRIES, dihedral, inverse
from cyclegan_ad.methods.interface import Reconstructs, TrainedMethod
from cyclegan_ad.methods.names import FUSED
from cyclegan_ad.networks.probe import ProbeScorer
from cyclegan_ad.pretrained.feature_cache import FeatureCache
from cyclegan_ad.pretrained.features import FeatureExtractor, build_extractor
from cyclegan_ad.scoring.fusion import Fusion
from cyclegan_ad.scoring.names import OWN_SCORES, ScoreColumn
from cyclegan_ad.scoring.one_view import score_of, terms_of
from cyclegan_ad.scoring.parts import View


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


class ScoredImages(NamedTuple):
    """Scores of N images.

    Attributes:
        scores: Column -> (N,) float64, in order of the columns.
        maps: (N, H, W) float32, anomaly maps, higher is more abnormal.
        reconstructions: (N, C, H, W) real in [-1, 1]; None if the method has none.
        contributions: ``<column>:<term>`` -> (N,) float64, what each term adds to a fused score.
    """

    scores: dict[str, Tensor]
    maps: Tensor
    reconstructions: Tensor | None
    contributions: dict[str, Tensor]


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
        features_dir: Folder of the cache; None for no cache.

    Attributes:
        fusions: Column -> parameters of each fused score; set before the first image is scored.
        probe: Linear probe of ``fused``; likewise.
        probe_arguments: Arguments of its class, for a saved detector.

    Raises:
        ValueError: If the extractor is not the one that a score needs.
    """

    variance: Tensor | None
    probe: ProbeScorer | None

    def __init__(
        self,
        columns: Sequence[ScoreColumn],
        extractor: FeatureExtractor | None,
        *,
        feature_cache: FeatureCache | None = None,
        variance: Tensor | None = None,
        features_dir: Path | None = None,
    ) -> None:
        super().__init__()
        self.columns, self.features_dir = tuple(columns), features_dir
        self.fusions: dict[str, Fusion] = {}
        self.probe = None
        self.probe_arguments: dict[str, Any] = {}
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
        first, *others = self._views(method, images)
        scores, contributions = self._scores(first)
        maps = first.anomaly_map
        reconstructions = first.reconstructions if isinstance(method, Reconstructs) else None
        for symmetry, view in enumerate(others, start=1):
            for total, found in zip((scores, contributions), self._scores(view), strict=True):
                for column, values in found.items():
                    total[column] = total[column] + values
            maps = maps + _turn(view.anomaly_map[:, None], inverse(symmetry))[:, 0]
        if others:
            maps = maps / SYMMETRIES
            scores, contributions = (
                {column: total / SYMMETRIES for column, total in totals.items()}
                for totals in (scores, contributions)
            )
        return ScoredImages(scores, maps, reconstructions, contributions)

    @torch.no_grad()
    def terms(self, method: TrainedMethod, images: Tensor, names: Sequence[str]) -> Tensor:
        """Compute terms of a fused score, the mean over the symmetries with ``tta=dihedral``.

        Args:
            method: A trained method with all four networks.
            images: (N, C, H, W) real in [-1, 1].
            names: Names of K terms.

        Returns:
            (N, K) float64.
        """
        views = [terms_of(view, names) for view in self._views(method, images)]
        return torch.stack(views).mean(dim=0)

    def _views(self, method: TrainedMethod, images: Tensor) -> Iterator[View]:
        """Yield the images and, with ``tta=dihedral``, their other symmetries, in order."""
        inputs = partial(
            View,
            method,
            extractor=self.extractor,
            feature_cache=self.feature_cache,
            probe=self.probe,
            precision=self.precision,
        )
        yield inputs(images, variance=self.variance)
        for symmetry in range(1, SYMMETRIES if self.tta == "dihedral" else 1):
            variance = None if self.variance is None else _turn(self.variance[None], symmetry)[0]
            yield inputs(_turn(images, symmetry), variance=variance)

    def _scores(self, view: View) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Compute the scores of a view, and the contributions to those that are fused."""
        scores, contributions = {}, {}
        for column in self.columns:
            if column.name in FUSED:
                fusion = self.fusions[column.column]
                added = fusion.contributions(terms_of(view, fusion.terms))
                values = fusion.intercept + added.sum(dim=1)
                for name, part in zip(fusion.terms, added.unbind(1), strict=True):
                    contributions[f"{column.column}:{name}"] = part
            else:
                values = score_of(column, view)
            scores[column.column] = values
            bad = ~torch.isfinite(values)
            if bad.any():
                raise NonFiniteScoreError(column.column, torch.nonzero(bad).flatten().tolist())
        return scores, contributions


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
    return Scores(columns, extractor, feature_cache=feature_cache, features_dir=features_dir)
