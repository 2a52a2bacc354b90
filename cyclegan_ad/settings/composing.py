"""Location of the configuration files, and the resolvers they use."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from cyclegan_ad.hardware import gpus_per_job, jobs_at_once


def conf_dir() -> Path:
    """Return the configuration folder: in the installed package, or next to it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def register_resolvers() -> None:
    """Register the resolvers of the files in ``conf``, such as ``${residual_blocks_at:...}``."""
    for name, resolver in (
        ("residual_blocks_at", residual_blocks_at),
        ("downsampling_at", downsampling_at),
        ("jobs_at_once", jobs_at_once),
        ("gpus_per_job", gpus_per_job),
        ("or_else", _or_else),
        ("of_dataset", _of_dataset),
    ):
        OmegaConf.register_new_resolver(name, resolver, replace=True)


def _or_else(value: Any, default: Any) -> Any:
    return default if value in (None, "") else value


def _of_dataset(name: Any, values: DictConfig, otherwise: Any) -> Any:
    """Return the value for a dataset; another dataset has ``otherwise``."""
    return values.get(name, otherwise)


def residual_blocks_at(resolution: Any) -> int | None:
    """Return the residual blocks of a generator: 9 from 256 px up, 6 below (Sec. 2.2).

    None for a value that is not an integer, which is rejected when the settings are checked.
    """
    if not isinstance(resolution, int):
        return None
    return 9 if resolution >= 256 else 6


def downsampling_at(resolution: Any) -> int | None:
    """Return the factor by which networks see smaller images: the largest that leaves 64 px.

    It divides the side by a power of two, so that the smaller image has a side of a multiple of 4.
    None for a value that is not an integer, which is rejected when the settings are checked.

    >>> [downsampling_at(size) for size in (32, 64, 96, 128, 256)]
    [1, 1, 1, 2, 4]
    """
    if not isinstance(resolution, int):
        return None
    factor = 1
    while resolution >= 128 * factor and resolution % (8 * factor) == 0:
        factor *= 2
    return factor


def resolve(cfg: DictConfig) -> dict[str, Any]:
    """Convert the settings of a job to nested dictionaries, with interpolations resolved."""
    settings = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert isinstance(settings, dict)
    return {str(key): value for key, value in settings.items()}
