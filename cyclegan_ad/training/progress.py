"""Progress bar of a training, over all epochs."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console, RenderableType
from rich.progress import BarColumn, ProgressColumn, Task, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text
from torch import Tensor

from cyclegan_ad.display.numbers import duration
from cyclegan_ad.display.terminal import TaskProgress
from cyclegan_ad.tracking.wandb_workspace import TRAIN_AUROC

# Name on the terminal -> keys of logged losses, of which those that the method has are summed.
LOSSES: Mapping[str, Sequence[str]] = {
    "cycle": ("loss/cycle_normal", "loss/cycle_abnormal"),
    "contextual": ("loss/contextual",),
    "latent": ("loss/latent",),
    "adversarial": ("loss/gan_normal", "loss/gan_abnormal", "loss/adversarial"),
    "discriminator": (
        "loss/discriminator_normal",
        "loss/discriminator_abnormal",
        "loss/discriminator",
    ),
}

# The time to the end is estimated once, from the steps between these two: the first ones are slow.
_WARM_STEPS, _ESTIMATE_STEPS = 5, 20


class TrainingProgress(ProgressBar):
    """One progress bar for the whole training, over all epochs, on the first rank only.

    It shows the epoch, percentage, losses, pairs per second, elapsed and remaining time. Losses are
    read at most twice a second, as reading one waits for the device. A resumed training starts at
    the percentage that was done, and its remaining time is estimated from the speed since then.

    Args:
        console: Destination; standard error by default.
        clock: Returns monotonic seconds; for tests.
        estimated: Called once, after 20 steps, with the estimated seconds to the end; returns lines
            that are printed above the bar.
        shows_speed: Whether to show pairs or images per second.
    """

    def __init__(
        self,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
        estimated: Callable[[float], Sequence[str]] = lambda seconds: (),
        shows_speed: bool = True,
    ) -> None:
        super().__init__()
        self._shows_speed = shows_speed
        self._console, self._clock, self._estimated = console, clock, estimated
        self._steps, self._warm_s = 0, 0.0
        self.is_enabled = True  # read by Lightning
        self._progress: TaskProgress | None = None

    def disable(self) -> None:
        """Show nothing; called by Lightning on all ranks but the first."""
        self.is_enabled = False

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Print above the bar."""
        if self._progress is not None and self._progress.console.is_terminal:
            self._progress.console.print(*args, **kwargs)
        else:
            super().print(*args, **kwargs)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the bar at the first or the resumed epoch."""
        if not self.is_enabled:
            return
        batches, epochs = trainer.num_training_batches, trainer.max_epochs
        bounded = batches != float("inf") and epochs is not None and epochs > 0
        self._progress = _EpochProgress(
            "{task.description}",
            BarColumn(bar_width=None),
            "{task.percentage:>3.0f}%",
            *([_SpeedColumn()] if self._shows_speed else []),
            TimeElapsedColumn(),
            "elapsed",
            TimeRemainingColumn(),
            "left",
            description=_epoch(trainer),
            total=batches * epochs if bounded and epochs is not None else None,
            done=int(trainer.current_epoch * batches) if bounded else 0,
            console=self._console,
            clock=self._clock,
            losses="",
            auroc="",
            pairs=0,
            unit="pairs" if self._shows_speed else "",
        )
        if self._progress.console.is_terminal:
            self._progress.start()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the batch, and update the bar if an update is due."""
        if self._progress is None:
            return
        task = self._progress.task
        self._estimate(task)
        both = isinstance(batch, Mapping) and "abnormal" in batch
        # The last batch of an epoch may be smaller.
        pairs = max(task.fields["pairs"], _batch_size(batch) * trainer.world_size)
        unit = ("pairs" if both else "images") if self._shows_speed else ""
        if self._progress.advance_to(task.completed + 1, pairs=pairs, unit=unit):
            losses, auroc = self._read_losses(trainer), trainer.callback_metrics.get(TRAIN_AUROC)
            shown = "" if auroc is None else f"AUROC of training images {float(auroc):.3f}"
            self._progress.show(description=_epoch(trainer), losses=losses, auroc=shown)

    def _estimate(self, task: Task) -> None:
        """Count a step, and print the estimate when it is due."""
        self._steps += 1
        if self._steps == _WARM_STEPS:
            self._warm_s = self._clock()
        if self._steps != _ESTIMATE_STEPS or task.total is None or self._progress is None:
            return
        per_step_s = (self._clock() - self._warm_s) / (_ESTIMATE_STEPS - _WARM_STEPS)
        for line in self._estimated(per_step_s * (task.total - task.completed - 1)):
            if self._progress.console.is_terminal:
                self._progress.console.print(line, markup=False, soft_wrap=True)
            else:
                print(line, flush=True)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Stop the bar before the error is printed."""
        self._stop()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Stop the bar."""
        self._stop()

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _read_losses(self, trainer: pl.Trainer) -> str:
        # Only during an epoch, as at its end Lightning would reduce over all ranks.
        metrics = trainer.callback_metrics
        shown = {
            name: sum(float(metrics[key]) for key in keys if key in metrics)
            for name, keys in LOSSES.items()
            if any(key in metrics for key in keys)
        }
        return "  ".join(f"{name} {value:.3f}" for name, value in shown.items())


class _EpochProgress(TaskProgress):
    """Bar with the losses and the AUROC on separate lines, so that all fit 80 columns."""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        for task in self.tasks:
            if task.fields["losses"]:
                yield Text(f"losses: {task.fields['losses']}", style="dim", no_wrap=True)
            if task.fields["auroc"]:
                yield Text(task.fields["auroc"], style="dim", no_wrap=True)

    def line(self) -> str:
        task = self.task
        percent = f" ({task.percentage:.0f}%)" if task.total else ""
        fields = task.fields
        parts = [task.description + percent, fields["losses"], fields["auroc"], _speed(task)]
        parts.append(f"{duration(task.elapsed or 0)} elapsed")
        if task.time_remaining is not None:
            parts.append(f"{duration(task.time_remaining)} left")
        return ", ".join(filter(None, parts))


class _SpeedColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(_speed(task))


def _speed(task: Task) -> str:
    unit = task.fields["unit"]
    return f"{(task.speed or 0) * task.fields['pairs']:.3g} {unit}/s" if unit else ""


def _epoch(trainer: pl.Trainer) -> str:
    bounded = trainer.num_training_batches != float("inf") and (trainer.max_epochs or 0) > 0
    return f"epoch {trainer.current_epoch + 1}" + (f"/{trainer.max_epochs}" if bounded else "")


def _batch_size(batch: Any) -> int:
    """Count the pairs of a batch: the length of the first tensor found in it."""
    if isinstance(batch, Tensor):
        return len(batch)
    parts = batch.values() if isinstance(batch, Mapping) else batch
    return _batch_size(next(iter(parts)))
