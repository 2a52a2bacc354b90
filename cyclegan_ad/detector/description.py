"""Content of ``detector.json``: scores, thresholds and what they were set on; without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cyclegan_ad.errors import UserError
from cyclegan_ad.files import file_sha256, write_json
from cyclegan_ad.metrics.bounds import calibration_bound
from cyclegan_ad.runs.results import Results
from cyclegan_ad.text import shown

FILE = "detector.json"
FORMAT = 6
WEIGHTS = "weights.safetensors"
_REQUIRED = (
    *("method", "network", "preprocessing", "extractors", "trained_on", "trained_files"),
    *("map_scale", "protocol", "score", "scores", "calibrations", "reference", "sha256"),
)
_PREPROCESSING = ("channels", "window", "size_px")


def describe_scores(results: Results) -> dict[str, Any]:
    """Describe the scores of a run, their thresholds and what these were set on.

    A threshold set on the test images decides about new images here, for which they are images kept
    out of training: the bound of a calibrated threshold is valid.

    Args:
        results: Results of a run.

    Returns:
        ``protocol`` (the one that decides by default), ``score`` (likewise) and ``scores``: column
        -> ``computed_by``, ``fusion`` (of a fused score), ``thresholds``, the scores of the test
        images, sorted (of a run without abnormal images: those kept out of training), and how many
        of them are ``independent``: of equal content or group one counts, and none that the run
        used otherwise as well.
    """
    metrics = results.metrics
    fusions = metrics.get("fusions", {})
    scores = {
        column: {
            "computed_by": metrics["columns"][column],
            **({"fusion": fusions[column]} if column in fusions else {}),
            "thresholds": _thresholds(metrics, column),
            "test_scores": {
                name: sorted(row[column] for row in results.rows if row["label"] == label)
                for name, label in (("normal", 0), ("abnormal", 1))
            },
            "independent": metrics["independent"],
        }
        for column in metrics["scores"]
    }
    return {
        "protocol": metrics["protocol"],
        "score": next(iter(metrics["scores"])),
        "scores": scores,
    }


def _thresholds(metrics: Mapping[str, Any], column: str) -> dict[str, dict[str, Any]]:
    """Return name -> value, what it was set on, and the bound on the miss rate of new images."""
    summary = metrics["scores"][column]
    confidence = metrics["protocol_settings"]["confidence"]
    thresholds: dict[str, dict[str, Any]] = {}
    on_test: dict[str, Any] = {"set_on": "test images"}
    if metrics["test_abnormal"]:
        independent = metrics["independent"]["abnormal"]
        on_test |= {
            "abnormal": metrics["test_abnormal"],
            "normal": metrics["test_normal"],
            "confidence": confidence,
            "miss_rate_bound": calibration_bound(independent, confidence) if independent else None,
        }
        thresholds["paper"] = {"value": summary["zfn_threshold"], **on_test}
        # It may miss some of the images that it was set on, so no bound is valid.
        best = {"value": summary["max_accuracy_threshold"], **on_test, "miss_rate_bound": None}
        thresholds["best_accuracy"] = best
    for name, decisions in metrics["protocols"].items():
        if column not in decisions:
            continue
        facts = dict(decisions[column])
        # Of crossfit, the smallest: it is at or below the smallest score of all abnormal images.
        # Of crossval likewise: the detector decides by the one model of the run.
        facts["value"] = min(facts.pop("thresholds"))
        if name == "crossfit":
            facts |= on_test
        elif name == "crossval":
            set_on: dict[str, Any] = {
                "set_on": "abnormal training images by a model that did not see them"
            }
            facts = set_on | facts
            if facts["folds"] > 1:
                facts["miss_rate_bound"] = None  # it is one of the rule, by the fits of all folds
        else:
            facts = {"set_on": "images kept out of training and test"} | facts
        thresholds[name] = facts
    return thresholds


def read_description(folder: Path) -> dict[str, Any]:
    """Read ``detector.json`` of a detector and verify that its weights are those it names.

    Raises:
        UserError: If a file is missing or damaged, or the format is not known.
    """
    path = folder / FILE
    again = "score its run again (python -m cyclegan_ad.evaluate run=RUN), which writes it again"
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        found = described["format"]
    except FileNotFoundError:
        raise UserError(f"{path} is missing; use a folder that holds a detector, or {again}") from (
            None
        )
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({type(error).__name__}); {again}") from error
    if found != FORMAT:
        remedy = again
        if isinstance(found, int) and found > FORMAT:
            remedy = "install the version of cyclegan_ad that wrote it, or a newer one"
        raise UserError(f"{path} has format {shown(found)}, expected {FORMAT}; {remedy}")
    lacking = [name for name in _REQUIRED if name not in described]
    lacking += [name for name in _PREPROCESSING if name not in described.get("preprocessing", {})]
    if lacking:
        raise UserError(f"{path} is damaged (it has no {', '.join(lacking)}); {again}")
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise UserError(f"{weights} is missing; restore it or {again}")
    if file_sha256(weights) != described.get("sha256", {}).get(WEIGHTS):
        raise UserError(f"{weights} is damaged: its hash is not the one in {FILE}; {again}")
    return dict(described)


def write_calibration(folder: Path, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Write the new ``detector.json``, whole or not at all.

    Args:
        folder: Folder of the detector.
        before: Its content, which the calibration started from.
        after: Result of :func:`cyclegan_ad.detector.recalibrate.recalibrate`.

    Raises:
        UserError: If it was changed since.
    """
    if read_description(folder) != before:
        raise UserError(
            f"{folder / FILE} was changed by another command meanwhile; run this one again"
        )
    write_json(folder / FILE, after)
