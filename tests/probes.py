"""A linear probe of a few drawn images with random features, and a real Trainer around it."""

from collections.abc import Sequence
from typing import Any

import torch
from baselines import SIZE_PX, fit, images
from torch import Tensor

from cyclegan_ad.methods.linear_probe import DescribedImages, LinearProbe
from cyclegan_ad.scoring.probe_features import describe_images

ARGUMENTS = {
    "channels": 1,
    "size_px": SIZE_PX,
    "backbone": "efficientnet_lite0",
    "weights_path": None,
    "strengths": (0.01, 0.1),
    "folds": 2,
    "peak_fraction": 0.1,
    "max_train_images": None,
    "seed": 0,
}
LABELS = (0, 0, 0, 1, 1, 1)


class InMemory:
    """Images as a data module has them."""

    def __init__(self, tensors: Tensor) -> None:
        self.tensors, self.size_px = tensors, tensors.shape[-1]

    def images_at(self, indices: Sequence[int]) -> Tensor:
        return self.tensors[list(indices)]


def odd_images(n: int = 6, seed: int = 0) -> Tensor:
    """Images of which the second half has a bright square."""
    drawn = images(n, seed=seed)
    drawn[n // 2 :, :, 8:20, 8:20] = 1.0
    return drawn


def probe(**changes: Any) -> LinearProbe:
    return LinearProbe(**(ARGUMENTS | changes))


def describe(module: LinearProbe, tensors: Tensor, labels: Sequence[int] = LABELS) -> None:
    """Give a probe the features of these images, each a group of its own."""
    found = describe_images(
        module.model,
        InMemory(tensors),
        range(len(tensors)),
        device=torch.device("cpu"),
        batch_size=1,
    )
    names = [str(number) for number in range(len(tensors))]
    module.described = DescribedImages(found, list(labels), names)


def fitted_probe(**changes: Any) -> LinearProbe:
    module = probe(**changes)
    describe(module, odd_images())
    fit(module, [{"normal": images(1), "abnormal": images(1)}])
    return module.eval()
