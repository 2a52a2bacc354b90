"""Reconstructions and anomaly maps of a few images, kept with the run to be looked at later."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cyclegan_ad.data.examples import Examples
from cyclegan_ad.display.drawing import to_display
from cyclegan_ad.evaluation.map_batches import map_batches
from cyclegan_ad.files import replacing
from cyclegan_ad.runs.examples import FILE
from cyclegan_ad.scoring.parts import View


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
