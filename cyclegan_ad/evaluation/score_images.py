"""Score images of a data module, each different file once, by all processes together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.fit_fusions import TRAIN_AGAIN
from cyclegan_ad.methods.interface import TrainedMethod
from cyclegan_ad.metrics.torch_metrics import ImageScores, PixelLocalisation
from cyclegan_ad.scoring.map_batches import map_batches
from cyclegan_ad.scoring.scores import NonFiniteScoreError, ScoredImages, Scores


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


def rank_and_processes() -> tuple[int, int]:
    """Return the rank of this process and the number of processes."""
    if not torch.distributed.is_initialized():
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


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
    scored = score_once(
        method, data, scores, indices, device, batch_size, None, lambda done, total: None
    )
    return gather(data, indices, scored)


def score_once(
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

    Args:
        method: A trained method on ``device``, in eval mode.
        data: Data module after ``setup``.
        scores: The requested scores, on ``device``.
        wanted: Images, as indices into the samples of the data.
        device: Device of the computation.
        batch_size: Images per batch on a GPU.
        localisation: Gets the maps of test images with ground truth; None if not wanted.
        progress: Called with (done, total) after each batch.

    Returns:
        Column, or ``<column>:<term>`` of a fused score -> SHA-256 of an image -> score or
        contribution, gathered from all processes.

    Raises:
        UserError: If a score is NaN or infinite; names the images.
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


def gather(
    data: AnomalyDataModule, chosen: Sequence[int], scored: dict[str, dict[str, float]]
) -> Scored:
    """Return the scores of images, from those of :func:`score_once`."""
    hashes = [data.sha256[index] for index in chosen]
    return Scored(
        indices=np.array(chosen, np.int64),
        labels=np.array([data.samples[index].label for index in chosen], np.int64),
        scores={
            column: np.array([values[sha256] for sha256 in hashes])
            for column, values in scored.items()
        },
    )
