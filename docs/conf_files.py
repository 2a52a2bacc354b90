"""The files under conf/ as text: options, comments, and defaults as written and as composed."""

import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml
from hydra import compose, initialize_config_dir

from cyclegan_ad.settings.composing import conf_dir, register_resolvers, resolve
from cyclegan_ad.settings.types import flatten


def options_of(group: str) -> list[Path]:
    """The files of a group, by name."""
    return sorted((conf_dir() / group).glob("*.yaml"))


def about(path: Path) -> str:
    """The first paragraph of the comment that a file begins with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = lines[: len(lines) - len(_body(path))]
    text = "\n".join(line.removeprefix("#").strip() for line in comment if "@package" not in line)
    return " ".join(text.partition("\n\n")[0].split())


def read_comments(path: Path, group: str = "") -> dict[str, str]:
    """Dotted name of each setting of a file -> the comment above it, in one line.

    Args:
        path: The file.
        group: Where Hydra puts its settings, unless the file says otherwise itself.
    """
    found: dict[str, str] = {}
    parents: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in _body(path):
        stripped = line.strip()
        key = re.match(r"( *)([\w+]+):(?= |$)", line)
        if stripped.startswith("#"):
            comment.append(stripped.removeprefix("#").strip())
            continue
        if key is not None:
            indent = len(key[1])
            parents = [*(one for one in parents if one[0] < indent), (indent, key[2])]
            found[".".join(name for _, name in parents)] = " ".join(comment)
        comment = []
    prefix = _prefix(path, group)
    return {f"{prefix}{name}": text for name, text in found.items() if text}


def _body(path: Path) -> list[str]:
    """The lines of a file without the comment that it begins with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    while lines and lines[0].startswith("#"):
        del lines[0]
    return lines


def with_inherited(
    read: Callable[[Path, str], dict[str, Any]], path: Path, group: str
) -> dict[str, Any]:
    """Read a file of a group, and before it those of its defaults list.

    Args:
        read: :func:`read_comments` or :func:`values_written`.
        path: The file.
        group: Its group.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    found: dict[str, Any] = {}
    for option in content.get("defaults", []):
        if option != "_self_":
            found |= with_inherited(read, path.with_name(f"{option}.yaml"), group)
    return found | read(path, group)


def values_written(path: Path, group: str = "") -> dict[str, Any]:
    """Dotted name -> value as it stands in a file, interpolations and all.

    Args:
        path: The file.
        group: As of :func:`read_comments`.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    others = ("defaults", "hydra", "_target_")
    kept = {name: value for name, value in content.items() if name not in others}
    return dict(flatten(kept, _prefix(path, group)))


def _prefix(path: Path, group: str) -> str:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return f"{group}." if group and "@package _global_" not in first else ""


@cache
def taken_from() -> dict[str, list[str]]:
    """Setting of ``train`` -> the settings that take their default from it."""
    found: dict[str, list[str]] = {}
    files = [(conf_dir() / "train.yaml", ""), *((path, "method") for path in options_of("method"))]
    for path, group in files:
        for name, value in values_written(path, group).items():
            for source in re.findall(r"\$\{([a-z_]+(?:\.[a-z_]+)*)\}", str(value)):
                found.setdefault(source, []).append(name)
    return found


@cache
def composed(command: str, *words: str) -> dict[str, Any]:
    """Dotted name -> default, on a machine where nothing is set in the environment."""
    register_resolvers()
    kept = {name: value for name, value in os.environ.items() if "CYCLEGAN_AD" not in name}
    with (
        patch.dict(os.environ, kept | {"HOME": "~"}, clear=True),
        initialize_config_dir(str(conf_dir()), version_base="1.3"),
    ):
        return dict(flatten(resolve(compose(command, list(words)))))
