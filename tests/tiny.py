"""A dataset and settings so small that a whole job takes a second or two."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

from cyclegan_ad.composing import conf_dir, register_resolvers
from cyclegan_ad.files import write_json
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings import Settings, read_settings

# One residual block, 4 base channels, 32 px, 3 steps an epoch at a batch of 2.
OVERRIDES = (
    "dataset=folder",
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
    return read_settings(
        Settings, compose_settings("train", overrides(root, runs, *more, method=method))
    )


def resolved(root: Path, runs: Path, *more: str, method: str = "cyclegan") -> Settings:
    """The same without ``auto``."""
    from cyclegan_ad.resolve_auto import resolve_auto  # which loads torch

    return resolve_auto(settings(root, runs, *more, method=method))


def compose_settings(config_name: str, words: Sequence[str]) -> dict[str, Any]:
    """What the command line would make of these words."""
    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose(config_name, list(words))
        resolved = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def start_run(job: Settings, *, finished: bool, **trainer: object) -> RunDirectory:
    """A run directory of a job, as far as the first checks read it."""
    run = RunDirectory.of(job)
    run.path.mkdir(parents=True)
    made_with = job.replaced({f"trainer.{name}": value for name, value in trainer.items()})
    run.config.write_text(yaml.safe_dump(made_with.as_dict()))
    write_json(
        run.training,
        {
            "epochs": job.trainer.max_epochs if finished else 1,
            "steps": 9,
            "seconds": 1,
            "finished": finished,
        },
    )
    run.checkpoint.parent.mkdir()
    run.checkpoint.touch()
    return run
