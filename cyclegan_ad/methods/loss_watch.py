"""Detection of NaN or infinite losses and weights without synchronising in each step."""

from collections.abc import Mapping

import torch
from torch import Tensor

from cyclegan_ad.errors import UserError

# Reading losses synchronises with a GPU, so there they are read only every so many steps.
CHECK_EVERY_N_STEPS = 50

_REMEDY = (
    "lower method.learning_rate or use trainer.precision=32-true, as a new run (run_name=NAME or "
    "overwrite=true)"
)


class NonFiniteLossError(UserError):
    """A loss or weight became NaN or infinite; training cannot continue."""


class LossWatch:
    """Stores the first step with a non-finite loss, on the device of the losses.

    >>> watch = LossWatch()
    >>> watch.note({"cycle": torch.tensor(0.5)}, step=1, epoch=0)
    >>> watch.check()
    """

    def __init__(self) -> None:
        self._bad_step: Tensor | None = None  # () int64 on the losses' device; -1 if none
        self._epoch = 0

    def note(self, losses: Mapping[str, Tensor], step: int, epoch: int) -> None:
        """Record whether the losses of a step are finite; on a CPU, check it immediately.

        Args:
            losses: Scalars without gradient.
            step: Number of the step, from 1.
            epoch: Number of the epoch, from 0.

        Raises:
            NonFiniteLossError: If one is NaN or infinite; raised some steps later on a GPU.
        """
        finite = torch.stack([value.isfinite() for value in losses.values()]).all()
        if self._bad_step is None:
            self._bad_step = torch.tensor(-1, device=finite.device)
        self._bad_step = torch.where((self._bad_step < 0) & ~finite, step, self._bad_step)
        self._epoch = epoch
        if finite.device.type == "cpu" or step % CHECK_EVERY_N_STEPS == 0:
            self.check()

    def check(self) -> None:
        """Check the recorded steps, synchronising with the device.

        Raises:
            NonFiniteLossError: If a loss was NaN or infinite; names the first such step.
        """
        step = -1 if self._bad_step is None else int(self._bad_step)
        if step >= 0:
            raise NonFiniteLossError(
                f"a loss became NaN or infinite at training step {step} (epoch {self._epoch + 1}); "
                f"{_REMEDY}"
            )


def check_weights(network: torch.nn.Module, epoch: int) -> None:
    """Check that no weight became NaN or infinite in the last step of an epoch.

    Synchronises with the device.

    Args:
        network: Network that was trained.
        epoch: Number of the epoch, from 0.

    Raises:
        NonFiniteLossError: If a weight is NaN or infinite.
    """
    finite = torch.stack([weight.isfinite().all() for weight in network.parameters()]).all()
    if not finite:
        raise NonFiniteLossError(
            f"a weight became NaN or infinite in the last step of epoch {epoch + 1}; {_REMEDY}"
        )
