"""Variance of the reconstruction errors on normal training images, for ``standardised``."""

import torch
from torch import Tensor

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.fit_fusions import TRAIN_AGAIN
from cyclegan_ad.methods.interface import TrainedMethod
from cyclegan_ad.scoring.extensions import ErrorVariance
from cyclegan_ad.scoring.map_batches import map_batches
from cyclegan_ad.scoring.parts import View
from cyclegan_ad.text import counted


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
