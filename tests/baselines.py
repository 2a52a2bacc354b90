"""Tiny GANomaly, PaDiM and PatchCore, and a real Trainer around them; without a network."""

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

SIZE_PX = 32
COMMON = {
    "channels": 1,
    "size_px": SIZE_PX,
    "backbone": "resnet18",
    "pretrained": False,
    "weights_path": None,
    "max_train_images": None,
    "seed": 3,
}
PADIM = COMMON | {"layers": ["layer1", "layer2", "layer3"], "n_features": 20}
PATCHCORE = COMMON | {"layers": ["layer2", "layer3"], "coreset_ratio": 0.1, "n_neighbors": 3}


def padim(**changes: Any) -> Any:
    pytest.importorskip("anomalib", reason="extra 'baselines'")
    from cyclegan_ad.methods.padim import PaDiM

    return PaDiM(**(PADIM | changes))


def patchcore(**changes: Any) -> Any:
    pytest.importorskip("anomalib", reason="extra 'baselines'")
    from cyclegan_ad.methods.patchcore import PatchCore

    return PatchCore(**(PATCHCORE | changes))


def images(n: int, channels: int = 1, size_px: int = SIZE_PX, seed: int = 0) -> Tensor:
    """Blurred noise with edges, float32 in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, channels, 8, 8, generator=generator) * 2 - 1
    fine = torch.rand(n, channels, size_px, size_px, generator=generator) * 2 - 1
    return 0.7 * torch.nn.functional.interpolate(coarse, size=(size_px, size_px)) + 0.3 * fine


def batches(normal: Tensor, batch_size: int = 4) -> list[dict[str, Tensor]]:
    """Training batches whose abnormal images must not be looked at."""
    return [
        {"normal": part, "abnormal": torch.full_like(part, float("nan"))}
        for part in normal.split(batch_size)
    ]


def fit(module: Any, data: list[dict[str, Tensor]], epochs: int = 1, **settings: Any) -> pl.Trainer:
    """Fit through Lightning; gives the trainer."""
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )
    trainer.fit(module, DataLoader(data, batch_size=None))  # type: ignore[arg-type]
    return trainer
