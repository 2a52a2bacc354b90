"""Scores the test set of a run: reconstruction, anomaly map, scores, thresholds and metrics."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.errors import UserError
from cyclegan_ad.metrics import ImageDetection, PixelLocalisation
from cyclegan_ad.scores import NonFiniteScoreError, Scores, anomaly_map


class Reconstructs(Protocol):
    """What the evaluation needs of a method."""

    def reconstruct(self, images: Tensor) -> Tensor:
        """Images as the method sees them if they were normal: (N, C, H, W) in [-1, 1]."""


@dataclass
class Evaluation:
    """The test set of one run, scored.

    Attributes:
        indices: (N,) int64, positions in the data module's ``samples``.
        labels: (N,) int64, 0 normal, 1 abnormal.
        scores: Column of ``scores.csv`` -> (N,) float64.
        summary: Column -> thresholds, accuracies and AUROC (:func:`thresholds.summarise`).
        localisation: ``pixel_auroc``, ``aupro`` and ``masked_images``; None without ground truth.
    """

    indices: NDArray[np.int64]
    labels: NDArray[np.int64]
    scores: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    summary: dict[str, dict[str, float]] = field(default_factory=dict)
    localisation: dict[str, float] | None = None


@torch.inference_mode()
def evaluate(
    method: Reconstructs,
    data: AnomalyDataModule,
    scores: Scores,
    *,
    device: torch.device,
    batch_size: int,
) -> Evaluation:
    """Score every test image once (Sec. 2.3).

    Args:
        method: A trained method on ``device``, in eval mode.
        data: The data module, set up.
        scores: The scores asked for, on ``device``.
        device: Where to compute.
        batch_size: Images at once; the scores do not depend on it.

    Returns:
        Scores and what follows from them.

    Raises:
        UserError: If a score is NaN or infinite; names the images.
    """
    detection = {column: ImageDetection() for column in scores.columns}
    localisation = PixelLocalisation()
    columns: dict[str, list[Tensor]] = {column: [] for column in scores.columns}
    indices, labels = [], []
    # Without any ground truth, the maps of a large test set are not worth their memory.
    masks_known = any(mask.any() for mask in data.masks.values())
    for index, images, label in data.test_batches(batch_size):
        images = images.to(device)
        reconstructions = method.reconstruct(images)
        for column, values in _score(scores, images, reconstructions, index, data).items():
            detection[column].update(index, values.cpu(), label)
            columns[column].append(values.cpu())
        if masks_known:
            maps = anomaly_map(images, reconstructions).cpu()
            for i, one_map in zip(index.tolist(), maps, strict=True):
                mask = data.ground_truth(i)
                if mask is not None:
                    one_mask = torch.from_numpy(mask[None])
                    localisation.update(torch.tensor([i]), one_map[None], one_mask)
        indices.append(index)
        labels.append(label)
    return Evaluation(
        indices=torch.cat(indices).numpy(),
        labels=torch.cat(labels).numpy(),
        scores={column: torch.cat(values).numpy() for column, values in columns.items()},
        summary={column: metric.compute() for column, metric in detection.items()},
        localisation=localisation.compute() if masks_known else None,
    )


def _score(
    scores: Scores, images: Tensor, reconstructions: Tensor, index: Tensor, data: AnomalyDataModule
) -> dict[str, Tensor]:
    try:
        return scores(images, reconstructions)
    except NonFiniteScoreError as error:
        named = ", ".join(data.samples[int(index[i])].path for i in error.positions)
        raise UserError(
            f"score {error.column} is NaN or infinite for {named}: the weights of this run are not "
            "usable; train it anew with overwrite=true and a lower method.learning_rate"
        ) from error


@dataclass(frozen=True)
class Examples:
    """A few test images of each class, the normal ones first, to be looked at.

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
    chosen: list[int] = []
    for label in (0, 1):
        of_class = [i for i in data.split.test if data.samples[i].label == label]
        count = min(per_class, len(of_class))
        chosen += [of_class[(2 * k + 1) * len(of_class) // (2 * count)] for k in range(count)]
    unknown = np.zeros((data.size_px, data.size_px), bool)
    masks = [data.ground_truth(i) for i in chosen]
    return Examples(
        images=data.test_images(chosen),
        labels=[data.samples[i].label for i in chosen],
        captions=[data.samples[i].path for i in chosen],
        masks=torch.from_numpy(np.stack([unknown if m is None else m for m in masks])),
    )
