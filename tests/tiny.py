"""A dataset and settings so small that a whole job takes a second or two."""

import copy
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

from cyclegan_ad.files import write_json
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.composing import conf_dir, register_resolvers
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.settings.types import read_settings

# One residual block, 4 base channels, 32 px, 3 steps an epoch at a batch of 2.
OVERRIDES = (
    "dataset=folder",
    "dataset.name=folder",
    "resolution=32",
    "logger=none",
    "trainer=cpu",
    "trainer.precision=32-true",
    "dataset.batch_size=2",
    "dataset.copies_per_epoch=1",
    "dataset.base_channels=4",
    "method.generator.residual_blocks=1",
    "trainer.max_epochs=3",
    "trainer.snapshot_every_n_epochs=0",
)


def draw_folder(root: Path, normal: int = 9, abnormal: int = 6, size_px: int = 32) -> Path:
    """Grey ramps; abnormal ones have a bright square, and a mask that shows it."""
    random = np.random.default_rng(7)
    for name, count in (("normal", normal), ("abnormal", abnormal)):
        for i in range(count):
            ramp = np.linspace(60, 120, size_px)[None, :] + random.normal(0, 6, (size_px, size_px))
            mask = np.zeros((size_px, size_px), np.uint8)
            if name == "abnormal":
                y, x = random.integers(4, size_px - 12, 2)
                mask[y : y + 8, x : x + 8] = 255
                ramp[mask > 0] = 230
            for folder, picture in ((name, ramp.clip(0, 255).astype(np.uint8)), ("masks", mask)):
                if folder != "masks" or name == "abnormal":
                    path = root / folder / f"{i:02d}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(picture).save(path)
    return root


# What the other methods have instead of a generator; no weights are fetched.
BASELINES = {
    "ganomaly": ("method.latent_size=8",),
    "padim": ("backbone=resnet18", "method.pretrained=false", "method.n_features=8"),
    "patchcore": ("backbone=resnet18", "method.pretrained=false"),
    "linear_probe": (),
}


def of_method(method: str) -> list[str]:
    """Words in place of ``OVERRIDES``; of padim and patchcore without ``trainer.max_epochs``."""
    if method == "cyclegan":
        return list(OVERRIDES)
    left_out = ["method.generator."] + ["trainer.max_epochs"] * (method != "ganomaly")
    kept = [word for word in OVERRIDES if not word.startswith(tuple(left_out))]
    return [*kept, f"method={method}", *BASELINES[method]]


def overrides(root: Path, runs: Path, *more: str, method: str = "cyclegan") -> list[str]:
    """Command-line words of a tiny job; later ones win."""
    places = [f"dataset.root={root}", f"runs={runs}", f"cache_dir={runs}/cache"]
    return [*of_method(method), *places, *more]


def settings(root: Path, runs: Path, *more: str, method: str = "cyclegan") -> Settings:
    """All settings of a tiny job, composed from the real configuration."""
    job = compose_settings("train", [*of_method(method), *more])
    given = {word.partition("=")[0] for word in more}
    # Set afterwards, so that a job composed before is not composed again for another folder.
    places = {"dataset.root": str(root), "runs": str(runs), "cache_dir": f"{runs}/cache"}
    placed = {name: place for name, place in places.items() if name not in given}
    return check_settings(changed_all(job, placed))


def resolved(root: Path, runs: Path, *more: str, method: str = "cyclegan") -> Settings:
    """The same without ``auto``."""
    from cyclegan_ad.training.resolve_auto import resolve_auto  # which loads torch

    return resolve_auto(settings(root, runs, *more, method=method))


def compose_settings(config_name: str, words: Sequence[str]) -> dict[str, Any]:
    """What the command line would make of these words."""
    environment = {name: os.environ.get(name) for name in ("HOME", *PLACES)}
    return copy.deepcopy(_composed(config_name, tuple(words), tuple(environment.items())))


PLACES = ("CYCLEGAN_AD_DATA", "CYCLEGAN_AD_CACHE")


@cache
def _composed(config_name: str, words: tuple[str, ...], environment: object) -> dict[str, Any]:
    # Hydra takes a fifth of a second; the environment is what the configuration reads of it.
    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose(config_name, list(words))
        resolved = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


ABSENT = object()


def check_settings(raw: Any) -> Settings:
    """The settings of a training command, checked."""
    return read_settings(Settings, raw)


def setting(job: Any, name: str) -> Any:
    """Value of a setting by its dotted name, as YAML has it; a group as a plain dictionary."""
    value = saved(job)
    for part in name.split("."):
        value = value[part]
    return value


def changed(job: Any, name: str, value: object) -> Any:
    """A copy of the settings with another value of a dotted name, or without it (``ABSENT``)."""
    if isinstance(job, Settings):
        return job.replaced({name: value})
    result = copy.deepcopy(job)
    *groups, last = name.split(".")
    at = result
    for group in groups:
        at = at[group]
    assert last in at, name
    if value is ABSENT:
        del at[last]
    else:
        at[last] = value
    return result


def changed_all(job: Any, values: dict[str, object]) -> Any:
    """``changed`` for several settings, by their dotted names."""
    if isinstance(job, Settings):
        return job.replaced(values)
    for name, value in values.items():
        job = changed(job, name, value)
    return job


def changed_group(job: Any, group: str, values: dict[str, object]) -> Any:
    """``changed`` for several settings of one group, by their names inside it."""
    return changed_all(job, {f"{group}.{name}": value for name, value in values.items()})


def saved(job: Any) -> dict[str, Any]:
    """The settings as they stand in ``config.yaml``."""
    return job.as_dict() if isinstance(job, Settings) else dict(copy.deepcopy(job))


def start_run(job: Settings, *, finished: bool, **trainer: object) -> RunDirectory:
    """A run directory of a job, as far as the first checks read it."""
    run = RunDirectory.of(job)
    run.path.mkdir(parents=True)
    made_with = changed_group(job, "trainer", trainer)
    run.config.write_text(yaml.safe_dump(saved(made_with)))
    write_json(
        run.training,
        {
            "epochs": setting(job, "trainer.max_epochs") if finished else 1,
            "steps": 9,
            "seconds": 1,
            "finished": finished,
        },
    )
    run.checkpoint.parent.mkdir()
    run.checkpoint.touch()
    return run
