"""Scores the images of a run: reconstruction, anomaly map, scores, thresholds and metrics."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.errors import UserError
from cyclegan_ad.extension_scores import ErrorVariance
from cyclegan_ad.metrics import ImageDetection, PixelLocalisation
from cyclegan_ad.scores import NonFiniteScoreError, Scores
from cyclegan_ad.view import View

TRAIN_ANEW = "train it anew with overwrite=true, a gradient method with a lower learning rate"


@dataclass(frozen=True)
class Scored:
    """Images and their scores.

    Attributes:
        indices: (N,) int64, positions in the data module's ``samples``.
        labels: (N,) int64, 0 normal, 1 abnormal.
        scores: Column of ``scores.csv`` -> (N,) float64.
    """

    indices: NDArray[np.int64]
    labels: NDArray[np.int64]
    scores: dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Evaluation:
    """The test set of one run, scored.

    Attributes:
        test: The test images.
        calibration: The abnormal images kept out of training; None if there are none.
        summary: Column -> thresholds, accuracies and AUROC (:func:`thresholds.summarise`).
        localisation: ``pixel_auroc``, ``aupro`` and ``masked_images``; None without ground truth.
    """

    test: Scored
    calibration: Scored | None
    summary: dict[str, dict[str, float]]
    localisation: dict[str, float] | None


@torch.inference_mode()
def evaluate(
    method: Any,
    data: AnomalyDataModule,
    scores: Scores,
    *,
    device: torch.device,
    batch_size: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Score every test image once (Sec. 2.3), and every calibration image.

    Args:
        method: A trained method on ``device``, in eval mode; it has ``reconstruct(images)``,
            ``embed(images)`` or both (see :class:`cyclegan_ad.scores.View`).
        data: The data module, set up.
        scores: The scores asked for, on ``device``.
        device: Where to compute.
        batch_size: Images at once; the scores do not depend on it.
        progress: Called with (done, total) after each batch of the test images.

    Returns:
        Scores and what follows from them.

    Raises:
        UserError: If a score is NaN or infinite; names the images.
    """
    if "standardised" in scores.names:
        scores.variance = error_variance(
            method, data, device=device, batch_size=batch_size, precision=scores.precision
        )
    # Without any ground truth, the maps of a large test set are not worth their memory.
    masks_known = any(mask.any() for mask in data.masks.values())
    localisation = PixelLocalisation() if masks_known else None
    test = _score(method, data, data.split.test, scores, device, batch_size, localisation, progress)
    summary = {}
    for column, found in test.scores.items():
        detection = ImageDetection()
        detection.update(*map(torch.from_numpy, (test.indices, found, test.labels)))
        summary[column] = detection.compute()
    kept = data.split.calibration
    return Evaluation(
        test=test,
        calibration=_score(method, data, kept, scores, device, batch_size) if kept else None,
        summary=summary,
        localisation=None if localisation is None else localisation.compute(),
    )


@torch.inference_mode()
def error_variance(
    method: Any,
    data: AnomalyDataModule,
    *,
    device: torch.device,
    batch_size: int,
    precision: str = "float32",
) -> Tensor:
    """Variance of a method's reconstruction errors on the normal training images.

    Args:
        method: A trained method on ``device``, in eval mode.
        data: The data module, set up.
        device: Where to compute.
        batch_size: Images at once.
        precision: Arithmetic of the reconstruction, ``float32`` or ``bf16``.

    Returns:
        (C, H, W) > 0, on ``device``.

    Raises:
        UserError: If there are fewer than two such images.
    """
    normal = data.train_indices(0)
    if len(normal) < 2:
        raise UserError(
            f"score=standardised needs 2 normal training images or more, {data.dataset_name} has "
            f"{len(normal)}; add images or leave this score out"
        )
    errors = ErrorVariance()
    for _, images, _ in data.batches(normal, batch_size):
        images = images.to(device)
        try:
            errors.update(images, View(method, images, precision=precision).reconstructions)
        except ValueError as error:
            raise UserError(
                f"score standardised cannot be computed ({error}): the weights of this run are not "
                f"usable; {TRAIN_ANEW}"
            ) from error
    return errors.compute().to(device)


def _score(
    method: Any,
    data: AnomalyDataModule,
    chosen: Sequence[int],
    scores: Scores,
    device: torch.device,
    batch_size: int,
    localisation: PixelLocalisation | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Scored:
    """Score the chosen images, and compare their maps with the ground truth where it is known."""
    columns: dict[str, list[Tensor]] = {column: [] for column in scores.columns}
    indices, labels = [], []
    for index, images, label in data.batches(chosen, batch_size):
        try:
            values, maps = scores(method, images.to(device))
        except NonFiniteScoreError as error:
            named = ", ".join(data.samples[int(index[i])].path for i in error.positions)
            raise UserError(
                f"score {error.column} is NaN or infinite for {named}: the weights of this run are "
                f"not usable; {TRAIN_ANEW}"
            ) from error
        for column, found in values.items():
            columns[column].append(found.cpu())
        if localisation is not None:
            _compare(localisation, data, index, maps.cpu())
        indices.append(index)
        labels.append(label)
        progress(sum(map(len, indices)), len(chosen))
    return Scored(
        indices=torch.cat(indices).numpy(),
        labels=torch.cat(labels).numpy(),
        scores={column: torch.cat(values).numpy() for column, values in columns.items()},
    )


def _compare(
    localisation: PixelLocalisation, data: AnomalyDataModule, index: Tensor, maps: Tensor
) -> None:
    for i, one_map in zip(index.tolist(), maps, strict=True):
        mask = data.ground_truth(i)
        if mask is not None:
            localisation.update(torch.tensor([i]), one_map[None], torch.from_numpy(mask[None]))
