"""The measures of thresholds.py and localisation.py as torchmetrics, correct under DDP.

Each state carries the index of its image in the dataset. The sampler of a distributed run repeats
images to give every process as many; here each counts once, and the order of arrival, hence the
number of processes, does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from cyclegan_ad.metrics.localisation import aupro, pixel_auroc
from cyclegan_ad.metrics.thresholds import summarise


class _ImageMetric(Metric):
    """Flat list states of fixed dtypes, gathered over processes and indexed by image."""

    is_differentiable = False
    full_state_update = False
    _dtypes: ClassVar[dict[str, torch.dtype]]
    index: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in self._dtypes:
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def _append(self, **values: Tensor) -> None:
        for name, value in values.items():
            getattr(self, name).append(value.detach().to(self.device, self._dtypes[name]).flatten())

    def _gathered(self, name: str) -> NDArray[Any]:
        array: NDArray[Any] = dim_zero_cat(getattr(self, name)).cpu().numpy()
        return array

    def _unique_images(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the image indices, ascending, and the first position of each."""
        images = self._gathered("index") if len(self.index) else np.empty(0, dtype=np.int64)
        if images.size == 0:
            raise ValueError(f"{type(self).__name__} was given no image")
        indices, first = np.unique(images, return_index=True)
        return indices, first

    def _sync_dist(self, *args: Any, **kwargs: Any) -> None:
        # A process without images must gather empty tensors of the dtype that the others send.
        for name, dtype in self._dtypes.items():
            if len(getattr(self, name)) == 0:
                setattr(self, name, [torch.empty(0, dtype=dtype, device=self.device)])
        super()._sync_dist(*args, **kwargs)

    def _apply(
        self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = ""
    ) -> nn.Module:
        # Follow the model to another device, but not to another precision: ranks need float64.
        def move(tensor: Tensor) -> Tensor:
            return tensor.to(fn(tensor.new_empty(0)).device)

        return super()._apply(move, exclude_state)


class ImageScores(_ImageMetric):
    """One score over a set of images, gathered from all processes.

    Example:
        >>> metric = ImageScores()
        >>> metric.update(torch.tensor([7, 2]), torch.tensor([1.0, 2.0]))
        >>> metric.compute()
        {2: 2.0, 7: 1.0}
    """

    _dtypes: ClassVar[dict[str, torch.dtype]] = {"index": torch.int64, "preds": torch.float64}

    def update(self, index: Tensor, preds: Tensor) -> None:
        """Take in scored images.

        Args:
            index: (N,) integer, position of each image in the dataset.
            preds: (N,) real, scores; kept in float64.
        """
        self._append(index=index, preds=preds)

    def compute(self) -> dict[int, float]:
        """Return the score of each image, by its index in ascending order.

        Raises:
            ValueError: if there is no image.
        """
        indices, first = self._unique_images()
        return dict(zip(indices.tolist(), self._gathered("preds")[first].tolist(), strict=True))


class ImageDetection(_ImageMetric):
    """Thresholds, accuracies and AUROC of one score over a set of images.

    Example:
        >>> metric = ImageDetection()
        >>> metric.update(torch.arange(4), torch.tensor([1.0, 2, 3, 4]), torch.tensor([0, 0, 1, 1]))
        >>> metric.update(torch.tensor([3]), torch.tensor([4.0]), torch.tensor([1]))  # seen before
        >>> metric.compute()["zfn_threshold"]
        3.0
    """

    _dtypes: ClassVar[dict[str, torch.dtype]] = {
        "index": torch.int64,
        "preds": torch.float64,
        "target": torch.int64,
    }

    def update(self, index: Tensor, preds: Tensor, target: Tensor) -> None:
        """Take in scored images.

        Args:
            index: (N,) integer, position of each image in the dataset.
            preds: (N,) real, scores, higher is more abnormal; kept in float64.
            target: (N,) integer, 0 normal, 1 abnormal.

        Raises:
            ValueError: if the shapes are not (N,).
        """
        if index.ndim != 1 or not index.shape == preds.shape == target.shape:
            raise ValueError(
                f"index, preds and target must be (N,), not {tuple(index.shape)}, "
                f"{tuple(preds.shape)} and {tuple(target.shape)}"
            )
        self._append(index=index, preds=preds, target=target)

    def compute(self) -> dict[str, float]:
        """Return what ``metrics.thresholds.summarise`` says of all images, each once.

        Raises:
            ValueError: if there is no image, a class is empty or a score is not finite.
        """
        _, first = self._unique_images()
        return summarise(self._gathered("preds")[first], self._gathered("target")[first])


class PixelLocalisation(_ImageMetric):
    """Pixel AUROC and AUPRO of anomaly maps over the images whose ground truth is known.

    Normal images belong in it too, with an empty mask.
    """

    _dtypes: ClassVar[dict[str, torch.dtype]] = {
        "index": torch.int64,
        "height_px": torch.int64,
        "width_px": torch.int64,
        "anomaly_map": torch.float32,
        "gt_mask": torch.uint8,
    }

    def update(self, index: Tensor, anomaly_map: Tensor, gt_mask: Tensor) -> None:
        """Take in anomaly maps.

        Args:
            index: (N,) integer, position of each image in the dataset.
            anomaly_map: (N, H, W) real, higher is more abnormal; kept in float32.
            gt_mask: (N, H, W) bool or 0/1, true where the image is defective.

        Raises:
            ValueError: if the shapes do not fit together.
        """
        if anomaly_map.ndim != 3 or anomaly_map.shape != gt_mask.shape or index.ndim != 1:
            raise ValueError(
                f"anomaly_map and gt_mask must be (N, H, W) and index (N,), not "
                f"{tuple(anomaly_map.shape)}, {tuple(gt_mask.shape)} and {tuple(index.shape)}"
            )
        if len(index) != len(anomaly_map):
            raise ValueError(f"there are {len(anomaly_map)} maps for {len(index)} indices")
        self._append(
            index=index,
            height_px=torch.full_like(index, anomaly_map.shape[1]),
            width_px=torch.full_like(index, anomaly_map.shape[2]),
            anomaly_map=anomaly_map,
            gt_mask=gt_mask,
        )

    def compute(self) -> dict[str, float]:
        """Return ``pixel_auroc``, ``aupro`` and ``masked_images``, over all images, each once.

        ``masked_images`` is the number of images with a defective pixel in their mask.

        Raises:
            ValueError: if there is no image, no or only defective pixels, or maps of several sizes.
        """
        _, first = self._unique_images()
        heights, widths = (np.unique(self._gathered(name)) for name in ("height_px", "width_px"))
        if heights.size != 1 or widths.size != 1:
            raise ValueError(
                f"all maps must be of one size, not of heights {heights.tolist()} and widths "
                f"{widths.tolist()}"
            )
        shape = (-1, int(heights[0]), int(widths[0]))
        maps = self._gathered("anomaly_map").reshape(shape)[first]
        masks = self._gathered("gt_mask").reshape(shape)[first].astype(bool)
        return {
            "pixel_auroc": pixel_auroc(maps, masks),
            "aupro": aupro(maps, masks),
            "masked_images": int(masks.any(axis=(1, 2)).sum()),
        }
