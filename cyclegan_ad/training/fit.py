"""Fits a method with Lightning, so that a training killed at any moment goes on where it was."""

import logging
import signal
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
from pytorch_lightning.utilities.exceptions import SIGTERMException

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.device import arithmetic, choose_device, choose_precision
from cyclegan_ad.endings import Terminated
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import write_json
from cyclegan_ad.methods.loss_watch import NonFiniteLossError
from cyclegan_ad.methods.names import METHODS
from cyclegan_ad.runs.checkpoints import IDENTITY, WholeCheckpoints, check_checkpoint, identity_of
from cyclegan_ad.runs.directory import RunDirectory, training_settings
from cyclegan_ad.training.speed import prepare_networks

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
        identity: Of the run, see :func:`cyclegan_ad.runs.checkpoints.identity_of`.
    """

    def __init__(self, run: RunDirectory, every_n_epochs: int, identity: dict[str, Any]) -> None:
        self.run, self.every_n_epochs, self.identity = run, every_n_epochs, identity
        self.seconds_before = run.read_training()["seconds"]
        self.started = time.monotonic()
        self.begun = run.config.is_file()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the checkpoint, then how far it is; called on every rank."""
        epochs = trainer.current_epoch + 1
        if epochs % self.every_n_epochs and epochs != trainer.max_epochs:
            return
        if self.begun and not self.run.config.is_file():
            raise UserError(
                f"{self.run.path} was deleted or moved while it was trained; type the same command "
                "again to begin anew"
            )
        trainer.save_checkpoint(self.run.checkpoint)
        if trainer.is_global_zero:
            self.write_progress(trainer, epochs)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Say in the checkpoint which run it belongs to."""
        checkpoint[IDENTITY] = self.identity

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
    made_with: dict[str, Any],
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
            :func:`cyclegan_ad.training.ddp.train_in_processes`.
        precision: Lightning's name of a precision, such as ``32-true``.
        max_epochs: Length of the training.
        compile: See :func:`prepare_networks`, as the following two.
        compile_mode: Of torch.compile.
        activation_checkpointing: Less memory for more arithmetic.
        log_every_n_steps: Losses are logged every so many steps.
        checkpoint_every_n_epochs: See :class:`SaveLast`.
        made_with: Settings that make it this training, see
            :func:`cyclegan_ad.runs.directory.training_settings`.
        loggers: Lightning loggers.
        callbacks: Further callbacks.

    Raises:
        UserError: If there is no such device, the last checkpoint is damaged, gone or of another
            run, a loss becomes NaN or infinite, or a network cannot be compiled.
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
    identity = identity_of(made_with, data)
    save_last = SaveLast(run, checkpoint_every_n_epochs, identity)
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
        plugins=[
            TorchElasticEnvironment() if devices > 1 else LightningEnvironment(),
            WholeCheckpoints(),
        ],
    )
    checkpoint = None
    noted = run.read_training()["epochs"]
    if run.checkpoint.is_file() or noted:
        checkpoint, epochs = run.checkpoint, check_checkpoint(run, identity)
        if epochs != noted and trainer.is_global_zero:
            print(f"{run.checkpoint} is of epoch {epochs}: resuming after it", flush=True)
    exact = arithmetic(device, "float32") if precision == "32-true" else nullcontext()
    try:
        with exact:
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except NonFiniteLossError as error:
        epochs = run.read_training()["epochs"]
        kept = f"{run.checkpoint}, after epoch {epochs}" if epochs else "none yet"
        raise UserError(f"{error}; last good checkpoint: {kept}") from error
    except torch._dynamo.exc.TorchDynamoException as error:
        first = str(error).strip().partition("\n")[0]
        raise UserError(
            f"trainer.compile: torch.compile failed ({first}); type the same command with "
            "trainer.compile=false"
        ) from error
    except SIGTERMException as stopped:
        # Where another program answers the signal (submitit), Lightning leaves with status 0.
        raise Terminated(signal.SIGTERM) from stopped
    except SystemExit as stopped:
        # Lightning ends the process itself after Ctrl-C; the command says how to go on.
        if isinstance(stopped.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from stopped
        raise
    if trainer.is_global_zero and not run.read_training()["finished"]:
        # Killed between the last checkpoint and its note: nothing was left to train.
        save_last.write_progress(trainer, trainer.current_epoch)


def training_arguments(settings: dict[str, Any]) -> dict[str, Any]:
    """The arguments of :func:`fit` that come from ``trainer.*``."""
    trainer = settings["trainer"]
    own = {"precision": precision_of(settings), "made_with": training_settings(settings)}
    return own | {
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
