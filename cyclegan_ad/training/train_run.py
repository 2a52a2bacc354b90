"""Run one training from its settings: open loggers, build the method, fit it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from pytorch_lightning import Callback
from pytorch_lightning.loggers import Logger

from cyclegan_ad.build import build_method
from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.data.examples import choose_examples
from cyclegan_ad.methods.linear_probe import LinearProbe
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.tracking.loggers import build_loggers, finish_loggers
from cyclegan_ad.tracking.wandb_checks import labels_of_run
from cyclegan_ad.training.describe_images import describe_training_images
from cyclegan_ad.training.estimate import describe_estimate
from cyclegan_ad.training.fit import fit
from cyclegan_ad.training.progress import TrainingProgress
from cyclegan_ad.training.snapshots import ReconstructionSnapshots
from cyclegan_ad.training.train_auroc import TrainingAuroc

SNAPSHOT_IMAGES = 3  # of each class


@contextmanager
def open_loggers(settings: Settings, run: RunDirectory) -> Iterator[Sequence[Logger]]:
    """Open the loggers of a job, and close them at the end of the block, also on an error."""
    config, labels = settings.as_dict(), labels_of_run(settings)
    loggers = build_loggers(settings.logger, run.path, config=config, labels=labels)
    exit_code = 1
    try:
        yield loggers
        exit_code = 0
    finally:
        finish_loggers(loggers, exit_code)


def train_run(settings: Settings, data: AnomalyDataModule, loggers: Sequence[Logger]) -> None:
    """Build the method and fit it; with several processes, each of them calls this."""
    run = RunDirectory.of(settings)
    every = settings.trainer.snapshot_every_n_epochs
    # The time of a probe is that of its features and its fit, not of the batches.
    probe = settings.method.name == "linear_probe"
    callbacks: list[Callback] = [
        TrainingProgress(estimated=partial(describe_estimate, settings), shows_speed=not probe)
    ]
    if every > 0 and not settings.entry.fitted:
        shown = choose_examples(data, SNAPSHOT_IMAGES)
        callbacks.append(
            ReconstructionSnapshots(
                shown.images,
                shown.labels,
                shown.captions,
                run_dir=run.path,
                every_n_epochs=every,
                masks=shown.masks,
            )
        )
    auroc_every = settings.trainer.auroc_every_n_epochs
    if auroc_every > 0 and not settings.entry.fitted:
        auroc = TrainingAuroc.of(data, auroc_every)
        callbacks += [] if auroc is None else [auroc]
    method = build_method(settings)
    if isinstance(method, LinearProbe):
        describe_training_images(method, data, settings)
    fit(method, data, run, settings, loggers=loggers, callbacks=callbacks)
