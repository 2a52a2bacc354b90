"""A few test images of a run, kept with their reconstructions and maps to be looked at later."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.display.drawing import to_display
from cyclegan_ad.evaluation.map_batches import map_batches
from cyclegan_ad.files import replacing
from cyclegan_ad.runs.examples import FILE
from cyclegan_ad.scoring.parts import View


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


def look_at(method: Any, images: Tensor, device: torch.device) -> tuple[Tensor | None, Tensor]:
    """Reconstruct images and map their anomalies, for the eye: as they are, in float32.

    Neither ``score.tta`` nor ``score.precision`` matters, as the pictures belong to all scores.

    Args:
        method: A trained method on ``device``, in eval mode.
        images: (N, C, H, W) float32 in [-1, 1].
        device: Where to compute.

    Returns:
        The reconstructions, (N, C, H, W) float32 in [-1, 1], or None where the method makes none;
        the maps, (N, H, W) float32 >= 0. Both on the CPU.
    """
    reconstructs = hasattr(method, "reconstruct")

    def look(batch: list[int]) -> tuple[Tensor, Tensor]:
        view = View(method, images[batch].to(device))
        made = view.reconstructions if reconstructs else view.images
        return made.float().cpu(), view.anomaly_map.float().cpu()

    batches = map_batches(
        look, range(len(images)), device, batch_size=len(images), size_px=images.shape[-1]
    )
    found = [pair for _, pair in batches]
    reconstructions, maps = map(torch.cat, zip(*found, strict=True))
    return reconstructions if reconstructs else None, maps


def write_examples(
    run_dir: Path,
    shown: Examples,
    reconstructions: Tensor | None,
    maps: Tensor,
    critical: NDArray[np.bool_],
) -> None:
    """Write ``examples.npz``; see :class:`cyclegan_ad.runs.examples.SavedExamples`."""
    arrays: dict[str, Any] = {
        "images": _pixels(shown.images),
        "maps": maps.numpy().astype(np.float32),
        "masks": shown.masks.numpy(),
        "labels": np.array(shown.labels, np.int64),
        # Paths need not be valid UTF-8.
        "paths": np.array([caption.encode(errors="surrogateescape") for caption in shown.captions]),
        "critical": critical,
    }
    if reconstructions is not None:
        arrays["reconstructions"] = _pixels(reconstructions)
    with replacing(run_dir / FILE) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _pixels(images: Tensor) -> NDArray[np.uint8]:
    """(N, C, H, W) in [-1, 1] to (N, H, W, C) uint8."""
    pictures = [to_display(image) for image in images]
    return np.stack([p[..., None] if p.ndim == 2 else p for p in pictures])
