"""Settings of jobs to be measured, as the command line would compose them."""

from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from cyclegan_ad.composing import conf_dir, register_resolvers


def compose_job(words: Sequence[str]) -> dict[str, Any]:
    """All settings of ``python -m cyclegan_ad.train WORDS``, resolved."""
    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        settings = OmegaConf.to_container(compose("train", list(words)), resolve=True)
    assert isinstance(settings, dict)
    return {str(name): value for name, value in settings.items()}
