"""The metrics of thresholds.py and localisation.py as torchmetrics, correct under DDP.

Each state contains the index of its image in the dataset. A distributed sampler may repeat images;
here each image counts once, and neither the order of the images nor the number of processes affects
the result.
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
from cyclegan_ad.text import counted


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
            raise ValueError(f"{type(self).__name__} has no images")
        indices, first = np.unique(images, return_index=True)
        return indices, first

    def _sync_dist(self, *args: Any, **kwargs: Any) -> None:
        # A process without images must gather empty tensors of the same dtype as the others.
        for name, dtype in self._dtypes.items():
            if len(getattr(self, name)) == 0:
                setattr(self, name, [torch.empty(0, dtype=dtype, device=self.device)])
        super()._sync_dist(*args, **kwargs)

    def _apply(
        self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = ""
    ) -> nn.Module:
        # Move with the model to another device, but keep the dtypes: ranks need float64.
        def move(tensor: Tensor) -> Tensor:
            return tensor.to(fn(tensor.new_empty(0)).device)

        return super()._apply(move, exclude_state)


class ImageScores(_ImageMetric):
    """One score for a set of images, gathered from all processes.

    Example:
        >>> metric = ImageScores()
        >>> metric.update(torch.tensor([7, 2]), torch.tensor([1.0, 2.0]))
        >>> metric.compute()
        {2: 2.0, 7: 1.0}
    """

    _dtypes: ClassVar[dict[str, torch.dtype]] = {"index": torch.int64, "preds": torch.float64}

    def update(self, index: Tensor, preds: Tensor) -> None:
        """Add scores, (N,) real, of the images at positions ``index``, (N,) integer."""
        self._append(index=index, preds=preds)

    def compute(self) -> dict[int, float]:
        """Return image index -> score, in ascending order of the index.

        Raises:
            ValueError: If there is no image.
        """
        indices, first = self._unique_images()
        return dict(zip(indices.tolist(), self._gathered("preds")[first].tolist(), strict=True))


class ImageDetection(_ImageMetric):
    """Thresholds, accuracies, shares passed and AUROC of one score for a set of images.

    Example:
        >>> metric = ImageDetection()
        >>> metric.update(torch.arange(4), torch.tensor([1.0, 2, 3, 4]), torch.tensor([0, 0, 1, 1]))
        >>> metric.update(torch.tensor([3]), torch.tensor([4.0]), torch.tensor([1]))  # repeated
        >>> metric.compute()["zfn_threshold"]
        3.0
    """

    _dtypes: ClassVar[dict[str, torch.dtype]] = {
        "index": torch.int64,
        "preds": torch.float64,
        "target": torch.int64,
    }

    def update(self, index: Tensor, preds: Tensor, target: Tensor) -> None:
        """Add scored images.

        Args:
            index: (N,) integer, position of each image in the dataset.
            preds: (N,) real, scores, higher is more abnormal; kept in float64.
            target: (N,) integer, 0 normal, 1 abnormal.

        Raises:
            ValueError: If the shapes are not (N,).
        """
        if index.ndim != 1 or not index.shape == preds.shape == target.shape:
            raise ValueError(
                f"invalid index, preds and target of shapes {tuple(index.shape)}, "
                f"{tuple(preds.shape)} and {tuple(target.shape)}: expected (N,) for all"
            )
        self._append(index=index, preds=preds, target=target)

    def compute(self) -> dict[str, float]:
        """Return ``metrics.thresholds.summarise`` of all images, each counted once.

        Raises:
            ValueError: If there is no image, a class is empty or a score is not finite.
        """
        _, first = self._unique_images()
        return summarise(self._gathered("preds")[first], self._gathered("target")[first])


class PixelLocalisation(_ImageMetric):
    """Pixel AUROC and AUPRO of anomaly maps for images with known ground truth.

    Normal images belong to them as well, with an empty mask.
    """

    _dtypes: ClassVar[dict[str, torch.dtype]] = {
        "index": torch.int64,
        "height_px": torch.int64,
        "width_px": torch.int64,
        "anomaly_map": torch.float32,
        "gt_mask": torch.uint8,
    }

    def update(self, index: Tensor, anomaly_map: Tensor, gt_mask: Tensor) -> None:
        """Add anomaly maps.

        Args:
            index: (N,) integer, position of each image in the dataset.
            anomaly_map: (N, H, W) real, higher is more abnormal; kept in float32.
            gt_mask: (N, H, W) bool or 0/1, True on the defect.

        Raises:
            ValueError: If the shapes are inconsistent.
        """
        if anomaly_map.ndim != 3 or anomaly_map.shape != gt_mask.shape or index.ndim != 1:
            raise ValueError(
                f"invalid anomaly_map, gt_mask and index of shapes {tuple(anomaly_map.shape)}, "
                f"{tuple(gt_mask.shape)} and {tuple(index.shape)}: expected (N, H, W) for both "
                "maps and (N,)"
            )
        if len(index) != len(anomaly_map):
            raise ValueError(
                f"{counted(len(anomaly_map), 'map')} but "
                f"{counted(len(index), 'index', 'indices')}: expected as many"
            )
        self._append(
            index=index,
            height_px=torch.full_like(index, anomaly_map.shape[1]),
            width_px=torch.full_like(index, anomaly_map.shape[2]),
            anomaly_map=anomaly_map,
            gt_mask=gt_mask,
        )

    def compute(self) -> dict[str, float]:
        """Return ``pixel_auroc``, ``aupro`` and ``masked_images``, each image counted once.

        ``masked_images`` is the number of images with a defective pixel in their mask.

        Raises:
            ValueError: If there is no image, no or only defective pixels, or maps of several sizes.
        """
        _, first = self._unique_images()
        heights, widths = (np.unique(self._gathered(name)) for name in ("height_px", "width_px"))
        if heights.size != 1 or widths.size != 1:
            raise ValueError(
                f"invalid maps of heights {heights.tolist()} and widths {widths.tolist()}: "
                "expected one size"
            )
        shape = (-1, int(heights[0]), int(widths[0]))
        maps = self._gathered("anomaly_map").reshape(shape)[first]
        masks = self._gathered("gt_mask").reshape(shape)[first].astype(bool)
        return {
            "pixel_auroc": pixel_auroc(maps, masks),
            "aupro": aupro(maps, masks),
            "masked_images": int(masks.any(axis=(1, 2)).sum()),
        }
