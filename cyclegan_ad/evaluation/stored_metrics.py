"""Checks of ``metrics.json`` without scores: ranges of its values, and identity of the run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args

from cyclegan_ad.errors import UserError
from cyclegan_ad.runs.directory import RunDirectory, run_name
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.settings.protocol import ProtocolName
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.text import counted, shown

_AGAIN = "evaluate the run again"


def check_values(metrics: Mapping[str, Any]) -> None:
    """Check types and ranges of the values that are not computed again.

    Raises:
        UserError: If a value is missing or invalid; names it.
    """
    wrong = None
    for name in ("method", "dataset", "run"):
        if not isinstance(metrics.get(name), str):
            wrong = name
    for name in ("resolution", "seed", "epochs", "test_normal", "test_abnormal"):
        if not _is_count(metrics.get(name)):
            wrong = name
    independent = metrics.get("independent")
    if not (isinstance(independent, dict) and independent.keys() == {"normal", "abnormal"}):
        wrong = "independent"
    if metrics.get("protocol") not in get_args(ProtocolName):
        wrong = "protocol"
    if not _is_nested(metrics.get("protocols")):
        wrong = "protocols"
    if not _are_columns(metrics.get("columns"), metrics["scores"]):
        wrong = "columns"
    localisation = metrics.get("localisation", "")
    if localisation is not None and not (
        isinstance(localisation, dict)
        and all(_is_share(localisation.get(name), 1) for name in ("pixel_auroc", "aupro"))
        and _is_count(localisation.get("masked_images"))
    ):
        wrong = "localisation"
    chosen = metrics.get("protocol_settings")
    if not (
        isinstance(chosen, dict)
        and chosen.keys() - {"false_alarm_rate"} == {"folds", "margin", "confidence"}
        and ("false_alarm_rate" in chosen) == (metrics.get("protocol") == "quantile")
        and _is_share(chosen.get("false_alarm_rate", 0))
        and (_is_count(chosen["folds"]) and chosen["folds"] >= 2)
        and _is_share(chosen["margin"])
        and (_is_share(chosen["confidence"]) and chosen["confidence"] > 0)
    ):
        wrong = "protocol_settings"
    if not _is_nested(metrics.get("fusions", {})):
        wrong = "fusions"
    if not _is_nested(metrics.get("fingerprints")):
        wrong = "fingerprints"
    if wrong is not None:
        raise UserError(
            f"metrics.json is damaged: invalid {wrong}={shown(metrics.get(wrong))}; {_AGAIN}"
        )


def check_identity(metrics: Mapping[str, Any], config: Settings, run: RunDirectory) -> None:
    """Check that metrics, settings and training belong to the same run.

    Raises:
        UserError: If they disagree; names the entry.
    """
    training = run.read_training()
    for name, value, file in (
        ("method", config.method.name, "config.yaml"),
        ("dataset", config.dataset.name, "config.yaml"),
        ("resolution", config.resolution, "config.yaml"),
        ("seed", config.seed, "config.yaml"),
        ("epochs", config.trainer.max_epochs, "config.yaml"),
        ("run", run_name(config), "config.yaml"),
        ("training_seconds", round(training["seconds"], 1), "training.json"),
    ):
        found = metrics.get(name)
        if type(found) is not type(value) or found != value:
            raise UserError(
                f"metrics.json and {file} disagree: {name} is {shown(found)} and {shown(value)}; "
                f"{_AGAIN}, or train it again with overwrite=true if files of two runs were mixed"
            )
    if training["finished"] and training["epochs"] != metrics["epochs"]:
        raise UserError(
            f"metrics.json and training.json disagree: {counted(metrics['epochs'], 'epoch')} and "
            f"{training['epochs']}; train it again with overwrite=true"
        )


def _are_columns(columns: object, scores: Mapping[str, Any]) -> bool:
    """Return whether each score has a valid column of the same name."""
    if not isinstance(columns, dict) or not scores.keys() <= columns.keys():
        return False
    try:
        return all(ScoreColumn.parse(fields).column == name for name, fields in columns.items())
    except (TypeError, ValueError):
        return False


def _is_nested(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(inner, dict) for inner in value.values())


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _is_share(value: Any, most: float = math.nextafter(1, 0)) -> bool:
    return type(value) in (int, float) and 0 <= value <= most
