"""A few test images to be looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cyclegan_ad.data.datamodule import AnomalyDataModule


@dataclass(frozen=True)
class Examples:
    """A few images, the normal ones first, to be looked at.

    Attributes:
        images: (N, C, H, W) float32 in [-1, 1].
        labels: N times 0 (normal) or 1 (abnormal).
        captions: N paths.
        masks: (N, H, W) bool, True where an image is known to be abnormal.
    """

    images: Tensor
    labels: list[int]
    captions: list[str]
    masks: Tensor


def choose_examples(data: AnomalyDataModule, per_class: int) -> Examples:
    """Choose test images spread evenly over the test set in order of path.

    So every kind of defect has its chance, and none is picked for its looks.

    Args:
        data: The data module, set up.
        per_class: Images of each class, at most.
    """
    return examples_at(data, spread_evenly(data, per_class))


def spread_evenly(data: AnomalyDataModule, per_class: int) -> list[int]:
    """Indices of test images spread evenly over each class, the normal ones first."""
    chosen: list[int] = []
    for label in (0, 1):
        of_class = [i for i in data.split.test if data.samples[i].label == label]
        count = min(per_class, len(of_class))
        chosen += [of_class[(2 * k + 1) * len(of_class) // (2 * count)] for k in range(count)]
    return chosen


def examples_at(data: AnomalyDataModule, chosen: Sequence[int]) -> Examples:
    """Test images by index into ``data.samples``."""
    unknown = np.zeros((data.size_px, data.size_px), bool)
    masks = [data.ground_truth(i) for i in chosen]
    return Examples(
        images=data.images_at(chosen),
        labels=[data.samples[i].label for i in chosen],
        captions=[data.samples[i].path for i in chosen],
        masks=torch.from_numpy(np.stack([unknown if m is None else m for m in masks])),
    )
