"""Scoring of the test set of a run: reconstructions, anomaly maps, scores and metrics."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.fit_fusions import TRAIN_AGAIN, fit_fusions
from cyclegan_ad.methods.interface import TrainedMethod
from cyclegan_ad.methods.names import FUSED
from cyclegan_ad.metrics.thresholds import undefined_summary
from cyclegan_ad.metrics.torch_metrics import ImageDetection, ImageScores, PixelLocalisation
from cyclegan_ad.scoring.extensions import ErrorVariance
from cyclegan_ad.scoring.fusion import Fusion
from cyclegan_ad.scoring.map_batches import map_batches
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.scoring.parts import View
from cyclegan_ad.scoring.scores import NonFiniteScoreError, ScoredImages, Scores
from cyclegan_ad.text import counted


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
    """Scores and metrics of the test set of one run.

    Attributes:
        columns: Columns of the scores.
        test: The test images.
        calibration: The abnormal images kept out of training; None if there are none.
        summary: Column -> thresholds, accuracies and AUROC (:func:`thresholds.summarise`), which
            are None without abnormal images.
        localisation: ``pixel_auroc``, ``aupro`` and ``masked_images``; None without ground truth.
        crossval: Fold of the abnormal training images -> scores by the model that did not see it:
            of its images and, if the model was fitted anew, of the test images. Empty if not asked
            for.
        tuning: The images that fused scores are fitted to, their fused scores by a fit without
            them; None if there are none.
        fusions: Column -> parameters of each fused score.
        contributions: The test images, with ``<column>:<term>`` -> what the term adds to the fused
            score; None without fused scores.
    """

    columns: tuple[ScoreColumn, ...]
    test: Scored
    calibration: Scored | None
    summary: dict[str, Mapping[str, float | None]]
    localisation: dict[str, float] | None
    crossval: Mapping[int, Scored] = field(default_factory=dict)
    tuning: Scored | None = None
    fusions: Mapping[str, Fusion] = field(default_factory=dict)
    contributions: Scored | None = None


def rank_and_processes() -> tuple[int, int]:
    """Return the rank of this process and the number of processes."""
    if not torch.distributed.is_initialized():
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


@torch.inference_mode()
def evaluate(
    method: TrainedMethod,
    data: AnomalyDataModule,
    scores: Scores,
    *,
    device: torch.device,
    batch_size: int,
    training_images: Sequence[int] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Score every test image once (Sec. 2.3), every calibration image, and those asked for.

    In a group of processes, each scores a subset of the images and gets the scores of all.

    Args:
        method: A trained method on ``device``, in eval mode.
        data: Data module after ``setup``.
        scores: The requested scores, on ``device``.
        device: Device of the computation.
        batch_size: Images per batch on a GPU. On a CPU neither this nor the number of threads
            affects a score (see :func:`cyclegan_ad.scoring.map_batches.map_batches`).
        training_images: Abnormal training images, which the method did not see, as indices into the
            samples of the data; they are fold 0 of ``crossval``.
        progress: Called with (done, total) after each batch, numbers of different images of this
            process.

    Returns:
        Scores and the metrics computed from them.

    Raises:
        UserError: If a score is NaN or infinite; names the images.
    """
    if "standardised" in scores.names:
        scores.variance = error_variance(
            method, data, device=device, batch_size=batch_size, precision=scores.precision
        )
    outside = {}
    if any(name in FUSED for name in scores.names):
        outside = fit_fusions(method, data, scores, device=device, batch_size=batch_size)
    # Without ground truth, the maps of a large test set would only waste memory.
    masks_known = bool(data.masks.truth)
    localisation = PixelLocalisation() if masks_known else None
    kept = data.split.calibration
    wanted = (*data.split.test, *kept, *data.split.tuning, *training_images)
    scored = _score(method, data, scores, wanted, device, batch_size, localisation, progress)
    added = {name: scored.pop(name) for name in list(scored) if ":" in name}
    test = _gather(data, data.split.test, scored)
    tuning = _gather(data, data.split.tuning, scored) if data.split.tuning else None
    if tuning is not None:
        tuning.scores.update(outside)
    summary: dict[str, Mapping[str, float | None]] = {}
    for column, found in test.scores.items():
        if data.normal_only:
            summary[column] = undefined_summary()
            continue
        detection = ImageDetection()
        detection.update(*map(torch.from_numpy, (test.indices, found, test.labels)))
        summary[column] = detection.compute()
    return Evaluation(
        columns=scores.columns,
        test=test,
        calibration=_gather(data, kept, scored) if kept else None,
        tuning=tuning,
        fusions=dict(scores.fusions),
        contributions=_gather(data, data.split.test, added) if added else None,
        crossval={0: _gather(data, training_images, scored)} if training_images else {},
        summary=summary,
        localisation=None if localisation is None else localisation.compute(),
    )


@torch.inference_mode()
def score_images(
    method: TrainedMethod,
    data: AnomalyDataModule,
    scores: Scores,
    indices: Sequence[int],
    *,
    device: torch.device,
    batch_size: int,
) -> Scored:
    """Score images once; as `evaluate` scores the test set.

    Args:
        method: A trained method on ``device``, in eval mode.
        data: Data module after ``setup``.
        scores: The requested scores, on ``device``.
        indices: Images, as indices into the samples of the data.
        device: Device of the computation.
        batch_size: Images per batch on a GPU.

    Raises:
        UserError: If a score is NaN or infinite; names the images.
    """
    scored = _score(
        method, data, scores, indices, device, batch_size, None, lambda done, total: None
    )
    return _gather(data, indices, scored)


@torch.inference_mode()
def error_variance(
    method: TrainedMethod,
    data: AnomalyDataModule,
    *,
    device: torch.device,
    batch_size: int,
    precision: str = "float32",
) -> Tensor:
    """Compute the variance of a method's reconstruction errors on the normal training images.

    Args:
        method: A trained method on ``device``, in eval mode.
        data: Data module after ``setup``.
        device: Device of the computation.
        batch_size: Images per batch on a GPU.
        precision: Precision of the reconstruction, ``float32`` or ``bf16``.

    Returns:
        (C, H, W) float64 > 0, on ``device``.

    Raises:
        UserError: If there are fewer than two such images.
    """
    normal = data.train_indices(0)
    if len(normal) < 2:
        raise UserError(
            f"invalid score=standardised for dataset {data.dataset_name} with "
            f"{counted(len(normal), 'normal training image')}: expected at least 2; add images or "
            "use another score"
        )
    errors = ErrorVariance()

    def reconstruct(batch: list[int]) -> tuple[Tensor, Tensor]:
        images = data.images_at(batch).to(device)
        return images, View(method, images, precision=precision).reconstructions

    for _, (images, reconstructions) in map_batches(
        reconstruct, normal, device, batch_size=batch_size, size_px=data.size_px
    ):
        try:
            errors.update(images, reconstructions)
        except ValueError as error:
            raise UserError(
                f"score standardised cannot be computed ({error}): the weights of the run are "
                f"unusable; {TRAIN_AGAIN}"
            ) from error
    return errors.compute().to(device)


def _score(
    method: TrainedMethod,
    data: AnomalyDataModule,
    scores: Scores,
    wanted: Sequence[int],
    device: torch.device,
    batch_size: int,
    localisation: PixelLocalisation | None,
    progress: Callable[[int, int], None],
) -> dict[str, dict[str, float]]:
    """Score images, identical files once; evaluate the maps of test images.

    Returns:
        Column, or ``<column>:<term>`` of a fused score -> SHA-256 of an image -> score or
        contribution, gathered from all processes.
    """
    tested = set(data.split.test)
    copies: dict[str, list[int]] = {}
    for index in wanted:
        copies.setdefault(data.sha256[index], []).append(index)
    firsts = {indices[0]: sha256 for sha256, indices in copies.items()}
    rank, processes = rank_and_processes()
    mine = list(firsts)[rank::processes]

    def score(batch: list[int]) -> ScoredImages | NonFiniteScoreError:
        try:
            return scores(method, data.images_at(batch).to(device))
        except NonFiniteScoreError as error:
            return error

    scored = {column.column: ImageScores() for column in scores.columns}
    for name, fusion in scores.fusions.items():
        scored |= {f"{name}:{term}": ImageScores() for term in fusion.terms}
    unusable: dict[str, list[str]] = {}
    done = 0
    for batch, found in map_batches(
        score, mine, device, batch_size=batch_size, size_px=data.size_px
    ):
        done += len(batch)
        progress(done, len(mine))
        if isinstance(found, NonFiniteScoreError):
            paths = [data.samples[batch[i]].path for i in found.positions]
            unusable.setdefault(found.column, []).extend(paths)
            continue
        for column, numbers in (found.scores | found.contributions).items():
            scored[column].update(torch.tensor(batch), numbers)
        if localisation is not None:
            for first, one_map in zip(batch, found.maps.cpu(), strict=True):
                for index in tested.intersection(copies[firsts[first]]):
                    if (mask := data.ground_truth(index)) is not None:
                        truth = torch.from_numpy(mask[None])
                        localisation.update(torch.tensor([index]), one_map[None], truth)
    for column, paths in unusable.items():
        raise UserError(
            f"score {column} is NaN or infinite for {', '.join(paths)}: the weights of the run are "
            f"unusable; {TRAIN_AGAIN}"
        )
    return {
        column: {firsts[index]: score for index, score in metric.compute().items()}
        for column, metric in scored.items()
    }


def _gather(
    data: AnomalyDataModule, chosen: Sequence[int], scored: dict[str, dict[str, float]]
) -> Scored:
    hashes = [data.sha256[index] for index in chosen]
    return Scored(
        indices=np.array(chosen, np.int64),
        labels=np.array([data.samples[index].label for index in chosen], np.int64),
        scores={
            column: np.array([values[sha256] for sha256 in hashes])
            for column, values in scored.items()
        },
    )
