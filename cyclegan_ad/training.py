"""Fits a method with Lightning, so that a training killed at any moment goes on where it was."""

import logging
import pickle
import time
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.loggers import Logger

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.device import choose_device, choose_precision
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import write_json
from cyclegan_ad.loss_watch import NonFiniteLossError
from cyclegan_ad.method_names import METHODS
from cyclegan_ad.preparation import prepare_networks
from cyclegan_ad.run_directory import RunDirectory
from cyclegan_ad.score_precision import arithmetic

# The order in which DDP sees the two turns of a step differs from that of its parameters.
DDP_STRATEGY = "ddp_find_unused_parameters_true"

# What Lightning warns of and is meant to be so.
_NOT_NEWS = (
    ".*does not have many workers",  # images are in memory already
    ".*is smaller than the logging interval",  # steps are counted over epochs
    ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated",  # its own code
)


class SaveLast(Checkpoint):
    """Writes ``checkpoints/last.ckpt`` at the end of epochs, complete or not at all.

    Args:
        run: The run directory.
        every_n_epochs: The last epoch is always written.
    """

    def __init__(self, run: RunDirectory, every_n_epochs: int) -> None:
        self.run, self.every_n_epochs = run, every_n_epochs
        self.seconds_before = run.read_training()["seconds"]
        self.started = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the checkpoint under another name, then rename it; called on every rank."""
        epochs = trainer.current_epoch + 1
        if epochs % self.every_n_epochs and epochs != trainer.max_epochs:
            return
        partial = self.run.checkpoint.with_suffix(".partial")
        trainer.save_checkpoint(partial)
        if trainer.is_global_zero:
            partial.replace(self.run.checkpoint)
            self.write_progress(trainer, epochs)

    def write_progress(self, trainer: pl.Trainer, epochs: int) -> None:
        """Write ``training.json``: how far the checkpoint is."""
        progress = {
            "epochs": epochs,
            "steps": trainer.global_step // max(1, len(trainer.optimizers)),
            "seconds": self.seconds_before + time.monotonic() - self.started,
            "finished": epochs == trainer.max_epochs,
            "precision": str(trainer.precision),
        }
        write_json(self.run.training, progress)


def fit(
    module: pl.LightningModule,
    data: AnomalyDataModule,
    run: RunDirectory,
    *,
    accelerator: str,
    devices: int,
    precision: str,
    max_epochs: int,
    compile: bool | Literal["auto"],
    compile_mode: str,
    activation_checkpointing: bool,
    log_every_n_steps: int,
    checkpoint_every_n_epochs: int,
    loggers: Sequence[Logger],
    callbacks: Sequence[pl.Callback],
) -> None:
    """Train to the last epoch, from the last checkpoint of the run if there is one.

    Args:
        module: The method, with fresh weights.
        data: The data module.
        run: Where checkpoints are written.
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        devices: Processes that train together; more than 1 only in a process started by
            :func:`cyclegan_ad.ddp.train_in_processes`.
        precision: Lightning's name of a precision, such as ``32-true``.
        max_epochs: Length of the training.
        compile: See :func:`prepare_networks`, as the following two.
        compile_mode: Of torch.compile.
        activation_checkpointing: Less memory for more arithmetic.
        log_every_n_steps: Losses are logged every so many steps.
        checkpoint_every_n_epochs: See :class:`SaveLast`.
        loggers: Lightning loggers.
        callbacks: Further callbacks.

    Raises:
        UserError: If there is no such device, the last checkpoint is damaged, or a
            loss becomes NaN or infinite.
    """
    device = choose_device(accelerator)
    prepare_networks(
        module,
        device,
        compile=compile,
        compile_mode=compile_mode,
        activation_checkpointing=activation_checkpointing,
        processes=devices,
    )
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for told_otherwise in _NOT_NEWS:
        warnings.filterwarnings("ignore", message=told_otherwise)
    save_last = SaveLast(run, checkpoint_every_n_epochs)
    trainer = pl.Trainer(
        accelerator=device.type,
        devices=devices,
        strategy=DDP_STRATEGY if devices > 1 else "auto",
        precision=precision,  # type: ignore[arg-type]
        max_epochs=max_epochs,
        logger=list(loggers),
        callbacks=[*callbacks, save_last],
        log_every_n_steps=log_every_n_steps,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        default_root_dir=run.path,
        # Who started the processes is known; Lightning would guess it from SLURM's variables.
        plugins=[TorchElasticEnvironment() if devices > 1 else LightningEnvironment()],
    )
    checkpoint = None
    if run.checkpoint.is_file():
        check_checkpoint(run)
        checkpoint = run.checkpoint
    exact = arithmetic(device, "float32") if precision == "32-true" else nullcontext()
    try:
        with exact:
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except NonFiniteLossError as error:
        epochs = run.read_training()["epochs"]
        kept = f"{run.checkpoint}, after epoch {epochs}" if epochs else "none yet"
        raise UserError(f"{error}; last good checkpoint: {kept}") from error
    except SystemExit as stopped:
        if stopped.code != 1:
            raise  # a batch system takes the machine away and queues the job again
        # Lightning ends the process itself after Ctrl-C; the command says how to go on.
        raise KeyboardInterrupt from stopped
    if trainer.is_global_zero and not run.read_training()["finished"]:
        # Killed between the last checkpoint and its note: nothing was left to train.
        save_last.write_progress(trainer, trainer.current_epoch)


def check_checkpoint(run: RunDirectory) -> None:
    """Make sure that the last checkpoint can be read.

    Raises:
        UserError: If it is missing or damaged.
    """
    if not run.checkpoint.is_file():
        raise UserError(f"{run.checkpoint} is gone; put it back or start anew with overwrite=true")
    try:
        torch.load(run.checkpoint, map_location="meta", mmap=True, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{run.checkpoint} is damaged; put back a copy or start anew with overwrite=true"
        ) from error


def training_arguments(settings: dict[str, Any]) -> dict[str, Any]:
    """The arguments of :func:`fit` that come from ``trainer.*``."""
    trainer = settings["trainer"]
    return {"precision": precision_of(settings)} | {
        name: trainer[name]
        for name in (
            "accelerator",
            "max_epochs",
            "compile",
            "compile_mode",
            "activation_checkpointing",
            "log_every_n_steps",
            "checkpoint_every_n_epochs",
        )
    }


def precision_of(settings: dict[str, Any]) -> str:
    """The precision a job trains in on this machine, as Lightning calls it.

    Raises:
        UserError: If the device cannot compute in the one asked for.
    """
    trainer, method = settings["trainer"], METHODS[settings["method"]["name"]]
    device = choose_device(trainer["accelerator"])
    return choose_precision(trainer["precision"], device, mixed=method.mixed_precision)
