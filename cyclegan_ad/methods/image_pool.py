"""Pool of past fakes: the discriminators also see images that were generated earlier."""

import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class ImagePool:
    """A buffer of generated images that returns older ones half of the time.

    Until the pool is full, each image is stored and returned. After that, each image is exchanged
    for a random one of the pool with probability 1/2, otherwise returned unchanged (published code;
    not mentioned in the paper).

    The random choices depend only on the seed given to :meth:`reseed`, so that a resumed training
    repeats those of an uninterrupted one.

    Args:
        size: Number of images kept; 0 disables the pool.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.count = 0
        self.images: Tensor | None = None  # (size, C, H, W), the first `count` are used
        self._random = random.Random(0)

    def reseed(self, *seed: int) -> None:
        """Seed the random choices with a tuple of integers such as (seed, epoch, rank)."""
        self._random = random.Random(repr(seed))

    def exchange(self, new: Tensor) -> Tensor:
        """Exchange new images for as many images, some of them older.

        The choices are made on the host and applied by one gather and one scatter, without
        synchronising with the device.

        Args:
            new: (N, C, H, W) images without gradient.

        Returns:
            (N, C, H, W), each either the new image or one from the pool.
        """
        if self.size == 0:
            return new.clone()  # a CUDA graph may overwrite its output
        if self.images is None:
            self.images = new.new_zeros((self.size, *new.shape[1:]))
        elif (self.images.device, self.images.dtype) != (new.device, new.dtype):
            self.images = self.images.to(new)  # from a checkpoint of another device or precision
        # Positions in [pool; new] of the new content of each slot, and of the returned images.
        holds: dict[int, int] = {}
        returned = []
        for position in range(self.size, self.size + len(new)):
            if self.count < self.size:
                holds[self.count] = position
                self.count += 1
                returned.append(position)
            elif self._random.random() > 0.5:
                slot = self._random.randrange(self.size)
                returned.append(holds.get(slot, slot))
                holds[slot] = position
            else:
                returned.append(position)
        bank = torch.cat([self.images, new])
        if holds:
            slots = _positions(list(holds), new.device)
            self.images[slots] = bank[_positions(list(holds.values()), new.device)]
        return bank[_positions(returned, new.device)]

    def state_dict(self) -> dict[str, Any]:
        """Return the images in the pool, (count, C, H, W), or None."""
        return {"images": None if self.images is None else self.images[: self.count].clone()}

    def load_state_dict(self, state: dict[str, Any], device: torch.device | str = "cpu") -> None:
        """Restore a pool from :meth:`state_dict`; images beyond ``size`` are dropped."""
        images = state["images"]
        if images is None or self.size == 0:
            self.images, self.count = None, 0
            return
        self.count = min(len(images), self.size)
        self.images = images.new_zeros((self.size, *images.shape[1:]), device=device)
        self.images[: self.count] = images[: self.count].to(device)


def gather_states(pools: Sequence[ImagePool]) -> list[list[dict[str, Any]]]:
    """Collect the states of the pools of all ranks; called on every rank."""
    own = [pool.state_dict() for pool in pools]
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [own]
    states: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(states, own)
    return states


def load_state(
    pools: Sequence[ImagePool],
    states: list[list[dict[str, Any]]],
    rank: int,
    device: torch.device | str,
) -> None:
    """Restore the pools of a rank from the result of :func:`gather_states`, if it has any."""
    if rank < len(states):
        for pool, state in zip(pools, states[rank], strict=True):
            pool.load_state_dict(state, device)


def _positions(values: list[int], device: torch.device) -> Tensor:
    """Return an index on the device, copied from pinned memory without synchronisation."""
    index = torch.tensor(values, pin_memory=device.type == "cuda")
    return index.to(device, non_blocking=True)
