"""PatchCore (Roth et al., 2022): distance to the nearest patch of normal images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor

from cyclegan_ad.errors import UserError
from cyclegan_ad.methods.embedding import EmbeddingMethod, seeded
from cyclegan_ad.networks.patchcore import PatchCoreScorer
from cyclegan_ad.pretrained.backbones import importing_anomalib

# Size of the random projection in which patches are selected (anomalib: distortion 0.9).
_PROJECTED_CHANNELS_PER_LOG_PATCH = 4 / (0.9**2 / 2 - 0.9**3 / 3)


class PatchCore(EmbeddingMethod):
    """Distance of patches to a memory bank, a selection of the patches of normal images.

    The score of an image is that of its most distant patch, reweighted by the neighbours of the
    nearest patch in the bank (Eq. 7 of the PatchCore paper). Its map holds the distances, upsampled
    to the size of the image and smoothed (Gaussian, 4 px).

    Args:
        coreset_ratio: Share of the patches to keep, in (0, 1] (0.1 in the paper).
        n_neighbors: Neighbours that determine the weight of a score (9 in the paper); 1: no weight.
        common: Arguments of :class:`EmbeddingMethod`.

    Raises:
        UserError: If anomalib is not installed.
    """

    method_name = "patchcore"

    def __init__(self, *, coreset_ratio: float, n_neighbors: int, **common: Any) -> None:
        super().__init__(**common)
        self.save_hyperparameters()
        self.coreset_ratio = coreset_ratio
        with importing_anomalib():
            from anomalib.models.image.patchcore.torch_model import PatchcoreModel
        with seeded(self.seed):
            initial = PatchcoreModel(
                backbone=self.backbone.timm_name, layers=self.layers, pre_trained=False
            )
        self.begin_with(initial, n_neighbors=n_neighbors)

    def fit_embeddings(self, embeddings: list[Tensor]) -> None:
        """Select a coreset of the patches (Sec. 3.2 of the PatchCore paper).

        Raises:
            UserError: If no patch would be selected.
        """
        patches = sum(map(len, embeddings))
        kept = int(patches * self.coreset_ratio)
        if kept < 1:
            raise UserError(
                f"invalid method.coreset_ratio={self.coreset_ratio}: keeps none of {patches} "
                f"training patches; use at least {math.ceil(1e4 / patches) / 1e4:g}"
            )
        self.print(f"patchcore: selecting {kept} of {patches} patches for the memory bank")
        bank = torch.cat(embeddings)
        embeddings.clear()
        with _without_bar() as k_center_greedy:
            sampler = k_center_greedy.KCenterGreedy(bank, self.coreset_ratio)
            sampler.update_distances = _InPlace(sampler)
            cast(PatchCoreScorer, self.model).memory_bank = sampler.sample_coreset()

    def peak_bytes(self, n_images: int, embedding: Tensor) -> float:
        """Return the size of two copies of the patches, or one, two projections and the bank."""
        patches, channels = embedding.shape
        total = n_images * patches
        projected = _PROJECTED_CHANNELS_PER_LOG_PATCH * math.log(max(total, 2))
        largest = max(2 * channels, (1 + self.coreset_ratio) * channels + 2 * projected)
        return total * largest * embedding.itemsize


class _InPlace:
    """The update of anomalib's sampler after each selected patch, without allocations.

    anomalib allocates memory for all patches thousands of times, which can exhaust it by
    fragmentation.
    """

    def __init__(self, sampler: Any) -> None:
        self.sampler = sampler
        self.difference: Tensor | None = None  # (patches, projected channels)
        self.distance: Tensor | None = None  # (patches, 1)

    def __call__(self, cluster_center: Tensor) -> None:
        """Update the distances of all patches to the nearest selected one, index () int64."""
        features = self.sampler.features
        if self.difference is None or self.distance is None:
            self.difference = torch.empty_like(features)
            self.distance = features.new_empty(len(features), 1)
        torch.sub(features, features[cluster_center].squeeze(), out=self.difference)
        torch.linalg.norm(self.difference, ord=2, dim=1, keepdim=True, out=self.distance)
        if self.sampler.min_distances is None:
            self.sampler.min_distances = self.distance.clone()
        else:
            torch.minimum(self.sampler.min_distances, self.distance, out=self.sampler.min_distances)


@contextmanager
def _without_bar() -> Iterator[Any]:
    """Yield anomalib's module with its progress bar disabled, in favour of that of the training."""
    from anomalib.models.components.sampling import k_center_greedy

    bar = k_center_greedy.tqdm
    k_center_greedy.tqdm = lambda steps, **_: steps
    try:
        yield k_center_greedy
    finally:
        k_center_greedy.tqdm = bar
