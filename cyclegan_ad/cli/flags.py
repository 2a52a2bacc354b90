"""Flags of the commands: those of Hydra, checked and moved before the settings."""

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
# Flags that replace running one job; at most one of them.
_INSTEAD = ("--run", "--multirun", "--cfg", "--info", "--shell-completion", "--hydra-help")
_SHELLS = ("bash", "fish", "zsh")


def split_flags(
    words: Sequence[str], known: Callable[[], Sequence[str]] = tuple
) -> tuple[list[str], list[str]]:
    """Separate flags from settings, as Hydra accepts no flags between settings.

    Returns:
        The flags in their long form, each one word, and the settings, both in order.

    Raises:
        UserError: For an unknown flag, or one with a missing or invalid value.

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
            raise UserError(
                _explain_unknown_flag(name, value if has_value else (rest or [""])[0], known())
            )
    return flags, settings


def check_flags(flags: Sequence[str], settings: Sequence[str]) -> None:
    """Check that flags can be combined with each other and with the settings.

    Raises:
        UserError: If they cannot be combined.
    """
    names = {flag.partition("=")[0] for flag in flags}
    instead = [name for name in _INSTEAD if name in names]
    if len(instead) > 1:
        raise UserError(
            f"{instead[0]} and {instead[1]} cannot be combined; remove {instead[0]}"
            + (" and give each setting one value" if instead[0] == "--multirun" else "")
        )
    for name in ("--resolve", "--package"):
        if name in names and "--cfg" not in names:
            raise UserError(f"{name} needs --cfg; use --cfg job {name}")
    if "--hydra-help" in names and settings:
        raise UserError(f"--hydra-help takes no settings; remove {settings[0]}")
    if "--shell-completion" in names:
        verbs = [f"{verb}={shell}" for verb in ("install", "uninstall") for shell in _SHELLS]
        # Query of an installed completion.
        queries = [f"query={shell}" for shell in _SHELLS if "COMP_LINE" in os.environ]
        if len(settings) != 1 or settings[0] not in (*verbs, *queries):
            raise UserError(f"--shell-completion: expected one of {', '.join(verbs)}")


def _value_of(flag: str, rest: list[str]) -> str:
    """Take the value of a flag from the following words; ``--info`` alone means all."""
    if flag == "--info" and (not rest or rest[0] not in _CHOICES[flag]):
        return "all"
    return rest.pop(0) if rest else ""


def _check_value(flag: str, value: str) -> None:
    if not value:
        raise UserError(f"{flag} needs a value")
    choices = _CHOICES.get(flag)
    if choices is not None and value not in choices:
        raise UserError(f"invalid {flag} {value}: expected one of {', '.join(choices)}")


def _explain_unknown_flag(name: str, value: str, known: Sequence[str]) -> str:
    text = f"unknown flag {name}; settings have the form name=value, see --help"
    setting = name.lstrip("-")
    meant = nearest_settings(setting, known) if len(setting) > 1 else []
    return f"{text}; did you mean {meant[0]}={value or 'VALUE'}?" if meant else text
