"""Names of the settings of a command, and suggestions for unknown names."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from cyclegan_ad.settings.types import flatten

# Names used by other programs -> names of our settings, the likeliest first.
_ELSEWHERE = {
    "batch": ("dataset.batch_size",),
    "bs": ("dataset.batch_size",),
    "data": ("dataset", "dataset.root", "data_dir"),
    "device": ("trainer.accelerator", "accelerator"),
    "epoch": ("trainer.max_epochs",),
    "epochs": ("trainer.max_epochs",),
    "folder": ("dataset.root", "root"),
    "gpu": ("trainer.devices", "accelerator"),
    "gpus": ("trainer.devices", "accelerator"),
    "image_size": ("resolution",),
    "img_size": ("resolution",),
    "imgsz": ("resolution",),
    "input": ("dataset.root", "root"),
    "lr": ("method.learning_rate",),
    "model": ("method",),
    "name": ("run_name", "name"),
    "out": ("runs", "out"),
    "output": ("runs", "out"),
    "output_dir": ("runs", "out"),
    "path": ("dataset.root", "run", "runs"),
    "size": ("resolution",),
    "weights": ("method.weights_path",),
}
_SIMILAR = 0.7
_SUGGESTIONS = 3


def setting_names(conf: Path, config_name: str) -> list[str]:
    """List the settings of a command, for all options of its groups.

    Returns:
        Groups and dotted names, without duplicates.
    """
    command = _read(conf / f"{config_name}.yaml")
    groups = [
        name
        for entry in command.pop("defaults")
        if isinstance(entry, dict)
        for name in entry
        if not name.startswith("override ")
    ]
    command.pop("hydra")
    found = [*groups, *(name for name, _ in flatten(command))]
    for group in groups:
        for path in sorted((conf / group).glob("*.yaml")):
            options = _read(path)
            options.pop("defaults", None)
            is_global = "@package _global_" in path.read_text(encoding="utf-8").partition("\n")[0]
            found += [name for name, _ in flatten(options, "" if is_global else f"{group}.")]
    return list(dict.fromkeys(found))


def nearest_settings(name: str, known: Sequence[str]) -> list[str]:
    """Find the settings most similar to a name, the likeliest first.

    >>> nearest_settings("trainer.epoch", ["seed", "dataset.max_epochs", "trainer.max_epochs"])
    ['trainer.max_epochs']
    >>> nearest_settings("sed", ["seed", "score"])
    ['seed']
    """
    typed = name.lower().replace("-", "_").replace("/", ".")
    group, _, last = typed.rpartition(".")
    elsewhere = [option for option in _ELSEWHERE.get(last, ()) if option.startswith(group)]
    if found := [option for option in elsewhere if option in known]:
        return found
    if found := [option for option in known if option.rpartition(".")[2] == last]:
        # dataset.* holds dataset-specific defaults of method.* and trainer.*.
        own = [option for option in found if option.startswith(("method.", "trainer."))]
        same_group = [option for option in found if option.startswith(f"{group}.")]
        return (same_group or own or found)[:_SUGGESTIONS]
    likeness = {
        option: max(_similarity(typed, option), _similarity(last, option.rpartition(".")[2]))
        for option in known
    }
    best = max(likeness.values(), default=0.0)
    return [option for option in known if likeness[option] == best][:1] if best >= _SIMILAR else []


def nearest_option(option: str, options: Sequence[str]) -> str | None:
    """Find the option of a group most similar to a name, or None.

    >>> nearest_option("Screw", ["screw", "tile"]), nearest_option("cow", ["screw", "tile"])
    ('screw', None)
    """
    lower = {known.lower(): known for known in options}
    found = difflib.get_close_matches(option.lower().replace("-", "_"), list(lower), 1, _SIMILAR)
    return lower[found[0]] if found else None


def _similarity(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def _read(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content
