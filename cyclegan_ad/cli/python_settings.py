"""Settings of a training given in Python instead of on a command line."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.initialize import get_gh_backup, restore_gh_from_backup

from cyclegan_ad.cli.hydra_errors import check_overrides, explain, is_hydra_error
from cyclegan_ad.cli.setting_names import setting_names
from cyclegan_ad.errors import UserError
from cyclegan_ad.settings.composing import conf_dir, register_resolvers, resolve
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.settings.types import read_settings
from cyclegan_ad.text import shown


def training_settings(dataset: str | Path, settings: Mapping[str, Any]) -> Settings:
    """Compose and check the settings of a training.

    Args:
        dataset: Name of a dataset, or a folder of images.
        settings: As in :func:`cyclegan_ad.train`.

    Raises:
        UserError: If a setting is unknown or its value invalid.
    """
    groups = [path.name for path in conf_dir().iterdir() if path.is_dir() and path.name != "hydra"]
    known = functools.cache(functools.partial(setting_names, conf_dir(), "train"))
    words = [*_dataset(dataset)]
    for word in _words(settings, groups):
        name = word.partition("=")[0]  # groups without a default, such as preset, are added with +
        words.append(f"+{word}" if name in groups and name not in known() else word)
    check_overrides(words, groups, known)
    register_resolvers()
    callers = get_gh_backup()  # a notebook may use Hydra itself
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            composed = compose("train", words)
        return read_settings(Settings, resolve(composed))
    except Exception as error:
        if not (isinstance(error, UserError) or is_hydra_error(error, words)):
            raise
        raise explain(error, known) from None
    finally:
        restore_gh_from_backup(callers)


def _dataset(dataset: str | Path) -> list[str]:
    """Return the words that choose a dataset of ``conf/dataset``, or a folder of images."""
    names = sorted(path.stem for path in (conf_dir() / "dataset").glob("*.yaml"))
    if str(dataset) in names:
        return [f"dataset={dataset}"]
    if not Path(dataset).expanduser().is_dir():
        raise UserError(
            f"invalid dataset={shown(str(dataset))}: expected the path of a folder of images, or "
            f"one of {', '.join(names)}"
        )
    return ["dataset=folder", f"dataset.root={_value(str(dataset))}"]


def _words(settings: Mapping[str, Any], groups: Sequence[str]) -> Iterator[str]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _words({f"{name}.{key}": inner for key, inner in value.items()}, groups)
        elif name in groups and not isinstance(value, str):
            raise UserError(
                f"invalid {name}={shown(value)}: expected the name of an option, such as "
                f'{name}="...", or a dictionary of its settings'
            )
        else:
            yield f"{name}={value}" if name in groups else f"{name}={_value(value)}"


def _value(value: Any) -> str:
    """Write a value in the syntax of Hydra's overrides."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | Path):
        return QuotedString(str(value), Quote.single).with_quotes()
    if isinstance(value, Sequence):
        return "[" + ",".join(map(_value, value)) + "]"
    return repr(value)
