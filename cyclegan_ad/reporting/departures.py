"""Where our runs were not made with the settings behind the paper's figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cyclegan_ad.reporting.labels import OWN_BACKBONES, backbone_title
from cyclegan_ad.reporting.reading import Run

# Of all methods but CycleGAN, which the paper has at two.
PAPER_RESOLUTION = 256
PAPER_BASE_CHANNELS = 64
# Epochs, and how often each image is seen in one; from the authors' published code.
_PAPER_LENGTH = (200, 9)
_PAPER_LENGTHS = {"retina_oct": (50, 1)}


def departures(run: Run) -> tuple[str, ...]:
    """Name what decides a result and is not as in the paper: size of image and network, length.

    Returns:
        E.g. ``("64 px instead of 256 px", "EfficientNet-Lite0 instead of Wide ResNet-50-2")``.
    """
    name, resolution = run.method.name, run.method.resolution
    found = []
    if name != "cyclegan" and resolution != PAPER_RESOLUTION:
        found.append(f"{resolution} px instead of {PAPER_RESOLUTION} px")
    if run.method.backbone:
        found.append(f"{run.method.backbone} instead of {backbone_title(OWN_BACKBONES[name])}")
    if name == "cyclegan":
        found += _of_training(run)
    return tuple(found)


def _of_training(run: Run) -> list[str]:
    found = []
    width = _look_up(run.config, "method", "generator", "base_channels")
    if width not in (None, PAPER_BASE_CHANNELS):
        found.append(f"{width} channels instead of {PAPER_BASE_CHANNELS}")
    epochs = _look_up(run.config, "trainer", "max_epochs")
    copies = _look_up(run.config, "dataset", "copies_per_epoch")
    theirs = _PAPER_LENGTHS.get(run.dataset, _PAPER_LENGTH)
    if None not in (epochs, copies) and (epochs, copies) != theirs:
        unit = "copy" if copies == 1 else "copies"
        found.append(
            f"{epochs} epochs of {copies} {unit} of each image instead of {theirs[0]} of "
            f"{theirs[1]}"
        )
    return found


def _look_up(config: Mapping[str, Any], *names: str) -> Any:
    value: Any = config
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
