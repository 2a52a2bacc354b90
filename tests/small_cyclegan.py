"""A Cycle-GAN and batches so small that a step takes milliseconds."""

from typing import Any

import torch

from cyclegan_ad.methods.cyclegan import CycleGAN

SMALL = {
    "channels": 1,
    "base_channels": 4,
    "residual_blocks": 1,
    "discriminator_base_channels": 4,
    "adversarial_loss": "least_squares",
    "lambda_cyc": 10.0,
    "lambda_ide": 5.0,
    "learning_rate": 2e-4,
    "betas": (0.5, 0.999),
    "pool_size": 50,
    "max_epochs": 4,
    "decay_start_epoch": 2,
    "seed": 0,
}
# What ``method=cyclegan_plus`` does beside.
PLUS: dict[str, Any] = {
    "discriminator_augmentation": ("color", "translation", "cutout"),
    "opposite_real_weight": 0.5,
    "ema_decay": 0.9,
    "ema_discriminators": True,
}


def small_cyclegan(**changes: Any) -> CycleGAN:
    return CycleGAN(**(SMALL | changes))


def random_batches(count: int, size: int = 2, channels: int = 1) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    return [
        {
            side: torch.rand((size, channels, 32, 32), generator=generator) * 2 - 1
            for side in ("normal", "abnormal")
        }
        for _ in range(count)
    ]
