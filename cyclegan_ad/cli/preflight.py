"""What is wrong with a job, as far as it shows without torch: before seconds go into its import."""

import hashlib
from pathlib import Path
from typing import Any

from cyclegan_ad.errors import UserError
from cyclegan_ad.methods.names import METHODS
from cyclegan_ad.optional_packages import (
    ensure_anomalib,
    ensure_lite0_extractor,
    ensure_lite0_weights,
    ensure_tensorboard,
)
from cyclegan_ad.runs.directory import RunDirectory, State
from cyclegan_ad.scoring.names import needs_extractor
from cyclegan_ad.settings import check_processes
from cyclegan_ad.tracking.wandb_checks import check_run, check_variables


def with_own_weights(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with the SHA-256 of the file that ``method.weights_path`` names, if it names one.

    Other weights under the same name make another method.
    """
    method = settings["method"]
    if method.get("weights_path") is None:
        return settings
    file = Path(method["weights_path"]).expanduser()
    content = "no such file"
    if file.is_file():
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
    return settings | {"method": method | {"weights_sha256": content}}


def check_training(settings: dict[str, Any]) -> None:
    """Check a job that trains: devices, run directory, and unless it is trained what it needs.

    Args:
        settings: All settings of the job, past :func:`cyclegan_ad.settings.check_settings`.

    Raises:
        UserError: If the job cannot run.
    """
    if claim(settings) == "trained":
        return  # perhaps nothing is left to do, not even with the images
    trainer, logger = settings["trainer"], settings["logger"]
    if trainer["accelerator"] == "cpu" and trainer["precision"] == "16-mixed":
        raise UserError("trainer.precision=16-mixed needs a GPU; use bf16-mixed or 32-true")
    if logger["kind"] == "wandb":
        check_run(settings)
    if logger["kind"] == "tensorboard":
        ensure_tensorboard()
    _check_packages_of_method(settings["method"])
    check_scoring(settings)
    if logger["kind"] == "wandb" and logger["mode"] != "disabled":
        check_variables()  # last, as it imports W&B


def check_scoring(settings: dict[str, Any]) -> None:
    """Check what scoring needs: the dataset's folder and the packages of the scores.

    Args:
        settings: All settings of the job or, for a run scored again, those it was made with.

    Raises:
        UserError: If one of them is not there.
    """
    from cyclegan_ad.data.locate import dataset_folder, images_left_out  # --help needs no NumPy

    dataset_folder(settings, draw=False)
    images_left_out(settings["dataset"]["exclude"])
    score = settings["score"]
    if needs_extractor(score["names"]) and score["extractor"] == "efficientnet_lite0":
        ensure_lite0_extractor()


def claim(settings: dict[str, Any]) -> State:
    """Say how the job goes on in its run directory, but for what only torch can tell.

    What ``auto`` means under ``trainer.*`` is asked again when torch is loaded; until then it is
    taken to be what the run was made with.

    Raises:
        UserError: As :meth:`RunDirectory.claim` does; or for several devices without ``ddp``.
    """
    trainer = dict(settings["trainer"])
    if METHODS[settings["method"]["name"]].fitted:
        trainer["devices"] = 1
    check_processes(trainer)
    run = RunDirectory.of(settings)
    if run.config.is_file() and not settings["overwrite"]:
        made_with = run.read_config()["trainer"]
        chosen = {name for name, value in trainer.items() if value == "auto"}
        trainer |= {name: made_with[name] for name in chosen & made_with.keys()}
    return run.claim(settings | {"trainer": trainer})


def _check_packages_of_method(method: dict[str, Any]) -> None:
    if method["name"] == "cyclegan":
        return
    ensure_anomalib(method["name"])
    own_weights = method.get("pretrained", True) and method.get("weights_path") is None
    if method.get("backbone") == "efficientnet_lite0" and own_weights:
        ensure_lite0_weights(method["backbone"])
