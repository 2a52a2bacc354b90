"""Flags of the commands: Hydra's, put before the settings and checked before Hydra sees them."""

import os
from collections.abc import Callable, Sequence

from cyclegan_ad.cli.setting_names import nearest_settings
from cyclegan_ad.errors import UserError

_LONG = {
    **{"-h": "--help", "-m": "--multirun", "-r": "--run", "-sc": "--shell-completion"},
    **{"-c": "--cfg", "-i": "--info", "-p": "--package", "-cd": "--config-dir"},
}
_PLAIN = {
    *("--help", "--hydra-help", "--version", "--multirun", "--run"),
    *("--resolve", "--shell-completion"),
}
_WITH_VALUE = {"--cfg", "--info", "--package", "--config-dir"}
_CHOICES = {
    "--cfg": ("job", "hydra", "all"),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
}
# What the command does instead of running one job; at most one of them.
_INSTEAD = ("--run", "--multirun", "--cfg", "--info", "--shell-completion", "--hydra-help")
_SHELLS = ("bash", "fish", "zsh")


def split_flags(
    words: Sequence[str], known: Callable[[], Sequence[str]] = tuple
) -> tuple[list[str], list[str]]:
    """Separate flags from settings, as Hydra takes no flags between settings.

    Args:
        words: What was typed behind the command.
        known: Gives the names of all settings of the command, to find one typed as a flag.

    Returns:
        The flags in their long form, each in one word, and the settings, both in order.

    Raises:
        UserError: For a flag that does not exist, that lacks its value, or that has a wrong one.

    >>> split_flags(["dataset=screw", "-m", "seed=0,1", "-c", "job"])
    (['--multirun', '--cfg=job'], ['dataset=screw', 'seed=0,1'])
    """
    flags: list[str] = []
    settings: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, has_value, value = word.partition("=")
        flag = _LONG.get(name, name)
        if not word.startswith("-") or word == "-":
            settings.append(word)
        elif flag in _PLAIN and not has_value:
            flags.append(flag)
        elif flag in _WITH_VALUE:
            if not has_value:
                value = _value_of(flag, rest)
            _check_value(flag, value)
            flags.append(f"{flag}={value}")
        else:
            raise UserError(_no_flag(name, value if has_value else (rest or [""])[0], known()))
    return flags, settings


def check_flags(flags: Sequence[str], settings: Sequence[str]) -> None:
    """Check that flags go together.

    Args:
        flags: As :func:`split_flags` gives them.
        settings: Likewise.

    Raises:
        UserError: If they do not, or if one of them takes other settings.
    """
    names = {flag.partition("=")[0] for flag in flags}
    instead = [name for name in _INSTEAD if name in names]
    if len(instead) > 1:
        raise UserError(
            f"{instead[0]} and {instead[1]} exclude each other; leave out {instead[0]}"
            + (" and give each setting one value" if instead[0] == "--multirun" else "")
        )
    for name in ("--resolve", "--package"):
        if name in names and "--cfg" not in names:
            raise UserError(f"{name} goes with --cfg only: --cfg job {name}")
    if "--hydra-help" in names and settings:
        raise UserError(f"--hydra-help takes no settings; leave out {settings[0]}")
    if "--shell-completion" in names:
        verbs = [f"{verb}={shell}" for verb in ("install", "uninstall") for shell in _SHELLS]
        # What an installed completion asks.
        queries = [f"query={shell}" for shell in _SHELLS if "COMP_LINE" in os.environ]
        if len(settings) != 1 or settings[0] not in (*verbs, *queries):
            raise UserError(f"--shell-completion takes one of {', '.join(verbs)}")


def _value_of(flag: str, rest: list[str]) -> str:
    """Take the value of a flag from the words behind it; ``--info`` alone means all."""
    if flag == "--info" and (not rest or rest[0] not in _CHOICES[flag]):
        return "all"
    return rest.pop(0) if rest else ""


def _check_value(flag: str, value: str) -> None:
    if not value:
        raise UserError(f"{flag} needs a value")
    choices = _CHOICES.get(flag)
    if choices is not None and value not in choices:
        raise UserError(f"{flag} {value}: invalid value; choose one of {', '.join(choices)}")


def _no_flag(name: str, value: str, known: Sequence[str]) -> str:
    text = f"there is no flag {name}; settings are given as name=value, see --help"
    setting = name.lstrip("-")
    meant = nearest_settings(setting, known) if len(setting) > 1 else []
    return f"{text}; did you mean {meant[0]}={value or 'VALUE'}?" if meant else text
