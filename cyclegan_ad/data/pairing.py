"""Which images meet in a training batch: unpaired, drawn anew each epoch."""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import Sampler

from cyclegan_ad.data.augment import random_symmetries


class PairSampler(Sampler[dict[str, np.ndarray]]):
    """Unpaired batches of an epoch, a pure function of (seed, epoch), shared out over ranks.

    Every image of the larger class is drawn ``copies`` times an epoch, those of the smaller class
    evenly (counts differ by at most one); all orders are drawn anew each epoch. All ranks see
    batches of one size: where the last pairs cannot be shared evenly, the first ones fill up.

    Args:
        sides: Name of a class -> indices of its training images; one class alone is drawn alone.
        copies: Copies of the larger class an epoch.
        augmentation: See :func:`cyclegan_ad.data.augment.random_symmetries`.
        batch_size: Pairs (or images of one class alone) a batch and rank.
        seed: Of the run.
        ranks: Number of processes that train together.
        rank: Which of them this is.
    """

    def __init__(
        self,
        sides: dict[str, np.ndarray],
        *,
        copies: int,
        augmentation: str,
        batch_size: int,
        seed: int,
        ranks: int = 1,
        rank: int = 0,
    ) -> None:
        self.sides, self.augmentation = sides, augmentation
        self.batch_size, self.seed, self.ranks, self.rank = batch_size, seed, ranks, rank
        self.pairs = copies * max(map(len, sides.values()))
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose batches come next; Lightning calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.pairs // (self.batch_size * self.ranks))

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        symmetries = torch.Generator().manual_seed(int(rng.integers(2**62)))
        columns = {}
        for side, indices in self.sides.items():
            columns[side] = _draw_evenly(indices, self.pairs, rng)
            drawn = random_symmetries(self.pairs, self.augmentation, symmetries)
            columns[f"{side}_symmetry"] = drawn.numpy()
        total = -(-self.pairs // self.ranks) * self.ranks
        order = np.arange(total) % self.pairs
        for start in range(0, total, self.batch_size * self.ranks):
            chosen = order[start : start + self.batch_size * self.ranks][self.rank :: self.ranks]
            yield {name: column[chosen] for name, column in columns.items()}


def _draw_evenly(indices: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` of the indices in random order, each as often as the others or once more."""
    rounds = [rng.permutation(indices) for _ in range(-(-count // len(indices)))]
    return np.concatenate(rounds)[:count]
