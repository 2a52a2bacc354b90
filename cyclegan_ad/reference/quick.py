"""The preset for a CPU: its settings, and what it cost in accuracy where that was measured."""

import csv
from functools import cache
from importlib import resources
from typing import Any

import yaml

from cyclegan_ad.reference.table2 import paper_figure
from cyclegan_ad.settings.composing import conf_dir
from cyclegan_ad.settings.train import CycleGAN, GANomaly, Settings

PRESET = "cpu_quick"


@cache
def preset_values() -> dict[str, int]:
    """Return the values of ``conf/preset/cpu_quick.yaml``, by their names in ``dataset``."""
    path = conf_dir() / "preset" / f"{PRESET}.yaml"
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: int(value) for name, value in content["dataset"].items()}


def quicker_settings(settings: Settings) -> str | None:
    """Describe the preset for a training; None if it would not be quicker.

    Args:
        settings: Settings of the training.

    Returns:
        One line: what to type, what it changes, and what that cost where it was measured.
    """
    method, quick = settings.method, preset_values()
    if isinstance(method, CycleGAN):
        channels = method.generator.base_channels
    elif isinstance(method, GANomaly):
        channels = method.base_channels
    else:
        return None  # fitted in one pass
    ours = {
        "base_channels": (channels, "channels"),
        "copies_per_epoch": (settings.dataset.copies_per_epoch, "copies of an image an epoch"),
        "max_epochs": (settings.trainer.max_epochs, "epochs"),
    }
    fewer = [
        f"{quick[name]} instead of {value} {unit}"
        for name, (value, unit) in ours.items()
        if value > quick[name]
    ]
    if not fewer:
        return None
    words = f"+preset={PRESET}"
    if settings.trainer.max_epochs < quick["max_epochs"]:
        words += f" trainer.max_epochs={settings.trainer.max_epochs}"
    text = f"quicker: {words} ({', '.join(fewer)})"
    return f"{text}. {_cost()}" if isinstance(method, CycleGAN) else text


def _cost() -> str:
    """Say what the preset reached with the CycleGAN at 64 px, beside the paper's figures."""
    source = resources.files("cyclegan_ad") / "reference" / "cpu_quick.csv"
    measured = []
    for row in csv.DictReader(source.read_text(encoding="utf-8").splitlines()):
        if row["metric"] != "auroc":
            continue
        paper = paper_figure(row["dataset"], "cyclegan-64", row["score"], row["metric"])
        assert paper is not None
        measured.append(
            f"{float(row['mean_percent']):.0f} % on {row['dataset']} (paper, full settings: "
            f"{paper.mean_percent:.0f} %)"
        )
    return f"AUROC it reached at 64 px with score=sse: {', '.join(measured)}"
