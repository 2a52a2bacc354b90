"""What is wrong with the settings of a command, found before anything slow is imported."""

import sys
from collections.abc import Mapping
from typing import Any

from cyclegan_ad.errors import UserError
from cyclegan_ad.methods.names import METHODS
from cyclegan_ad.path_settings import check_folder_name, check_path
from cyclegan_ad.pretrained.names import (
    check_backbone_name,
    check_embedding_settings,
    check_extractor_name,
)
from cyclegan_ad.scoring.names import (
    SCORE_PRECISIONS,
    TTA_NAMES,
    check_method_scores,
    check_score_names,
)

SMALLEST_SIZE_PX = 32  # the discriminator's last layers need 2 x 2 patches
LARGEST_SEED = 2**32 - 1  # what numpy's global generator takes
_LARGEST_WHOLE = 2**31 - 1  # what every library underneath takes

_CHOICES: dict[str, tuple[Any, ...]] = {
    "method.name": tuple(METHODS),
    "protocol.name": ("paper", "crossfit", "calibrated"),
    "score.tta": TTA_NAMES,
    "score.precision": SCORE_PRECISIONS,
    "dataset.layout": ("mvtec", "brain_mri", "breast_ultrasound", "retina_oct", "folder"),
    "dataset.channels": (1, 3),
    "dataset.augmentation": ("dihedral", "flip", "none"),
    "dataset.storage": ("auto", "memory", "disk"),
    "dataset.images_on": ("auto", "device", "host"),
    "method.adversarial_loss": ("least_squares", "log"),
    "trainer.accelerator": ("auto", "cpu", "gpu"),
    "trainer.strategy": ("auto", "ddp"),
    "trainer.precision": ("auto", "32-true", "bf16-mixed", "16-mixed", "64-true"),
    "trainer.compile": ("auto", True, False),
    "trainer.compile_mode": ("default", "reduce-overhead", "max-autotune"),
    "logger.kind": ("wandb", "csv", "tensorboard", "none"),
    "logger.mode": ("auto", "online", "offline", "disabled"),
}
_SMALLEST_WHOLE = {
    "seed": 0,
    "dataset.copies_per_epoch": 1,
    "dataset.batch_size": 1,
    "dataset.memory_limit_mib": 0,
    "method.generator.base_channels": 1,
    "method.generator.residual_blocks": 1,
    "method.discriminator.base_channels": 1,
    "method.base_channels": 1,
    "method.latent_size": 1,
    "method.pool_size": 0,
    "protocol.folds": 2,
    "score.batch_size": 1,
    "trainer.max_epochs": 1,
    "trainer.log_every_n_steps": 1,
    "trainer.checkpoint_every_n_epochs": 1,
    "trainer.snapshot_every_n_epochs": 0,
}
_SMALLEST_NUMBER = {
    "method.lambda_cyc": 0.0,
    "method.lambda_ide": 0.0,
    "method.lambda_adv": 0.0,
    "method.lambda_con": 0.0,
    "method.lambda_enc": 0.0,
    "method.learning_rate": 0.0,
}
_SHARES = {  # name -> whether 0 is possible; all are below 1
    "protocol.margin": True,
    "protocol.calibration_fraction": True,
    "protocol.confidence": False,
}
_BOOLEANS = (
    "overwrite",
    "dataset.skip_unreadable",
    "trainer.activation_checkpointing",
)
_PATHS = ("runs", "data_dir", "cache_dir")
_PATHS_OR_NULL = ("dataset.root", "dataset.exclude", "method.weights_path")
_TEXTS = (*_PATHS, "dataset.name", "dataset.source", "logger.project")
_TEXTS_OR_NULL = (*_PATHS_OR_NULL, "run_name", "logger.entity")
_FOLDER_NAMES = ("run_name", "dataset.name")  # parts of a run's place
# Settings whose value is one text, commas and all; those of the other commands, too.
TEXTS = frozenset((*_TEXTS, *_TEXTS_OR_NULL, "run", "root", "out", "entity", "project", "name"))
# What only some options of a group have.
_OPTIONAL = ("method.", "logger.")
_ABSENT = object()


def residual_blocks_at(resolution: int) -> int:
    """Residual blocks of a generator at a size in pixels: 9 from 256 px up, 6 below (Sec. 2.2).

    >>> residual_blocks_at(64), residual_blocks_at(128), residual_blocks_at(256)
    (6, 6, 9)
    """
    return 9 if resolution >= 256 else 6


def check_settings(settings: Mapping[str, Any]) -> None:
    """Check every setting that can be checked without looking at files.

    Args:
        settings: All settings of a training command, resolved, as nested dictionaries.

    Raises:
        UserError: Naming the first wrong setting, its value and what it may be.
    """
    _check_size(_look_up(settings, "resolution"))
    for name, choices in _CHOICES.items():
        value = _look_up(settings, name)
        if value is not _ABSENT and (type(value), value) not in [(type(c), c) for c in choices]:
            listed = ", ".join(str(choice) for choice in choices)
            raise UserError(f"{name}={value} is not possible; choose one of {listed}")
    for name, smallest in _SMALLEST_WHOLE.items():
        value = _look_up(settings, name)
        if value is not _ABSENT and not (_is_whole(value) and value >= smallest):
            raise UserError(f"{name}={value} is not possible; it is a whole number >= {smallest}")
        largest = LARGEST_SEED if name == "seed" else _LARGEST_WHOLE
        if value is not _ABSENT and value > largest:
            raise UserError(f"{name}={value} is not possible; it is at most {largest}")
    for name, least in _SMALLEST_NUMBER.items():
        value = _look_up(settings, name)
        if value is not _ABSENT and not (_is_number(value) and value >= least):
            raise UserError(f"{name}={value} is not possible; it is a number >= {least:g}")
    for name in _BOOLEANS:
        value = _look_up(settings, name)
        if not isinstance(value, bool):
            raise UserError(f"{name}={value} is not possible; use true or false")
    for name, zero in _SHARES.items():
        value = _look_up(settings, name)
        if not (_is_number(value) and 0 <= value < 1 and (zero or value > 0)):
            at_least = "at least" if zero else "above"
            raise UserError(
                f"{name}={value} is not possible; it is a number {at_least} 0 and below 1"
            )
    for name in (*_TEXTS, *_TEXTS_OR_NULL):
        value = _look_up(settings, name)
        null = value is _ABSENT or (value is None and name in _TEXTS_OR_NULL)
        if not (null or isinstance(value, str) or (name == "run_name" and _is_whole(value))):
            raise UserError(
                f"{name}={value} is not possible; it is a text (a number needs quotes: "
                f"{name}=\\'5\\')"
            )
    for name in (*_PATHS, *_PATHS_OR_NULL):
        value = _look_up(settings, name)
        if value is not _ABSENT and value is not None:
            check_path(name, value)
    for name in _FOLDER_NAMES:
        value = _look_up(settings, name)
        if value is not None:
            check_folder_name(name, str(value))
    _check_texts("dataset.folders", _look_up(settings, "dataset.folders"))
    _check_texts("score.names", _look_up(settings, "score.names"))
    _check_decay(settings)
    _check_betas(settings)
    _check_devices(_look_up(settings, "trainer.devices"))
    _check_protocol(settings["protocol"])
    _check_margin(settings["protocol"])
    if settings.get("backbone") is not None:
        check_backbone_name(settings["backbone"])
    _check_fitted(settings)
    sigma_px = _look_up(settings, "score.peak_sigma_px")
    if not (_is_number(sigma_px) and 0 < sigma_px <= settings["resolution"]):
        raise UserError(
            f"score.peak_sigma_px={sigma_px} is not possible; it is a number above 0, at most the "
            f"resolution ({settings['resolution']})"
        )
    names = check_score_names(settings["score"]["names"])
    check_method_scores(settings["method"]["name"], names)
    check_extractor_name(_look_up(settings, "score.extractor"))


def _check_size(size_px: Any) -> None:
    if not _is_whole(size_px) or size_px % 4 or not SMALLEST_SIZE_PX <= size_px <= _LARGEST_WHOLE:
        raise UserError(
            f"resolution={size_px} is not possible; the generator halves an image twice, so "
            f"it is a multiple of 4, at least {SMALLEST_SIZE_PX}"
        )


def _check_protocol(protocol: Mapping[str, Any]) -> None:
    if protocol["name"] == "calibrated" and protocol["calibration_fraction"] == 0:
        raise UserError(
            "protocol.calibration_fraction=0 is not possible with protocol=calibrated: it needs "
            "images to calibrate with; give a number above 0 and below 1"
        )


def _check_margin(protocol: Mapping[str, Any]) -> None:
    if protocol["name"] == "paper" and protocol["margin"] > 0:
        raise UserError(
            f"protocol.margin={protocol['margin']} is not possible with protocol=paper, whose "
            "thresholds have none; use protocol=crossfit or protocol=calibrated"
        )


def _check_fitted(settings: Mapping[str, Any]) -> None:
    """Check what holds for methods that are fitted in one pass instead of trained."""
    method, epochs = settings["method"], settings["trainer"]["max_epochs"]
    if not METHODS[method["name"]].fitted:
        return
    check_embedding_settings(method)
    if epochs != 1:
        raise UserError(
            f"trainer.max_epochs={epochs} is not possible with method={method['name']}: it is "
            "fitted in one pass; leave it out"
        )


def _check_decay(settings: Mapping[str, Any]) -> None:
    start = _look_up(settings, "method.decay_start_epoch")
    epochs = settings["trainer"]["max_epochs"]
    if (
        start is not _ABSENT
        and start is not None
        and not (_is_whole(start) and 0 <= start <= epochs)
    ):
        raise UserError(
            f"method.decay_start_epoch={start} is not possible; it is null (the middle) or a whole "
            f"number from 0 to trainer.max_epochs={epochs}"
        )


def _check_betas(settings: Mapping[str, Any]) -> None:
    betas = _look_up(settings, "method.betas")
    if betas is not _ABSENT and not (
        isinstance(betas, list)
        and len(betas) == 2
        and all(_is_number(beta) and 0 <= beta < 1 for beta in betas)
    ):
        raise UserError(f"method.betas={betas} is not possible; it is two numbers from 0 to 1")


def check_processes(trainer: dict[str, Any]) -> None:
    """Check that ``trainer.*`` asks for several processes where it names several devices.

    Raises:
        UserError: If not.
    """
    if trainer["strategy"] != "ddp" and trainer["devices"] not in ("auto", 1):
        raise UserError(
            f"trainer.devices={trainer['devices']} needs several processes; add trainer=ddp"
        )


def _check_devices(devices: Any) -> None:
    if devices != "auto" and not (_is_whole(devices) and devices >= 1):
        raise UserError(
            f"trainer.devices={devices} is not possible; it is auto or a whole number >= 1"
        )


def _check_texts(name: str, value: Any) -> None:
    if not (isinstance(value, list) and all(isinstance(text, str) for text in value)):
        raise UserError(f"{name}={value} is not possible; it is a list such as {name}=[a,b]")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= sys.float_info.max  # neither infinite, nor NaN, nor a longer integer
    )


def _look_up(settings: Mapping[str, Any], name: str) -> Any:
    """Value of a dotted name; ``_ABSENT`` where the chosen group does not have it."""
    value: Any = settings
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            if name.startswith(_OPTIONAL):
                return _ABSENT
            raise UserError(f"{name} is missing; give it as {name}=VALUE")
        value = value[part]
    return value
