"""Choice of the training images of a method that is fitted in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from cyclegan_ad.data.datamodule import AnomalyDataModule


def choose_training_images(
    data: AnomalyDataModule, most: int | None, without_groups: Collection[str] = ()
) -> list[int]:
    """Return the training images of both classes, at most a number of each, drawn from the seed.

    Args:
        data: Data module after ``setup``.
        most: Largest number of each class; None for all.
        without_groups: Groups of images to leave out before.

    Returns:
        Indices into ``data.samples``, ascending.
    """
    chosen = []
    for label in (0, 1):
        indices = [i for i in data.train_indices(label) if data.groups[i] not in without_groups]
        if most is not None:
            paths = {index: data.samples[index].path for index in indices}
            indices = sorted(indices, key=lambda i: _drawn(data.seed, paths[i]))[:most]
        chosen += indices
    return sorted(chosen)


def _drawn(seed: int, path: str) -> str:
    # Paths need not be valid UTF-8; another text than that of the split, which ordered by it.
    return hashlib.sha256(f"train:{seed}:{path}".encode(errors="surrogateescape")).hexdigest()
