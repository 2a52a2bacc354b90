"""What ``auto`` stands for, decided once for a job: into what its run records."""

from typing import Any

import torch

from cyclegan_ad.device import choose_device, choose_precision, missing_compiler
from cyclegan_ad.errors import UserError
from cyclegan_ad.settings import Settings, WandbLogger
from cyclegan_ad.text import counted
from cyclegan_ad.tracking.wandb_run import choose_mode


def resolve_auto(settings: Settings, recorded: Settings | None = None) -> Settings:
    """Replace every ``auto`` of ``trainer.*`` and ``logger.mode`` by what it means on this machine.

    Args:
        settings: All settings of the job.
        recorded: What the run was begun with, if the job goes on with one: it keeps its precision.

    Returns:
        The same settings without ``auto``; ``trainer.devices`` is the number of processes.

    Raises:
        UserError: If the device asked for is not there or cannot compute in the precision, or if
            the W&B mode needs an account.
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
    if entry.fitted:  # one pass over the images is over before the networks were compiled
        changes["trainer.compile"] = False
    elif trainer.compile == "auto":
        changes["trainer.compile"] = device.type == "cuda" and missing_compiler(device) is None
    if isinstance(settings.logger, WandbLogger):
        changes["logger.mode"], _ = choose_mode(settings.logger.mode)
    return settings.replaced(changes)


def _process_count(settings: Settings) -> int:
    """One process, or with ``strategy=ddp`` one a device."""
    trainer = settings.trainer
    if trainer.strategy != "ddp":
        return 1
    gpus = 0 if trainer.accelerator == "cpu" else torch.cuda.device_count()
    count = max(1, gpus) if trainer.devices == "auto" else trainer.devices
    if gpus and count > gpus:
        raise UserError(f"invalid trainer.devices={count}: this machine has {counted(gpus, 'GPU')}")
    return count
