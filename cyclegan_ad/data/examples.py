"""A few test images for figures and loggers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cyclegan_ad.data.datamodule import AnomalyDataModule


@dataclass(frozen=True)
class Examples:
    """A few images for display, the normal ones first.

    Attributes:
        images: (N, C, H, W) float32 in [-1, 1].
        labels: N times 0 (normal) or 1 (abnormal).
        captions: Paths of the N images.
        masks: (N, H, W) bool, True where an image is known to be abnormal.
    """

    images: Tensor
    labels: list[int]
    captions: list[str]
    masks: Tensor


def choose_examples(data: AnomalyDataModule, per_class: int) -> Examples:
    """Choose test images spread evenly over the test set in order of path.

    The choice covers the kinds of defects and depends on no score.

    Args:
        data: Data module after ``setup``.
        per_class: Largest number of images per class.
    """
    return examples_at(data, spread_evenly(data, per_class))


def spread_evenly(data: AnomalyDataModule, per_class: int) -> list[int]:
    """Return indices of test images spread evenly over each class, the normal ones first."""
    chosen: list[int] = []
    for label in (0, 1):
        of_class = [i for i in data.split.test if data.samples[i].label == label]
        count = min(per_class, len(of_class))
        chosen += [of_class[(2 * k + 1) * len(of_class) // (2 * count)] for k in range(count)]
    return chosen


def examples_at(data: AnomalyDataModule, chosen: Sequence[int]) -> Examples:
    """Return images by index into ``data.samples``."""
    unknown = np.zeros((data.size_px, data.size_px), bool)
    masks = [data.ground_truth(i) for i in chosen]
    return Examples(
        images=data.images_at(chosen),
        labels=[data.samples[i].label for i in chosen],
        captions=[data.samples[i].path for i in chosen],
        masks=torch.from_numpy(np.stack([unknown if m is None else m for m in masks])),
    )
