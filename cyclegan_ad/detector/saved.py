"""Write the saved detector: weights, preprocessing, scores and thresholds."""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from cyclegan_ad import __version__
from cyclegan_ad.detector.description import FILE, FORMAT, WEIGHTS, describe_scores
from cyclegan_ad.detector.history import keep_calibrations
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import file_sha256, replacing, write_json
from cyclegan_ad.runs.results import Results
from cyclegan_ad.text import counted

FUSED_PROBE = "fused.probe."
"""Begins the names, among the weights, of those of the probe of ``fused``."""


def variance_name(precision: str) -> str:
    """Return the name, among the weights, of the variance of the errors in a precision."""
    return f"standardised.variance.{precision}"


def save_detector(
    folder: Path,
    *,
    method: str,
    network: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    preprocessing: Mapping[str, Any],
    extractors: Mapping[str, str],
    trained_on: Mapping[str, Any],
    trained_files: Sequence[str],
    map_scale: tuple[float, float],
    scores: Mapping[str, Any],
    reference: Mapping[str, Any],
    fused_probe: Mapping[str, Any] | None = None,
) -> None:
    """Write ``weights.safetensors`` and ``detector.json``.

    Calibrations of a detector with these weights, or a part of them, are kept for the scores that
    are computed as before.

    Args:
        folder: Folder of the detector; created if absent.
        method: Name of the method.
        network: Arguments of its network for inference (see
            :func:`cyclegan_ad.networks.inference.build_inference`).
        tensors: Weights of this network, and variances for ``standardised`` (`variance_name`).
        preprocessing: Preprocessing of images: ``channels``, ``window``, ``size_px``, ``resize``
            and ``range``.
        extractors: Feature extractor of a score -> SHA-256 of its weights.
        trained_on: Dataset, number of training images and their hash.
        trained_files: SHA-256 of each file of which calibrations must not count the score.
        map_scale: Anomaly-map values at which overlays become visible and opaque.
        scores: Result of :func:`cyclegan_ad.detector.description.describe_scores`.
        reference: ``brightness`` and ``sharpness`` of the normal images kept out of training, and
            ``scores``: column -> their scores; lists of as many numbers, in the same order.
        fused_probe: Arguments of the probe of ``fused``; None if there is none.
    """
    weights = folder / WEIGHTS
    earlier = read_unverified(folder) or {}
    if earlier.get("calibrations") and not _holds_weights(weights, tensors):
        _tell_dropped(folder, "has new weights", len(earlier["calibrations"]))
        earlier = {}
    with replacing(weights) as temporary:
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        temporary.write_bytes(save(plain))  # save_file raises its own error class
    write_json(
        folder / FILE,
        {
            "format": FORMAT,
            "method": method,
            "network": network,
            **({} if fused_probe is None else {"fused_probe": fused_probe}),
            "preprocessing": preprocessing,
            "extractors": extractors,
            "trained_on": trained_on,
            "trained_files": list(trained_files),
            "map_scale": map_scale,
            **_keep(folder, scores, earlier),
            "reference": reference,
            "sha256": {WEIGHTS: file_sha256(weights)},
            "versions": {
                "cyclegan_ad": __version__,
                "torch": torch.__version__,
                "pillow": importlib.metadata.version("pillow"),
            },
        },
    )


def _holds_weights(path: Path, tensors: Mapping[str, Tensor]) -> bool:
    """Return whether all weights of a file are among others, by whatever names."""
    try:
        earlier = load_file(path)
    except (OSError, SafetensorError):
        return False

    def content(tensor: Tensor) -> tuple[str, torch.Size, bytes]:
        plain = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        return str(tensor.dtype), tensor.shape, hashlib.sha256(plain.numpy().tobytes()).digest()

    # The variances follow from the weights, up to rounding.
    networks = [t for name, t in earlier.items() if not name.startswith(variance_name(""))]
    return {content(t) for t in networks} <= {content(t) for t in tensors.values()}


def detector_fingerprint(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the weights and of their description, without the scores.

    It is stored in ``metrics.json`` to detect later changes. Empty if a file is missing.
    """
    detector = read_unverified(folder)
    if detector is None or not (folder / WEIGHTS).is_file():
        return {}
    names = ("format", "method", "network", "preprocessing", "extractors", "trained_on")
    described = {name: detector.get(name) for name in names}
    for name in ("fused_probe", "reference"):
        if name in detector:
            described[name] = detector[name]
    return {
        "description": hashlib.sha256(json.dumps(described).encode()).hexdigest(),
        "weights": file_sha256(folder / WEIGHTS),
    }


def read_fused_probe(
    folder: Path, trained_on: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Return the probe of ``fused`` of a detector: arguments and tensors.

    Args:
        folder: Folder of the detector.
        trained_on: What the detector must have been trained on, as in :func:`save_detector`.

    Returns:
        None if there is no undamaged one.
    """
    detector = read_unverified(folder) or {}
    weights = folder / WEIGHTS
    if "fused_probe" not in detector or detector.get("trained_on") != dict(trained_on):
        return None
    if not weights.is_file() or file_sha256(weights) != detector["sha256"][WEIGHTS]:
        return None
    tensors = load_file(weights)
    return detector["fused_probe"], {
        name.removeprefix(FUSED_PROBE): tensor
        for name, tensor in tensors.items()
        if name.startswith(FUSED_PROBE)
    }


def write_scores(folder: Path, scores: Mapping[str, Any]) -> None:
    """Update the scores and thresholds in ``detector.json``.

    Calibrations are kept for the scores that are computed as before.

    Args:
        folder: Folder of the detector.
        scores: Result of :func:`cyclegan_ad.detector.description.describe_scores`.

    Raises:
        UserError: If ``detector.json`` is missing or damaged.
    """
    detector = read_unverified(folder)
    if detector is None:
        raise UserError(
            f"{folder / FILE} is missing or damaged; score the run again: "
            f"python -m cyclegan_ad.evaluate run={folder.parent}"
        )
    write_json(folder / FILE, detector | _keep(folder, scores, detector))


def _keep(folder: Path, scores: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the calibrations of the scores that are computed as before; say if others were not."""
    kept = keep_calibrations(scores, earlier)
    dropped = [one for one in earlier.get("calibrations", []) if one not in kept["calibrations"]]
    if dropped:
        changed = " and ".join(sorted({one["score"] for one in dropped}))
        _tell_dropped(folder, f"computes {changed} in another way", len(dropped))
    return kept


def _tell_dropped(folder: Path, why: str, calibrations: int) -> None:
    dropped = counted(calibrations, "calibration")
    print(f"{folder} {why}: {dropped} of the earlier ones dropped; calibrate again")


def differences_from_run(folder: Path, results: Results) -> list[str]:
    """List the differences of ``detector.json`` from the results of its run, one line each."""
    detector = read_unverified(folder)
    if detector is None:
        return [f"{FILE} is missing or damaged"]
    differences = [
        f"{FILE}: {name} differs from metrics.json and scores.csv"
        for name, value in keep_calibrations(describe_scores(results), detector).items()
        if detector.get(name) != value
    ]
    if results.metrics["fingerprints"].get("detector") != detector_fingerprint(folder):
        differences.append("detector: not the one that was written with metrics.json")
    return differences


def read_unverified(folder: Path) -> dict[str, Any] | None:
    """Return the content of ``detector.json``; None if it is missing or damaged."""
    try:
        detector = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return detector if isinstance(detector, dict) else None
