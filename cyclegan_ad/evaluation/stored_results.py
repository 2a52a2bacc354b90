"""Reading and verification of the results of a run; without torch.

Stored results are verified before they are displayed or used again: metrics and decisions are
recomputed from ``scores.csv``, ``calibration.csv``, ``crossval.csv`` and ``split.csv``, and
differences are reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.apply_protocols import (
    decide_by_calibration,
    decide_by_crossfit,
    decide_by_crossval,
    decide_by_quantile,
)
from cyclegan_ad.evaluation.fingerprints import hash_training_inputs, hash_value, is_changed
from cyclegan_ad.evaluation.score_rows import count_independent, score_columns
from cyclegan_ad.evaluation.stored_fusions import read_fusions
from cyclegan_ad.evaluation.stored_metrics import check_identity, check_values
from cyclegan_ad.metrics.thresholds import summarise, undefined_summary
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import Rows, SplitRow, read_metrics, read_scores, read_split
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.text import shown, shown_name

_AGAIN = "evaluate the run again"
# Relative tolerance: its logarithm may differ in the last digit between machines.
_ROUNDED = dict.fromkeys(
    ("miss_rate_bound", "false_alarm_rate_bound", "miss_rate_approximate"), 1e-12
)


@dataclass(frozen=True, slots=True)
class StoredResults:
    """Verified results of a run.

    Attributes:
        metrics: ``metrics.json``, without entries that do not follow from the scores.
        rows: Rows of ``scores.csv``, the test images.
        kept: Rows of ``calibration.csv``; empty if it is missing or invalid.
        crossval: Rows of ``crossval.csv``; likewise.
        tuned: Rows of ``tuning.csv``; likewise.
        contributions: Rows of ``contributions.csv``; likewise.
        split: Rows of ``split.csv``.
        unsupported: Entry of ``metrics.json`` that does not follow from the scores -> reason, e.g.
            ``calibrated, score sse`` -> ``calibration.csv is missing``.
        doubted: Score columns of these entries.
        unused: Score columns of ``scores.csv`` that are not in ``metrics.json``.
    """

    metrics: dict[str, Any]
    rows: Rows
    kept: Rows
    crossval: Rows
    tuned: Rows
    contributions: Rows
    split: list[SplitRow]
    unsupported: dict[str, str]
    doubted: frozenset[str]
    unused: tuple[str, ...]


def read_stored(run: RunDirectory, config: Settings) -> StoredResults:
    """Read the results of a run and verify them.

    Args:
        run: A run that has been evaluated.
        config: Its settings.

    Returns:
        The results, without unsupported entries.

    Raises:
        UserError: If a file is missing or damaged, files belong to different runs, or the metrics
            of a score do not follow from it.
    """
    metrics = read_metrics(run.path)
    check_values(metrics)
    check_identity(metrics, config, run)
    rows, split = read_scores(run.path), read_split(run.path)
    _check_counts(metrics, rows, split)
    known, columns = metrics["scores"], score_columns(rows)
    wrong: dict[tuple[str, str], str] = {}  # (protocol or "", column) -> reason
    scores = {}
    for column in known:
        if column not in columns:
            wrong["", column] = "is missing in scores.csv"
            continue
        computed = _check_scores(column, known[column], rows, config.protocol.normal_only)
        if is_changed(metrics, "scores.csv", column, rows):
            wrong["", column] = "was changed in scores.csv after it was computed"
        else:
            scores[column] = computed
    fused = read_fusions(run, metrics, rows)
    for column, reason in fused.wrong.items():
        wrong.setdefault(("", column), reason)
        scores.pop(column, None)
    chosen = metrics["protocol_settings"]
    others: dict[str, tuple[Path, Callable[..., Any]]] = {
        "calibrated": (run.calibration, decide_by_calibration),
        "crossval": (run.crossval, decide_by_crossval),
    }
    found = {
        protocol: _read_other(file, decide, rows, split, chosen)
        for protocol, (file, decide) in others.items()
    }
    decided = {
        "crossfit": decide_by_crossfit(rows, split, seed=metrics["seed"], **chosen),
        **{protocol: by for protocol, (_, by, _) in found.items()},
        "quantile": decide_by_quantile(rows, split, **chosen),
    }
    protocols: dict[str, dict[str, Any]] = {}
    for protocol in decided.keys() | metrics["protocols"].keys():
        stored = metrics["protocols"].get(protocol, {})
        for column in [*scores, *(name for name in stored if name not in known)]:
            followed = decided.get(protocol, {}).get(column) if column in scores else None
            why = _difference(stored.get(column), followed)
            if protocol in found and column in scores:
                kept, _, lost = found[protocol]
                file = others[protocol][0].name
                if why is not None and lost is not None:
                    why = lost
                elif kept and followed is not None and is_changed(metrics, file, column, kept):
                    why = f"was changed in {file} after it was computed"
            if why is not None:
                wrong[protocol, column] = why
            elif followed is not None:
                protocols.setdefault(protocol, {})[column] = followed
    named = {
        f"{protocol}{', ' * bool(protocol)}score {column}": why
        for (protocol, column), why in sorted(wrong.items())
    }
    written = metrics["fingerprints"].get("metrics.json", {}).get("localisation")
    if written != hash_value([metrics["localisation"], metrics.get("localisation_by")]):
        named["localisation"] = "was changed in metrics.json after it was computed"
    for file, digest in hash_training_inputs(config, split).items():
        if metrics["fingerprints"].get(file) != digest:
            raise UserError(
                f"{file} was changed after the run was evaluated; restore it, or train the run "
                "again with overwrite=true"
            )
    return StoredResults(
        metrics=metrics | {"scores": scores, "protocols": protocols},
        rows=rows,
        kept=found["calibrated"][0],
        crossval=found["crossval"][0],
        tuned=fused.tuned,
        contributions=fused.contributions,
        split=split,
        unsupported={shown_name(what): why for what, why in named.items()},
        doubted=frozenset(column for _, column in wrong),
        unused=tuple(column for column in columns if column not in known),
    )


def _check_counts(metrics: Mapping[str, Any], rows: Rows, split: list[SplitRow]) -> None:
    counts: dict[str, Any] = {
        name: sum(row["label"] == label for row in rows)
        for name, label in (("test_normal", 0), ("test_abnormal", 1))
    }
    for name, count in (counts | {"independent": count_independent(rows, split)}).items():
        if count != metrics[name]:
            raise UserError(
                f"scores.csv and metrics.json disagree: {name} is {shown(count)} and "
                f"{shown(metrics[name])}; {_AGAIN}"
            )


def _check_scores(
    column: str, written: Any, rows: Rows, normal_only: bool
) -> Mapping[str, float | None]:
    """Recompute the metrics of a score and check that they equal the stored ones."""
    scores = np.array([row[column] for row in rows], dtype=np.float64)
    labels = [row["label"] for row in rows]
    computed: Mapping[str, float | None]
    try:
        undefined = normal_only and not any(labels)
        computed = undefined_summary() if undefined else summarise(scores, labels)
    except ValueError as error:
        raise UserError(f"scores.csv cannot be evaluated: {error}; {_AGAIN}") from error
    if wrong := _difference(written, computed):
        raise UserError(
            f"scores.csv and metrics.json disagree on {shown_name(column)}: {wrong}; {_AGAIN}"
        )
    return computed


def _read_other(
    file: Path,
    decide: Callable[..., dict[str, dict[str, Any]]],
    rows: Rows,
    split: list[SplitRow],
    settings: Mapping[str, Any],
) -> tuple[Rows, dict[str, dict[str, Any]], str | None]:
    """Return the rows of ``calibration.csv`` or ``crossval.csv``, their decisions, and why not."""
    if not file.is_file():
        return (), {}, f"{file.name} is missing"
    try:
        kept = read_scores(file.parent, file.name)
        return kept, decide(rows, kept, split, **settings), None
    except UserError as error:
        return (), {}, str(error).replace(f"{file.parent}/", "").partition("; ")[0]


def _difference(written: Any, computed: Mapping[str, Any] | None) -> str | None:
    """Describe the first stored value that differs; None if all are equal or both are absent."""
    if computed is None:
        return None if written is None else "no file supports it"
    if not isinstance(written, dict):
        return "is missing in metrics.json" if written is None else f"is {shown(written)}"
    for name, value in computed.items():
        if not _equal(written.get(name), value, _ROUNDED.get(name, 0.0)):
            stated = shown(written.get(name))
            return (
                f"{name} is {stated} in metrics.json, but {shown(value)} computed from the scores"
            )
    if unknown := written.keys() - computed.keys():
        return f"{shown_name(min(unknown))} is unknown"
    return None


def _equal(written: Any, computed: Any, tolerance: float) -> bool:
    if type(written) is not type(computed):  # True != 1 here
        return False
    if isinstance(computed, list):
        return len(written) == len(computed) and all(
            _equal(one, other, tolerance) for one, other in zip(written, computed, strict=True)
        )
    if isinstance(computed, float):
        return math.isclose(written, computed, rel_tol=tolerance)
    return bool(written == computed)
