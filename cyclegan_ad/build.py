"""From settings to objects: the data module and the method of a job."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.data.demo import FORMAT, draw_demo
from cyclegan_ad.data.samples import find_root, has_layout
from cyclegan_ad.errors import UserError
from cyclegan_ad.methods.cyclegan import CycleGAN
from cyclegan_ad.progress import decoding_progress


def build_data(settings: dict[str, Any]) -> AnomalyDataModule:
    """The data module of a job.

    Raises:
        UserError: If the dataset's folder is not found.
    """
    dataset = settings["dataset"]
    cache_dir = Path(settings["cache_dir"]).expanduser()
    return AnomalyDataModule(
        name=dataset["name"],
        layout=dataset["layout"],
        root=_root(settings, cache_dir),
        channels=dataset["channels"],
        size_px=settings["resolution"],
        seed=settings["seed"],
        batch_size=dataset["batch_size"],
        copies_per_epoch=dataset["copies_per_epoch"],
        augmentation=dataset["augmentation"],
        exclude=_read_list(dataset["exclude"]),
        skip_unreadable=dataset["skip_unreadable"],
        storage=dataset["storage"],
        memory_limit_mib=dataset["memory_limit_mib"],
        cache_dir=cache_dir / "images",
        progress=decoding_progress,
    )


def _root(settings: dict[str, Any], cache_dir: Path) -> Path:
    dataset = settings["dataset"]
    name, layout = dataset["name"], dataset["layout"]
    if dataset["root"] is not None:
        root = Path(dataset["root"]).expanduser()
        if not has_layout(layout, root):
            raise UserError(f"dataset.root={root}: no such dataset there; {dataset['source']}")
        return root
    if name == "demo":
        return draw_demo(cache_dir / f"demo-v{FORMAT}")  # an upgrade draws beside older data
    if name == "folder":
        raise UserError(f"dataset.root is missing: {dataset['source']}")
    return find_root(
        Path(settings["data_dir"]).expanduser(),
        dataset["folders"],
        layout,
        dataset=name,
        source=dataset["source"],
    )


def _read_list(path: str | None) -> list[str]:
    if path is None:
        return []
    try:
        lines = Path(path).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file in UTF-8"
        raise UserError(
            f"dataset.exclude={path} cannot be read ({reason}); "
            "name a text file with one image a line"
        ) from error
    return [line.strip() for line in lines if line.strip()]


def build_method(settings: dict[str, Any]) -> CycleGAN:
    """The method with fresh weights, a function of the seed."""
    method, trainer = settings["method"], settings["trainer"]
    pl.seed_everything(settings["seed"], verbose=False)
    return CycleGAN(
        channels=settings["dataset"]["channels"],
        base_channels=method["generator"]["base_channels"],
        residual_blocks=method["generator"]["residual_blocks"],
        discriminator_base_channels=method["discriminator"]["base_channels"],
        adversarial_loss=method["adversarial_loss"],
        lambda_cyc=method["lambda_cyc"],
        lambda_ide=method["lambda_ide"],
        learning_rate=method["learning_rate"],
        betas=tuple(method["betas"]),
        pool_size=method["pool_size"],
        max_epochs=trainer["max_epochs"],
        decay_start_epoch=method["decay_start_epoch"],
        seed=settings["seed"],
    )
