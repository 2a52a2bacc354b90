"""The saved detector: the generator's weights and what is needed to use them."""

import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from cyclegan_ad import __version__
from cyclegan_ad.run_directory import replacing, write_json

FORMAT = 1


def save_detector(
    folder: Path,
    generator: torch.nn.Module,
    *,
    network: dict[str, int],
    preprocessing: dict[str, Any],
    decisions: dict[str, dict[str, Any]],
) -> None:
    """Write ``generator.safetensors`` and ``detector.json``.

    Args:
        folder: Where to; made if absent.
        generator: ``generator_to_normal``, trained.
        network: Arguments that build it: ``channels``, ``base_channels``, ``residual_blocks``.
        preprocessing: How a file becomes its input: ``channels``, ``size_px``, ``resize`` and
            ``range``.
        decisions: Column of a score -> its thresholds, and which images they were set on.
    """
    weights = folder / "generator.safetensors"
    with replacing(weights) as temporary:
        tensors = {name: value.contiguous() for name, value in generator.state_dict().items()}
        save_file(tensors, temporary)
    write_json(
        folder / "detector.json",
        {
            "format": FORMAT,
            "network": network,
            "preprocessing": preprocessing,
            "scores": decisions,
            "sha256": {weights.name: hashlib.sha256(weights.read_bytes()).hexdigest()},
            "versions": {
                "cyclegan_ad": __version__,
                "torch": torch.__version__,
                "pillow": importlib.metadata.version("pillow"),
            },
        },
    )
