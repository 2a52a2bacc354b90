"""Unpaired training batches, redrawn each epoch, and images as tensors."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from cyclegan_ad.data.affine import random_codes
from cyclegan_ad.data.augment import random_symmetries


class PairSampler(Sampler[dict[str, np.ndarray]]):
    """Unpaired batches of an epoch, a pure function of (seed, epoch), divided among ranks.

    Every image of the larger class is drawn ``copies`` times per epoch, those of the smaller class
    evenly (counts differ by at most one), in a new random order each epoch. All ranks get batches
    of equal size: if the last pairs cannot be divided evenly, the first ones are repeated.

    Args:
        classes: Name of a class -> indices of its training images; one or two classes.
        copies: Times that each image of the larger class is drawn per epoch.
        augmentation: ``affine`` (see :mod:`cyclegan_ad.data.affine`), or one of
            :func:`cyclegan_ad.data.augment.random_symmetries`.
        batch_size: Pairs (or images, with one class) per batch and rank.
        seed: Seed of the run.
        ranks: Number of processes that train together.
        rank: Rank of this process.
    """

    def __init__(
        self,
        classes: dict[str, np.ndarray],
        *,
        copies: int,
        augmentation: str,
        batch_size: int,
        seed: int,
        ranks: int = 1,
        rank: int = 0,
    ) -> None:
        self.classes, self.augmentation = classes, augmentation
        self.batch_size, self.seed, self.ranks, self.rank = batch_size, seed, ranks, rank
        self.pairs = copies * max(map(len, classes.values()))
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration; called by Lightning."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.pairs // (self.batch_size * self.ranks))

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        symmetries = torch.Generator().manual_seed(int(rng.integers(2**62)))
        columns = {}
        for name, indices in self.classes.items():
            columns[name] = _draw_evenly(indices, self.pairs, rng)
            if self.augmentation == "affine":
                drawn = random_codes(self.pairs, symmetries)
            else:
                drawn = random_symmetries(self.pairs, self.augmentation, symmetries)
            columns[f"{name}_symmetry"] = drawn.numpy()
        total = -(-self.pairs // self.ranks) * self.ranks
        order = np.arange(total) % self.pairs
        for start in range(0, total, self.batch_size * self.ranks):
            chosen = order[start : start + self.batch_size * self.ranks][self.rank :: self.ranks]
            yield {name: column[chosen] for name, column in columns.items()}


def _draw_evenly(indices: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``count`` indices in random order; their frequencies differ by at most one."""
    rounds = [rng.permutation(indices) for _ in range(-(-count // len(indices)))]
    return np.concatenate(rounds)[:count]


class PairedImages(Dataset[dict[str, Tensor]]):
    """The images of the batches that :class:`PairSampler` draws."""

    def __init__(self, images: np.ndarray, rows: np.ndarray) -> None:
        self.images, self.rows = images, rows

    def __getitem__(self, drawn: dict[str, np.ndarray]) -> dict[str, Tensor]:
        return {
            name: torch.from_numpy(column)
            if name.endswith("_symmetry")
            else gather(self.images, self.rows[column])
            for name, column in drawn.items()
        }


def gather(images: np.ndarray, indices: np.ndarray) -> Tensor:
    """Return images by index as (N, C, H, W) uint8, from (M, H, W, C) images."""
    return torch.from_numpy(np.ascontiguousarray(images[indices].transpose(0, 3, 1, 2)))


def to_signed_range(images: Tensor) -> Tensor:
    """Scale images of any shape from uint8 in 0..255 to float32 in [-1, 1].

    >>> to_signed_range(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([-1.,  1.])
    """
    return images.to(torch.float32, copy=True).div_(127.5).sub_(1.0)
