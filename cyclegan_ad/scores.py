"""Anomaly scores: how far an image is from its reconstruction.

A score is one float64 number an image, higher is more abnormal, in raw units. It is a function of
that image and its reconstruction alone: nothing is rescaled over a batch or a dataset.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from cyclegan_ad.features import FeatureExtractor, Features, build_extractor
from cyclegan_ad.frechet import single_image_frechet, spatial_frechet
from cyclegan_ad.score_names import check_score_names, needs_extractor, score_column


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


def anomaly_map(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Squared difference of images and reconstructions, summed over the channels.

    Args:
        images: (N, C, H, W) real in [-1, 1].
        reconstructions: (N, C, H, W) real in [-1, 1].

    Returns:
        (N, H, W) float32 in [0, 4 C]. Its sum over the pixels of an image is the ``sse``.

    Raises:
        ValueError: if the shapes differ or are not (N, C, H, W).
    """
    _check_shapes(images, reconstructions)
    return (images.float() - reconstructions.float()).square().sum(dim=1)


def sse(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Sum of squared errors over all pixels and channels of an image (the paper's ``sse``).

    Args:
        images: (N, C, H, W) real in [-1, 1].
        reconstructions: (N, C, H, W) real in [-1, 1].

    Returns:
        (N,) float64 in [0, 4 C H W], the same to the last bit whatever else is in the batch.

    Raises:
        ValueError: if the shapes differ or are not (N, C, H, W).

    Example:
        >>> sse(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5)).tolist()
        [1.0]
    """
    _check_shapes(images, reconstructions)
    squares = (images.double() - reconstructions.double()).square().contiguous()
    # One sum an image: the order in which a batched sum adds depends on the size of the batch.
    return torch.stack([image.sum() for image in squares]) if len(squares) else squares.new_empty(0)


class Scores(nn.Module):
    """The scores that were asked for, computed together.

    The extractor is frozen. Keep this module out of the one that is trained, or its weights end up
    in every checkpoint.

    Args:
        names: any of ``SCORE_NAMES``.
        extractor: for ``fid`` and ``fid_spatial``; None if no score needs one.

    Attributes:
        columns: the names that the scores go by in tables, in the order of ``names``.

    Raises:
        UserError: if a name is unknown.
        ValueError: if a score needs an extractor and there is none.
    """

    def __init__(self, names: Iterable[str], extractor: FeatureExtractor | None) -> None:
        super().__init__()
        self.names = check_score_names(names)
        if extractor is None and needs_extractor(self.names):
            raise ValueError(f"scores {', '.join(self.names)} need a feature extractor")
        self.extractor = extractor
        extractor_name = "inception" if extractor is None else extractor.name
        self.columns = tuple(score_column(name, extractor_name) for name in self.names)

    @torch.no_grad()
    def forward(
        self, images: Tensor, reconstructions: Tensor, image_features: Features | None = None
    ) -> dict[str, Tensor]:
        """Score images against their reconstructions.

        Args:
            images: (N, C, H, W) real in [-1, 1], C = 1 or 3.
            reconstructions: (N, C, H, W) real in [-1, 1].
            image_features: what this module's extractor said of ``images``, where that is known
                already (it is the same for every model that is tried on them); halves the work.

        Returns:
            For each of ``columns``, in order, (N,) float64 scores on the device of the images.

        Raises:
            ValueError: if the shapes differ or are not (N, C, H, W).
            NonFiniteScoreError: if a score is not finite; says which images of the batch.
        """
        _check_shapes(images, reconstructions)
        if self.extractor is not None and needs_extractor(self.names):
            before = self.extractor(images) if image_features is None else image_features
            after = self.extractor(reconstructions)
        scores: dict[str, Tensor] = {}
        for name, column in zip(self.names, self.columns, strict=True):
            if name == "sse":
                score = sse(images, reconstructions)
            elif name == "fid":
                score = single_image_frechet(before.pooled, after.pooled)
            else:
                score = spatial_frechet(before.spatial, after.spatial)
            scores[column] = _finite(score, column)
        return scores


def build_scores(names: Iterable[str], extractor_name: str) -> Scores:
    """Build the scores that were asked for, with a feature extractor only if one needs it.

    Args:
        names: any of ``SCORE_NAMES``.
        extractor_name: one of ``EXTRACTOR_NAMES``.

    Raises:
        UserError: if a name is unknown or the extractor's weights cannot be had or read.
    """
    unique = check_score_names(names)
    return Scores(unique, build_extractor(extractor_name) if needs_extractor(unique) else None)


def _check_shapes(images: Tensor, reconstructions: Tensor) -> None:
    if images.ndim != 4 or images.shape != reconstructions.shape:
        raise ValueError(
            f"images and reconstructions must be (N, C, H, W) of one shape, not "
            f"{tuple(images.shape)} and {tuple(reconstructions.shape)}"
        )


def _finite(score: Tensor, column: str) -> Tensor:
    bad = ~torch.isfinite(score)
    if bad.any():
        raise NonFiniteScoreError(column, torch.nonzero(bad).flatten().tolist())
    return score
