"""Anomaly scores: how far an image is from its reconstruction.

A score is one float64 number an image, higher is more abnormal, in raw units. It is a function of
that image and its reconstruction alone: nothing is rescaled over a batch or a dataset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan_ad.data.augment import SYMMETRIES, dihedral, inverse
from cyclegan_ad.pretrained.feature_cache import FeatureCache
from cyclegan_ad.pretrained.features import FeatureExtractor, build_extractor
from cyclegan_ad.scoring.extensions import peak, standardised
from cyclegan_ad.scoring.frechet import single_image_frechet, spatial_frechet
from cyclegan_ad.scoring.names import check_score_names, needs_extractor, score_column
from cyclegan_ad.scoring.parts import View, check_shapes


class NonFiniteScoreError(ValueError):
    """A score is NaN or infinite.

    Attributes:
        column: name of the score.
        positions: of the images concerned, counted from 0 within the batch.
    """

    def __init__(self, column: str, positions: list[int]) -> None:
        super().__init__(
            f"score {column} is not finite for image(s) {', '.join(map(str, positions))} of the "
            f"batch (counted from 0)"
        )
        self.column = column
        self.positions = positions


def sse(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Sum of squared errors over all pixels and channels of an image (the paper's ``sse``).

    Args:
        images: (N, C, H, W) real in [-1, 1].
        reconstructions: (N, C, H, W) real in [-1, 1].

    Returns:
        (N,) float64 in [0, 4 C H W].

    Raises:
        ValueError: if the shapes differ or are not (N, C, H, W).

    Example:
        >>> sse(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5)).tolist()
        [1.0]
    """
    check_shapes(images, reconstructions)
    return (images.double() - reconstructions.double()).square().sum(dim=(1, 2, 3))


class Scores(nn.Module):
    """The scores that were asked for, computed together.

    The extractor is frozen. Keep this module out of the one that is trained, or its weights end up
    in every checkpoint.

    Args:
        names: any of ``SCORE_NAMES``.
        extractor: for ``fid`` and ``fid_spatial``; None if no score needs one.
        peak_sigma_px: width of the smoothing of ``peak``, in pixels; needed for it alone.
        tta: ``none``, or ``dihedral`` to average scores and maps over the 8 symmetries of an image.
        precision: ``float32``, or ``bf16`` for reconstructions in bfloat16; the extractor has its
            own.
        feature_cache: where ``fid`` looks for the features of images before it computes them.
        variance: (C, H, W) variance of the reconstruction errors on normal training images, for
            ``standardised``; may be set later.

    Attributes:
        columns: the names that the scores go by in tables, in the order of ``names``.

    Raises:
        UserError: if a name is unknown.
        ValueError: if a score needs an extractor and there is none.
    """

    variance: Tensor | None

    def __init__(
        self,
        names: Iterable[str],
        extractor: FeatureExtractor | None,
        *,
        peak_sigma_px: float | None = None,
        tta: str = "none",
        precision: str = "float32",
        feature_cache: FeatureCache | None = None,
        variance: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.names = check_score_names(names)
        if extractor is None and needs_extractor(self.names):
            raise ValueError(f"scores {', '.join(self.names)} need a feature extractor")
        self.extractor = extractor
        self.peak_sigma_px, self.tta, self.precision = peak_sigma_px, tta, precision
        # The maps behind fid_spatial are too large to be kept, and give the pooled features too.
        self.feature_cache = None if "fid_spatial" in self.names else feature_cache
        self.register_buffer("variance", variance)
        extractor_name = "inception" if extractor is None else extractor.name
        self.columns = tuple(
            score_column(
                name, extractor_name, peak_sigma_px=peak_sigma_px, tta=tta, precision=precision
            )
            for name in self.names
        )

    @torch.no_grad()
    def forward(self, method: Any, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Score images with a method.

        Args:
            method: a trained method in eval mode, on the device of the images.
            images: (N, C, H, W) real in [-1, 1], C = 1 or 3; square with ``tta=dihedral``.

        Returns:
            For each of ``columns``, in order, (N,) float64 scores on the device of the images; and
            the anomaly maps, (N, H, W) float32 >= 0; both averaged over the symmetries with
            ``tta=dihedral``, the maps after they were turned back.

        Raises:
            ValueError: if the shapes differ or are not (N, C, H, W).
            NonFiniteScoreError: if a score is not finite; says which images of the batch.
        """
        view = self._view(method, images, self.variance)
        scores, maps = self._scores(view), view.anomaly_map
        if self.tta == "none":
            return scores, maps
        for symmetry in range(1, SYMMETRIES):
            variance = None if self.variance is None else _turn(self.variance[None], symmetry)[0]
            view = self._view(method, _turn(images, symmetry), variance)
            for column, values in self._scores(view).items():
                scores[column] = scores[column] + values
            maps = maps + _turn(view.anomaly_map[:, None], inverse(symmetry))[:, 0]
        averages = {column: total / SYMMETRIES for column, total in scores.items()}
        return averages, maps / SYMMETRIES

    def _view(self, method: Any, images: Tensor, variance: Tensor | None) -> View:
        return View(
            method,
            images,
            extractor=self.extractor,
            feature_cache=self.feature_cache,
            variance=variance,
            precision=self.precision,
        )

    def _scores(self, view: View) -> dict[str, Tensor]:
        return {
            column: _finite(self._score(name, view), column)
            for name, column in zip(self.names, self.columns, strict=True)
        }

    def _score(self, name: str, view: View) -> Tensor:
        match name:
            case "sse":
                return sse(view.images, view.reconstructions)
            case "fid":
                return single_image_frechet(*view.pooled)
            case "fid_spatial":
                before, after = view.features
                return spatial_frechet(before.spatial, after.spatial)
            case "peak":
                assert self.peak_sigma_px is not None
                return peak(view.anomaly_map, self.peak_sigma_px)
            case "standardised":
                if view.variance is None:
                    raise ValueError("the score standardised needs the variance of the errors")
                return standardised(view.images, view.reconstructions, view.variance)
            case _:
                scores: Tensor = view.embedding.scores.double()
                return scores


def _turn(images: Tensor, symmetry: int) -> Tensor:
    return dihedral(images, torch.full((len(images),), symmetry, device=images.device))


def build_scores(score: Mapping[str, Any], features_dir: Path | None = None) -> Scores:
    """Build the scores that were asked for, with a feature extractor only if one needs it.

    Args:
        score: the settings ``score.*``: ``names``, ``extractor``, ``peak_sigma_px``, ``tta`` and
            ``precision``.
        features_dir: folder of a :class:`FeatureCache`; None to keep no features.

    Raises:
        UserError: if a name is unknown or the extractor's weights cannot be had or read.
    """
    unique, precision = check_score_names(score["names"]), score["precision"]
    extractor = feature_cache = None
    if needs_extractor(unique):
        extractor = build_extractor(score["extractor"], precision)
        if features_dir is not None:
            feature_cache = FeatureCache(extractor, features_dir)
    return Scores(
        unique,
        extractor,
        peak_sigma_px=score["peak_sigma_px"],
        tta=score["tta"],
        precision=precision,
        feature_cache=feature_cache,
    )


def _finite(score: Tensor, column: str) -> Tensor:
    bad = ~torch.isfinite(score)
    if bad.any():
        raise NonFiniteScoreError(column, torch.nonzero(bad).flatten().tolist())
    return score
