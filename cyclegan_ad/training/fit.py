"""Fit a method with Lightning; a training killed at any moment resumes at its last checkpoint."""

import logging
import signal
import time
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import SIGTERMException

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.device import arithmetic, choose_device
from cyclegan_ad.endings import Terminated
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import write_json
from cyclegan_ad.methods.loss_watch import NonFiniteLossError
from cyclegan_ad.runs.checkpoints import IDENTITY, WholeCheckpoints, check_checkpoint, identity_of
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.tracking.wandb_workspace import TRAIN_AUROC
from cyclegan_ad.training.speed import prepare_networks

# DDP sees the two updates of a step in another order than that of the parameters.
DDP_STRATEGY = "ddp_find_unused_parameters_true"

# Patterns of warnings of Lightning about intended behaviour.
_EXPECTED_WARNINGS = (
    ".*does not have many workers",  # images are in memory already
    ".*is smaller than the logging interval",  # steps are counted over epochs
    ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated",  # internal to Lightning
    rf".*`self\.log\('{TRAIN_AUROC}', .*sync_dist=True",  # the first process has all its images
)


class SaveLast(Checkpoint):
    """Write ``checkpoints/last.ckpt`` atomically at the end of epochs."""

    def __init__(self, run: RunDirectory, every_n_epochs: int, identity: dict[str, Any]) -> None:
        self.run, self.every_n_epochs, self.identity = run, every_n_epochs, identity
        self.seconds_before = run.read_training()["seconds"]
        self.started = time.monotonic()
        self.begun = run.config.is_file()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the checkpoint, then ``training.json``; called on every rank."""
        epochs = trainer.current_epoch + 1
        if epochs % self.every_n_epochs and epochs != trainer.max_epochs:
            return
        if self.begun and not self.run.config.is_file():
            raise UserError(
                f"{self.run.path} was deleted or moved during the training; run the same command "
                "again to train from scratch"
            )
        trainer.save_checkpoint(self.run.checkpoint)
        if trainer.is_global_zero:
            self.write_progress(trainer, epochs)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the identity of the run to the checkpoint."""
        checkpoint[IDENTITY] = self.identity

    def write_progress(self, trainer: pl.Trainer, epochs: int) -> None:
        """Write ``training.json``, the progress of the checkpoint."""
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
    settings: Settings,
    *,
    loggers: Sequence[Logger],
    callbacks: Sequence[pl.Callback],
) -> None:
    """Train to the last epoch, from the last checkpoint of the run if there is one.

    The settings are without ``auto``; several ``trainer.devices`` only in a process started by
    :func:`cyclegan_ad.processes.launch.run_in_processes`.

    Raises:
        UserError: If the device is missing, the last checkpoint is damaged, missing or of another
            run, a loss becomes NaN or infinite, or a network cannot be compiled.
    """
    chosen = settings.trainer
    device = choose_device(chosen.accelerator)
    prepare_networks(
        module,
        device,
        compile=chosen.compile is True,
        compile_mode=chosen.compile_mode,
        activation_checkpointing=chosen.activation_checkpointing,
        processes=chosen.processes,
    )
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for pattern in _EXPECTED_WARNINGS:
        warnings.filterwarnings("ignore", message=pattern)
    identity = identity_of(settings.training(), data)
    save_last = SaveLast(run, chosen.checkpoint_every_n_epochs, identity)
    trainer = pl.Trainer(
        accelerator=device.type,
        devices=chosen.processes,
        strategy=DDP_STRATEGY if chosen.processes > 1 else "auto",
        precision=chosen.precision,  # type: ignore[arg-type]
        max_epochs=chosen.max_epochs,
        logger=list(loggers),
        callbacks=[*callbacks, save_last],
        log_every_n_steps=chosen.log_every_n_steps,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        default_root_dir=run.path,
        # Set explicitly, as Lightning would guess the environment from SLURM variables.
        plugins=[
            TorchElasticEnvironment() if chosen.processes > 1 else LightningEnvironment(),
            WholeCheckpoints(),
        ],
    )
    checkpoint = None
    noted = run.read_training()["epochs"]
    if run.checkpoint.is_file() or noted:
        checkpoint, epochs = run.checkpoint, check_checkpoint(run, identity)
        if epochs != noted and trainer.is_global_zero:
            print(f"{run.checkpoint}: resuming after epoch {epochs}", flush=True)
    exact = arithmetic(device, "float32") if chosen.precision == "32-true" else nullcontext()
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
            f"trainer.compile: torch.compile failed ({first}); run the same command with "
            "trainer.compile=false"
        ) from error
    except SIGTERMException as stopped:
        _print_resume_point(trainer, run)
        # If another handler of the signal is installed (submitit), Lightning exits with status 0.
        raise Terminated(signal.SIGTERM) from stopped
    except SystemExit as stopped:
        _print_resume_point(trainer, run)
        # Lightning exits after Ctrl-C; the command prints its own message instead.
        if isinstance(stopped.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from stopped
        raise
    if trainer.is_global_zero and not run.read_training()["finished"]:
        # Killed between the last checkpoint and training.json: no epoch was left.
        save_last.write_progress(trainer, trainer.current_epoch)


def _print_resume_point(trainer: pl.Trainer, run: RunDirectory) -> None:
    """Print the epoch from which a training that is being ended would go on."""
    if not trainer.is_global_zero:
        return
    epochs = run.read_training()["epochs"]
    print(
        f"{run.path}: the last checkpoint is after epoch {epochs} of {trainer.max_epochs}"
        if epochs
        else f"{run.path}: no checkpoint yet, so the training will start again at epoch 1",
        flush=True,
    )
