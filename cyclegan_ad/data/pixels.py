"""Conversion of decoded images to tensors: gathering by index, batching, scaling."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset


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
