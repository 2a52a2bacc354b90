"""Checks that the files of a run are whole and belong together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.errors import UserError
from cyclegan_ad.results import PAPER_METRICS
from cyclegan_ad.thresholds import summarise

_IDENTITY: dict[str, type] = {
    "method": str,
    "dataset": str,
    "run": str,
    "resolution": int,
    "seed": int,
    "epochs": int,
    "test_normal": int,
    "test_abnormal": int,
}
_THRESHOLDS = ("zfn_threshold", "max_accuracy_threshold")
_COUNTS = ("calibration_abnormal", "abnormal", "normal", "misses", "false_alarms")
_RATES = ("miss_rate", "false_alarm_rate", "accuracy", "miss_rate_bound", "confidence")


def check_metrics(metrics: Mapping[str, Any]) -> None:
    """Check that ``metrics.json`` holds all that the report reads, in its range.

    Raises:
        UserError: naming the first entry that is missing or cannot be.
    """
    if wrong := _wrong_in(metrics):
        raise UserError(f"metrics.json is damaged: {wrong}; evaluate the run again")


def check_identity(metrics: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Check that both files speak of one run.

    Raises:
        UserError: naming what they disagree in.
    """
    if not all(isinstance(config[name], dict) for name in ("method", "dataset", "trainer")):
        raise UserError("config.yaml is damaged; make the run anew")
    in_config = {
        "method": config["method"].get("name"),
        "dataset": config["dataset"].get("name"),
        "resolution": config["resolution"],
        "seed": config["seed"],
    }
    for name, value in in_config.items():
        if metrics[name] != value:
            raise UserError(
                f"metrics.json and config.yaml disagree: {name} is {metrics[name]} and {value}; "
                "files of two runs were mixed, make the run anew"
            )


def check_scores(
    column: str,
    written: Mapping[str, float],
    scores: NDArray[np.float64],
    labels: NDArray[np.int64],
) -> None:
    """Check that the metrics of a column follow from its scores.

    Args:
        column: name of the score.
        written: its metrics in ``metrics.json``.
        scores: (N,) float64, as in ``scores.csv``.
        labels: (N,) int, 0 normal, 1 abnormal.

    Raises:
        UserError: naming the metric that does not, or if there is an image of one class only.
    """
    try:
        computed = summarise(scores, labels)
    except ValueError as error:
        raise UserError(f"scores.csv cannot be judged: {error}") from error
    for name, value in computed.items():
        if not math.isclose(value, written[name], rel_tol=1e-6, abs_tol=1e-9):
            raise UserError(
                f"scores.csv and metrics.json disagree: {name} of {column} is {value:.6g} against "
                f"{written[name]:.6g}; evaluate the run again"
            )


def _wrong_in(metrics: Mapping[str, Any]) -> str | None:
    for name, kind in _IDENTITY.items():
        if not isinstance(metrics.get(name), kind):
            return f"{name} is {metrics.get(name)!r}"
    for column, row in metrics["scores"].items():
        wrong = _wrong_number(row, PAPER_METRICS, 0, 1) or _wrong_number(
            row, _THRESHOLDS, -math.inf, math.inf
        )
        if wrong:
            return f"scores.{column}.{wrong}"
    protocols = metrics.get("protocols")
    if not isinstance(protocols, dict):
        return f"protocols is {protocols!r}"
    for protocol, columns in protocols.items():
        if not isinstance(columns, dict):
            return f"protocols.{protocol} is {columns!r}"
        for column, row in columns.items():
            wrong = _wrong_number(row, _RATES, 0, 1) or _wrong_number(row, _COUNTS, 0, math.inf)
            wrong = wrong or _wrong_number(row, ("abnormal", "normal"), 1, math.inf)
            wrong = wrong or _wrong_number(row, ("margin",), -math.inf, math.inf)
            if not wrong and not isinstance(row.get("thresholds"), list):
                wrong = f"thresholds is {row.get('thresholds')!r}"
            if not wrong and row.get("max_accuracy") is not None:
                wrong = _wrong_number(row, ("max_accuracy",), 0, 1)
            if wrong:
                return f"protocols.{protocol}.{column}.{wrong}"
    return None


def _wrong_number(row: Any, names: Iterable[str], least: float, most: float) -> str | None:
    for name in names:
        value = row.get(name) if isinstance(row, dict) else None
        if not isinstance(value, int | float) or not math.isfinite(value):
            return f"{name} is {value!r}"
        if not least <= value <= most:
            return f"{name} is {value!r}"
    return None
