"""Write the saved detector: weights of the generator, its preprocessing and the thresholds."""

import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from cyclegan_ad import __version__
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import replacing, write_json

FILE = "detector.json"
FORMAT = 2
WEIGHTS = "generator.safetensors"


def save_detector(
    folder: Path,
    generator: torch.nn.Module,
    *,
    network: dict[str, int],
    preprocessing: dict[str, Any],
    metrics: dict[str, Any],
) -> None:
    """Write ``generator.safetensors`` and ``detector.json``.

    Args:
        folder: Folder of the detector; created if absent.
        generator: Trained ``generator_to_normal``.
        network: Arguments of the generator: ``channels``, ``base_channels``, ``residual_blocks``.
        preprocessing: Preprocessing of images: ``channels``, ``window``, ``size_px``, ``resize``
            and ``range``.
        metrics: Content of ``metrics.json``, with the thresholds.
    """
    weights = folder / WEIGHTS
    with replacing(weights) as temporary:
        tensors = {name: value.contiguous() for name, value in generator.state_dict().items()}
        temporary.write_bytes(save(tensors))  # save_file raises its own error class
    write_json(
        folder / FILE,
        {
            "format": FORMAT,
            "network": network,
            "preprocessing": preprocessing,
            **_decisions(metrics),
            "sha256": {weights.name: hashlib.sha256(weights.read_bytes()).hexdigest()},
            "versions": {
                "cyclegan_ad": __version__,
                "torch": torch.__version__,
                "pillow": importlib.metadata.version("pillow"),
            },
        },
    )


def detector_fingerprint(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the weights and of their description, without the thresholds.

    It is stored in ``metrics.json`` to detect later changes. Empty if a file is missing.
    """
    detector = _read(folder)
    if detector is None or not (folder / WEIGHTS).is_file():
        return {}
    described = {name: detector.get(name) for name in ("format", "network", "preprocessing")}
    return {
        "description": hashlib.sha256(json.dumps(described).encode()).hexdigest(),
        "weights": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
    }


def write_decisions(folder: Path, metrics: dict[str, Any]) -> None:
    """Update the thresholds in ``detector.json``, with the images they were set on.

    Raises:
        UserError: If ``detector.json`` is missing or damaged.
    """
    detector = _read(folder)
    if detector is None:
        raise UserError(
            f"{folder / FILE} is missing or damaged; score the run again: "
            f"python -m cyclegan_ad.evaluate run={folder.parent}"
        )
    write_json(folder / FILE, detector | _decisions(metrics))


def differences_from_metrics(folder: Path, metrics: dict[str, Any]) -> list[str]:
    """List the differences of ``detector.json`` from ``metrics.json``, one line each."""
    detector = _read(folder)
    if detector is None:
        return [f"{FILE} is missing or damaged"]
    differences = [
        f"{FILE}: {name} differs from metrics.json"
        for name, value in _decisions(metrics).items()
        if detector.get(name) != value
    ]
    if metrics["fingerprints"].get("detector") != detector_fingerprint(folder):
        differences.append("detector: not the one that was written with metrics.json")
    return differences


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        detector = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return detector if isinstance(detector, dict) else None


def _decisions(metrics: dict[str, Any]) -> dict[str, Any]:
    return {
        "protocol": metrics["protocol"],
        "scores": {
            column: {
                "computed_by": metrics["columns"][column],
                "zfn_threshold": row["zfn_threshold"],
                "max_accuracy_threshold": row["max_accuracy_threshold"],
                "set_on": "the test images of this run (optimistic)",
                "normal_images": metrics["test_normal"],
                "abnormal_images": metrics["test_abnormal"],
                "protocols": {
                    name: decisions[column]
                    for name, decisions in metrics["protocols"].items()
                    if column in decisions
                },
            }
            for column, row in metrics["scores"].items()
        },
    }
