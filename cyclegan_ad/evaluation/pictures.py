"""Reconstructions and anomaly maps of a few test images, stored in the run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.data.examples import Examples, examples_at, spread_evenly
from cyclegan_ad.display.drawing import to_pixels
from cyclegan_ad.display.overlay import overlay_scale
from cyclegan_ad.evaluation.critical_images import critical_roles
from cyclegan_ad.files import replacing
from cyclegan_ad.methods.interface import Reconstructs, TrainedMethod
from cyclegan_ad.runs.examples import FIGURE_IMAGES, FILE
from cyclegan_ad.runs.results import Results
from cyclegan_ad.scoring.map_batches import map_batches
from cyclegan_ad.scoring.parts import View


def reconstruct_with_maps(
    method: TrainedMethod, images: Tensor, device: torch.device
) -> tuple[Tensor | None, Tensor]:
    """Compute reconstructions and anomaly maps for display, in float32.

    They do not depend on ``score.tta`` and ``score.precision``, as they belong to all scores.

    Args:
        method: A trained method on ``device``, in eval mode.
        images: (N, C, H, W) float32 in [-1, 1].
        device: Device of the computation.

    Returns:
        The reconstructions, (N, C, H, W) float32 in [-1, 1], or None if the method has none; the
        maps, (N, H, W) float32. Both on the CPU.
    """
    reconstructs = isinstance(method, Reconstructs)

    def view_batch(batch: list[int]) -> tuple[Tensor, Tensor]:
        view = View(method, images[batch].to(device))
        made = view.reconstructions if reconstructs else view.images
        return made.float().cpu(), view.anomaly_map.float().cpu()

    batches = map_batches(
        view_batch, range(len(images)), device, batch_size=len(images), size_px=images.shape[-1]
    )
    found = [pair for _, pair in batches]
    reconstructions, maps = map(torch.cat, zip(*found, strict=True))
    return reconstructions if reconstructs else None, maps


@dataclass(frozen=True)
class Pictures:
    """N test images with their reconstructions and anomaly maps.

    Attributes:
        shown: The images.
        reconstructions: (N, C, H, W) float32 in [-1, 1]; None if the method has none.
        maps: (N, H, W) float32, anomaly maps.
        critical: (N,) bool, True for images that decide by a score (`critical_roles`), False for
            those spread evenly over the test set.
    """

    shown: Examples
    reconstructions: Tensor | None
    maps: Tensor
    critical: NDArray[np.bool_]

    @property
    def map_scale(self) -> tuple[float, float]:
        """Scale of overlays, from the images that are not chosen by their scores."""
        even = ~self.critical
        return overlay_scale(self.maps.numpy()[even], np.array(self.shown.labels)[even])


def make_pictures(
    method: TrainedMethod, data: AnomalyDataModule, results: Results, device: torch.device
) -> Pictures:
    """Choose test images for display and compute their reconstructions and maps.

    Args:
        method: A trained method on ``device``, in eval mode.
        data: Its data module after ``setup``.
        results: Results of the run, with the thresholds of all scores.
        device: Device of the computation.
    """
    even = spread_evenly(data, FIGURE_IMAGES)
    shown = examples_at(data, [*even, *_critical(results, data)])
    reconstructions, maps = reconstruct_with_maps(method, shown.images, device)
    critical = np.arange(len(shown.images)) >= len(even)
    return Pictures(shown, reconstructions, maps, critical)


def _critical(results: Results, data: AnomalyDataModule) -> list[int]:
    """Return the indices of the samples that decide by any score, each once."""
    rows, positions = results.rows, dict[int, None]()
    labels = [row["label"] for row in rows]
    for name in results.metrics["scores"]:
        scores = [row[name] for row in rows]
        positions |= dict.fromkeys(critical_roles(results.metrics, name, scores, labels))
    index = {data.samples[i].path: i for i in data.split.test}
    return [index[rows[position]["path"]] for position in positions]


def write_examples(run_dir: Path, pictures: Pictures) -> None:
    """Write ``examples.npz``; see :class:`cyclegan_ad.runs.examples.SavedExamples`."""
    shown = pictures.shown
    arrays: dict[str, Any] = {
        "images": to_pixels(shown.images),
        "maps": pictures.maps.numpy().astype(np.float32),
        "masks": shown.masks.numpy(),
        "labels": np.array(shown.labels, np.int64),
        # Paths need not be valid UTF-8.
        "paths": np.array([caption.encode(errors="surrogateescape") for caption in shown.captions]),
        "critical": pictures.critical,
    }
    if pictures.reconstructions is not None:
        arrays["reconstructions"] = to_pixels(pictures.reconstructions)
    with replacing(run_dir / FILE) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
