"""What was typed wrong, said in one line: Hydra's and OmegaConf's messages in the user's words."""

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from cyclegan_ad.cli.setting_names import nearest_option, nearest_settings
from cyclegan_ad.errors import UserError
from cyclegan_ad.settings import STRINGS

# How Hydra words two mistakes for which it has no exception class.
_NOT_AN_OPTION = "Config group override must be"
_NO_LAUNCHER = "Unknown plugin class : "

# Experiments of the paper that train nothing: programs of their own.
_NO_SWEEPS = ("experiment/table1", "experiment/batch_sum_artifact")

# Names of options, which bring further settings along.
_TOLD_BY_GROUP = ("method.name", "logger.kind")

# Ours in place of Hydra's own launchers.
_OURS = {
    "joblib": "local_parallel",
    "submitit_slurm": "slurm",
    "submitit_local": "slurm_local",
}


def spell_out(words: Sequence[str]) -> list[str]:
    """Write settings as Hydra reads them: ``seed=0..4`` as a range, a home folder in quotes.

    >>> spell_out(["seed=0..4", "dataset.root=~/photos", "runs=runs"])
    ['seed=range(0,5)', "dataset.root='~/photos'", 'runs=runs']
    """
    spelled = []
    for word in words:
        if found := re.fullmatch(r"seed=(\d{1,9})\.\.(\d{1,9})", word):
            first, last = map(int, found.groups())
            if first <= last:
                word = f"seed=range({first},{last + 1})"
        elif "'" not in word and '"' not in word:
            word = re.sub(r"(?<=[=,\[])(~[^,()\[\]{}=]*)", r"'\1'", word)
        spelled.append(word)
    return spelled


def check_words(
    words: Sequence[str], groups: Collection[str], known: Callable[[], Sequence[str]]
) -> None:
    """Refuse words that Hydra would accept and no code would read, or whose error misleads.

    Args:
        words: Settings as they were typed behind the command.
        groups: Names of the groups of settings.
        known: Gives the names of all settings of the command.

    Raises:
        UserError: For a setting added with ``+`` or removed with ``~``; for several options of a
            group in one job, a path in place of an option, or the name of an option alone; for a
            launcher of Hydra's own where there is one of ours.
    """
    for word in words:
        name, _, value = word.partition("=")
        if word.startswith("~") and not word.startswith("~hydra"):
            raise UserError(f"{word}: no setting can be left out; to change one give name=value")
        bare = name.lstrip("+")
        if bare != name and bare not in groups and not bare.startswith("hydra"):
            meant = nearest_settings(bare, known())
            if meant and bare not in known():
                raise UserError(
                    f"{word} adds a setting that no code reads; did you mean {' or '.join(meant)}?"
                )
            raise UserError(
                f"{word} adds a setting that no code reads; to change one, leave out the +: "
                f"{bare}={value}"
            )
        if name in _TOLD_BY_GROUP:
            group = name.partition(".")[0]
            raise UserError(
                f"{word} leaves the other settings of the group as they are; choose {group}={value}"
            )
        if name == "hydra/launcher" and value in _OURS:
            raise UserError(
                f"{word} does not tell which jobs fail; choose hydra/launcher={_OURS[value]}"
            )
        if name == "run_name" and re.fullmatch(r"\d[\d_]*", value) and str(int(value)) != value:
            raise UserError(
                f"{word} is read as the number {int(value)}; quote it: {name}=\\'{value}\\'"
            )
        if name not in groups:
            continue
        if value.startswith("{"):
            raise UserError(
                f"{word} is not possible: {name} takes one option; change a setting of it with "
                f"{name}.SETTING=VALUE"
            )
        if value.startswith("[") and value.endswith("]"):
            raise UserError(
                f"{word} is not possible: {name} takes one option; for a job with each, give "
                f"{name}={value.strip('[]')} -m"
            )
        if re.search(r"[/\\~$]", value):
            advice = f"; for a folder of images give dataset=folder dataset.root={value}"
            raise UserError(
                f"{word} is not possible: {name} takes the name of an option, not a path"
                + (advice if name == "dataset" else "")
            )


def is_mistake(error: Exception) -> bool:
    """Tell whether an error is the user's to mend; any other is a defect of the program."""
    if isinstance(error, UserError | HydraException | OmegaConfBaseException):
        return True
    return isinstance(error, ValueError | RuntimeError) and any(
        told in str(error) for told in (_NOT_AN_OPTION, _NO_LAUNCHER)
    )


def is_of_hydra(error: Exception, words: Sequence[str]) -> bool:
    """Tell whether an error before the first job comes from what was typed for Hydra.

    Args:
        error: Raised by Hydra's or OmegaConf's own code, or by what its settings lead to.
        words: Settings as they were typed.
    """
    if isinstance(error, BrokenPipeError):  # nobody reads the configuration to its end
        return False
    trace, package = error.__traceback__, ""
    while trace is not None:
        package = str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0]
        trace = trace.tb_next
    its_settings = any(word.lstrip("+").startswith("hydra") for word in words)
    return its_settings or package in ("hydra", "omegaconf")


def explain(error: Exception, known: Callable[[], Sequence[str]] = tuple) -> UserError:
    """Say in one line what Hydra or OmegaConf found wrong.

    Args:
        error: What was raised.
        known: Gives the names of all settings of the command, to find the one that was meant.
    """
    if isinstance(error, UserError):
        return error
    text = str(error)
    cause = str(error.__cause__) if error.__cause__ is not None else ""
    if isinstance(error, OverrideParseException):
        return UserError(
            f"cannot read {error.override!r}; settings are given as name=value, and a value with "
            "blanks or signs in it needs quotes: name=\\'value\\'"
        )
    if found := re.search(r"Could not override '(experiment|column)'", text):
        return UserError(f"{found[1]} is not set before; write +{found[1]}=NAME")
    if found := re.search(r"Could not override '([^']+)'", text):
        return UserError(_no_setting(found[1], known()))
    if found := re.search(r"In 'hydra/launcher/(\w+)': Could not|" + _NO_LAUNCHER, text):
        name = "this hydra/launcher" if found[1] is None else f"hydra/launcher={found[1]}"
        return UserError(f"{name} needs further packages: pip install 'cyclegan-ad[launchers]'")
    if found := re.search(r"Could not find '([^']+)/([^'/]*)'", text):
        options = error.options if isinstance(error, MissingConfigException) else None
        return UserError(_no_option(found[1], found[2], sorted(options or [])))
    if _NOT_AN_OPTION in text:
        return UserError(
            "a group was given something else than one of its options, such as null; see --help"
        )
    if found := re.search(r"(?s)Ambiguous value for argument '(([^=]+)=(.*?))'(?:\n|$)", text):
        return UserError(_several_values(*found.groups()))
    if found := re.search(r"Sweep parameters '(.+)' requires --multirun", text):
        return UserError(f"{found[1]} has several values; add -m to run one job for each")
    if found := re.search(r"(?:Multiple values for |already at ')([\w.@/]+\w)", text):
        return UserError(f"{found[1]} has a value already; leave out the + before {found[1]}=...")
    where = getattr(error, "full_key", None) or getattr(error.__cause__, "full_key", None)
    if found := re.search(r"Missing mandatory value: (\S+)", text + cause):
        name = where or found[1]
        return UserError(f"{name} is missing; give it as {name}=VALUE")
    if where and (found := re.search(r"Interpolation key '(.+?)' not found", text)):
        return UserError(
            f"{where} refers to ${{{found[1]}}}, which is no setting; what is meant as it stands "
            f"needs a backslash: '{where}=\\${{{found[1]}}}'"
        )
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return UserError(f"{first} (see --help)")


def _no_setting(name: str, known: Sequence[str]) -> str:
    if name in known:
        group = name.partition(".")[0]
        return f"there is no setting {name} with this {group}: another {group}= has it; see --help"
    meant = nearest_settings(name, known)
    advice = f"did you mean {' or '.join(meant)}? See" if meant else "see"
    return f"there is no setting {name}; {advice} --help for the settings, or --cfg job for all"


def _no_option(group: str, option: str, options: Sequence[str]) -> str:
    if f"{group}/{option}" in _NO_SWEEPS:
        return f"{option} trains nothing; in a checkout, run python -m experiments.{option}"
    text = f"{group}={option} is not possible; "
    if group == "dataset" and option and Path(option).is_dir():
        text += f"for this folder of images give dataset=folder dataset.root={option}; else "
    elif meant := nearest_option(option, options):
        return f"{text}did you mean {meant}? Choose one of {', '.join(options)}"
    return f"{text}choose one of {', '.join(options)}"


def _several_values(word: str, name: str, value: str) -> str:
    if name in STRINGS:
        return (
            f"{word}: a value with a comma needs quotes: {name}=\\'...\\', "
            f"with blanks \"{name}='{value}'\""
        )
    return f"{word} has several values; add -m to run one job for each"
