"""Checks of a job that do not need torch, done before its slow import."""

from cyclegan_ad.files import file_sha256
from cyclegan_ad.optional_packages import (
    ensure_anomalib,
    ensure_lite0_extractor,
    ensure_lite0_weights,
    ensure_tensorboard,
)
from cyclegan_ad.runs.directory import RunDirectory, State
from cyclegan_ad.scoring.names import needs_extractor
from cyclegan_ad.settings.train import LinearProbe, PaDiM, PatchCore, Settings, WandbLogger
from cyclegan_ad.tracking.wandb_checks import check_run, check_variables


def record_weights_hash(settings: Settings) -> Settings:
    """Add the SHA-256 of the file ``method.weights_path``, if set, to the settings.

    A file of the same name with other weights is then noticed when a run is resumed.
    """
    path = getattr(settings.method, "weights_path", None)
    if path is None:
        return settings
    content = "no such file"
    if path.is_file():
        content = file_sha256(path)
    return settings.replaced({"method.weights_sha256": content})


def check_training(settings: Settings) -> None:
    """Check the run directory of a job and, unless it is trained, what the training needs.

    Raises:
        UserError: If the job cannot run.
    """
    if claim(settings) == "trained":
        return  # the images may not be needed any more
    logger = settings.logger
    if isinstance(logger, WandbLogger):
        check_run(settings)
    if logger.kind == "tensorboard":
        ensure_tensorboard()
    _check_packages_of_method(settings)
    check_scoring(settings)
    if isinstance(logger, WandbLogger) and logger.mode != "disabled":
        check_variables()  # last, as it imports wandb


def check_scoring(settings: Settings) -> None:
    """Check what scoring needs: the dataset folder and the packages of the scores.

    Raises:
        UserError: If one of them is missing.
    """
    # --help needs no NumPy
    from cyclegan_ad.data.locate import find_dataset_folder, read_exclude_list

    find_dataset_folder(settings.dataset, settings.data_dir, settings.cache_dir, draw=False)
    read_exclude_list(settings.dataset.exclude)
    if needs_extractor(settings.score.names) and settings.score.extractor == "efficientnet_lite0":
        ensure_lite0_extractor()


def claim(settings: Settings) -> State:
    """Determine the state of the run directory of a job, without torch.

    Until torch is loaded and resolves ``auto`` in ``trainer.*``, the recorded values of the run are
    assumed.

    Raises:
        UserError: As :meth:`RunDirectory.claim` does.
    """
    if settings.entry.fitted:
        settings = settings.replaced({"trainer.devices": 1})
    run = RunDirectory.of(settings)
    if run.config.is_file() and not settings.overwrite:
        made_with = run.read_config().trainer.as_dict()
        chosen = [name for name, value in settings.trainer if value == "auto"]
        settings = settings.replaced({f"trainer.{name}": made_with[name] for name in chosen})
    return run.claim(settings)


def _check_packages_of_method(settings: Settings) -> None:
    method = settings.method
    if settings.entry.needs_anomalib:
        ensure_anomalib(method.name)
    if (
        isinstance(method, PaDiM | PatchCore | LinearProbe)
        and method.backbone == "efficientnet_lite0"
        and (isinstance(method, LinearProbe) or method.pretrained)
        and method.weights_path is None
    ):
        ensure_lite0_weights(method.backbone)
