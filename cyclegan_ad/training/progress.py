"""Progress of a training on the terminal: one bar over all epochs."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text
from torch import Tensor

from cyclegan_ad.display.terminal import (
    FIRST_LINE_S,
    LINE_EVERY_S,
    PLAIN_SHARE,
    REFRESH_S,
    Heartbeat,
    Speed,
    decoding_progress,
    duration,
    standard_error,
)

__all__ = ["LOSSES", "TrainingProgress", "decoding_progress"]

# What logged losses are called on the terminal: of each line, those that the method has are added.
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


class TrainingProgress(ProgressBar):
    """One progress bar for the whole training, over all epochs, on the first rank only.

    It shows epoch, share done, losses, pairs a second, time gone and time left. Losses are read
    at most twice a second, as reading one waits for the device. A training that is continued
    starts at the share that was done, and its time left follows from the speed since then.

    Args:
        losses: shown name to logged metrics, which are added up; those not logged are left out.
        console: where to; standard error by default.
        clock: seconds, rising; for tests.
    """

    def __init__(
        self,
        losses: Mapping[str, Sequence[str]] = LOSSES,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._losses = losses
        self._console = console
        self._clock = clock
        self._enabled = True
        self._progress: Progress | None = None
        self._heartbeat: Heartbeat | None = None
        self._unit = "pairs"
        self._task = TaskID(0)

    @property
    def is_enabled(self) -> bool:
        """Whether progress is shown; Lightning asks before it prints."""
        return self._enabled

    def enable(self) -> None:
        """Show progress."""
        self._enabled = True

    def disable(self) -> None:
        """Show nothing."""
        self._enabled = False

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Print above the bar."""
        if self._progress is not None:
            self._progress.console.print(*args, **kwargs)
        else:
            super().print(*args, **kwargs)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start at the epoch the training starts or goes on from."""
        if not self._enabled:
            return
        console = self._console or standard_error()
        batches, epochs = trainer.num_training_batches, trainer.max_epochs
        bounded = batches != float("inf") and epochs is not None and epochs > 0
        self._total = int(batches * epochs) if bounded and epochs is not None else None
        self._done = self._start = int(trainer.current_epoch * batches) if bounded else 0
        self._steps, self._pairs = Speed(self._clock), Speed(self._clock)
        self._last_shown = self._clock()
        self._line_due = self._last_shown + FIRST_LINE_S
        self._next_line = self._share() + PLAIN_SHARE
        self._plain = console if not console.is_terminal else None
        if self._plain is not None:
            # A step, the first one above all, may take longer than a line may be waited for.
            self._heartbeat = Heartbeat(lambda: self._say(trainer))
        else:
            self._progress = _TwoLineProgress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.fields[speed]}"),
                console=console,
                expand=True,
            )
            self._task = self._progress.add_task(
                self._epoch(trainer), total=self._total, completed=self._done, speed="", losses=""
            )
            self._progress.start()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the batch; show it if it is time to."""
        if not self._enabled:
            return
        self._done += 1
        self._steps.add(1)
        self._unit = "pairs" if isinstance(batch, Mapping) and "abnormal" in batch else "images"
        self._pairs.add(_batch_size(batch) * trainer.world_size)
        now = self._clock()
        last = self._done == self._total
        if self._progress is not None and (last or now - self._last_shown >= REFRESH_S):
            self._last_shown = now
            self._progress.update(
                self._task,
                description=self._epoch(trainer),
                completed=self._done,
                speed=self._speed(),
                losses=self._read_losses(trainer),
            )
        if self._plain is not None and (
            last or self._share() >= self._next_line - 1e-9 or now >= self._line_due
        ):
            self._line_due = now + LINE_EVERY_S
            self._next_line = self._share() + PLAIN_SHARE
            self._say(trainer, self._read_losses(trainer))
            if self._heartbeat is not None:
                self._heartbeat.told()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the finished bar on the terminal."""
        self._stop()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Give the terminal back before the error is shown."""
        self._stop()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the terminal back."""
        self._stop()

    def _say(self, trainer: pl.Trainer, losses: str = "") -> None:
        percent = f" ({self._share():.0%})" if self._total else ""
        parts = (self._epoch(trainer) + percent, losses, self._speed())
        if self._plain is not None:
            self._plain.print(", ".join(filter(None, parts)), soft_wrap=True, markup=False)

    def _stop(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.stop()
            self._heartbeat = None
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _share(self) -> float:
        return self._done / self._total if self._total else 0.0

    def _epoch(self, trainer: pl.Trainer) -> str:
        of = f"/{trainer.max_epochs}" if self._total else ""
        return f"epoch {trainer.current_epoch + 1}{of}"

    def _read_losses(self, trainer: pl.Trainer) -> str:
        # Only within an epoch: at its end Lightning would reduce over ranks, and wait for them.
        metrics = trainer.callback_metrics
        shown = {
            name: sum(float(metrics[key]) for key in keys if key in metrics)
            for name, keys in self._losses.items()
            if any(key in metrics for key in keys)
        }
        return "  ".join(f"{name} {value:.3f}" for name, value in shown.items())

    def _speed(self) -> str:
        speed = f"{self._pairs.per_second:.3g} {self._unit}/s"
        text = f"{speed}, {duration(self._steps.elapsed_s)} elapsed"
        if self._total and self._steps.per_second > 0:
            left_s = (self._total - self._done) / self._steps.per_second
            text += f", {duration(left_s)} left"
        return text


class _TwoLineProgress(Progress):
    """A bar with the losses in a line of their own, so that both fit 80 columns."""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        for task in self.tasks:
            if task.fields["losses"]:
                yield Text(f"losses: {task.fields['losses']}", style="dim", no_wrap=True)


def _batch_size(batch: Any) -> int:
    """Count the pairs of a batch: the length of the first tensor found in it."""
    if isinstance(batch, Tensor):
        return len(batch)
    parts = batch.values() if isinstance(batch, Mapping) else batch
    return _batch_size(next(iter(parts)))
