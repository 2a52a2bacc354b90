"""Resolve the settings with value ``auto``, once per job, before they are recorded."""

from typing import Any

import torch

from cyclegan_ad.device import choose_device, choose_precision, missing_compiler
from cyclegan_ad.errors import UserError
from cyclegan_ad.settings.train import Settings, WandbLogger
from cyclegan_ad.text import counted
from cyclegan_ad.tracking.wandb_run import choose_mode


def resolve_auto(settings: Settings, recorded: Settings | None = None) -> Settings:
    """Replace every ``auto`` of ``trainer.*`` and ``logger.mode`` by the value for this machine.

    The precision is kept that is recorded for the run that the job resumes.

    Returns:
        The same settings without ``auto``; ``trainer.devices`` is the number of processes.

    Raises:
        UserError: If the device is missing or does not support the precision, or if the W&B mode
            needs an account.
    """
    trainer, entry = settings.trainer, settings.entry
    device = choose_device(trainer.accelerator)
    precision = trainer.precision
    if precision == "auto" and recorded is not None:
        precision = recorded.trainer.precision
    changes: dict[str, Any] = {
        "trainer.accelerator": "gpu" if device.type == "cuda" else "cpu",
        "trainer.devices": 1 if entry.fitted else _process_count(settings),
        "trainer.precision": choose_precision(precision, device, mixed=entry.mixed_precision),
    }
    if entry.fitted:  # fitted in one pass, compilation would not pay off
        changes["trainer.compile"] = False
    elif trainer.compile == "auto":
        changes["trainer.compile"] = device.type == "cuda" and missing_compiler(device) is None
    if isinstance(settings.logger, WandbLogger):
        changes["logger.mode"], _ = choose_mode(settings.logger.mode)
    return settings.replaced(changes)


def _process_count(settings: Settings) -> int:
    """Count the processes: one, or one per device with ``strategy=ddp``."""
    trainer = settings.trainer
    if trainer.strategy != "ddp":
        return 1
    gpus = 0 if trainer.accelerator == "cpu" else torch.cuda.device_count()
    count = max(1, gpus) if trainer.devices == "auto" else trainer.devices
    if gpus and count > gpus:
        raise UserError(f"invalid trainer.devices={count}: this machine has {counted(gpus, 'GPU')}")
    return count
