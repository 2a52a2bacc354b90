"""The processor a command computes on."""

import torch

from cyclegan_ad.errors import UserError


def prepare_process() -> None:
    """Treat denormal numbers as zero: Adam's moments become denormal and slow a CPU down.

    Must come before the first parallel work, whose threads take the setting over.
    """
    torch.set_flush_denormal(True)


def choose_device(accelerator: str) -> torch.device:
    """The device of ``auto`` (a GPU if there is one), ``cpu`` or ``gpu``.

    Raises:
        UserError: If a GPU is asked for and torch finds none.
    """
    gpu = torch.cuda.is_available()
    if accelerator == "gpu" and not gpu:
        raise UserError("a GPU was asked for, but torch finds none here; ask for auto or cpu")
    return torch.device("cuda" if gpu and accelerator != "cpu" else "cpu")
