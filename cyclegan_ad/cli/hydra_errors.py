"""One-line messages for errors on the command line, in place of those of Hydra and OmegaConf."""

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from cyclegan_ad.cli.setting_names import nearest_option, nearest_settings
from cyclegan_ad.errors import UserError
from cyclegan_ad.settings.commands import STRINGS
from cyclegan_ad.settings.dataset import MVTEC_CATEGORIES

# Messages of two errors for which Hydra has no exception class.
_NOT_AN_OPTION = "Config group override must be"
_NO_LAUNCHER = "Unknown plugin class : "

# Experiments of the paper that train nothing and are separate programs.
_SEPARATE_PROGRAMS = ("experiment/table1", "experiment/batch_sum_artifact")

# Settings that are set by choosing an option of their group.
_SET_BY_GROUP = ("method.name", "logger.kind")

# Launchers of this package that replace those of Hydra.
_REPLACEMENTS = {
    "joblib": "local_parallel",
    "submitit_slurm": "slurm",
    "submitit_local": "slurm_local",
}


def expand_shorthand(words: Sequence[str]) -> list[str]:
    """Convert settings to the syntax of Hydra: ``seed=0..4`` as a range, ``~`` paths in quotes.

    ``hydra/sweeper=optuna`` chooses the search of this package, which is based on that plugin.

    >>> expand_shorthand(["seed=0..4", "dataset.root=~/photos", "runs=runs"])
    ['seed=range(0,5)', "dataset.root='~/photos'", 'runs=runs']
    """
    spelled = []
    for word in words:
        if word == "hydra/sweeper=optuna":
            word = "hydra/sweeper=search"
        elif found := re.fullmatch(r"seed=(\d{1,9})\.\.(\d{1,9})", word):
            first, last = map(int, found.groups())
            if first <= last:
                word = f"seed=range({first},{last + 1})"
        elif "'" not in word and '"' not in word:
            word = re.sub(r"(?<=[=,\[])(~[^,()\[\]{}=]*)(?=[,)\]}]|$)", r"'\1'", word)
        spelled.append(word)
    return spelled


def name_decision(words: Sequence[str], known: Callable[[], Sequence[str]]) -> list[str]:
    """Write ``score=``, ``protocol=`` and ``threshold=`` of predict, export and inspector in full.

    Hydra would take ``protocol=paper`` for the option of a group that these commands do not have.
    """
    short = re.compile(r"(score|protocol|threshold)=")
    if not any(map(short.match, words)) or "decide_by.protocol" not in known():
        return list(words)
    return [f"decide_by.{word}" if short.match(word) else word for word in words]


def check_overrides(
    words: Sequence[str], groups: Collection[str], known: Callable[[], Sequence[str]]
) -> None:
    """Reject overrides that Hydra would accept silently or with a misleading error.

    Raises:
        UserError: For a setting added with ``+`` or removed with ``~``; for several options of a
            group in one job, a path in place of an option, or the name of an option alone; for a
            launcher of Hydra that this package replaces.
    """
    for word in words:
        name, _, value = word.partition("=")
        if word.startswith("~") and not word.startswith("~hydra"):
            raise UserError(f"{word}: settings cannot be removed; to change one use name=value")
        bare = name.lstrip("+")
        if bare != name and bare not in groups and not bare.startswith("hydra"):
            meant = nearest_settings(bare, known())
            if meant and bare not in known():
                raise UserError(f"{word}: unknown setting; did you mean {' or '.join(meant)}?")
            raise UserError(
                f"{word}: unknown setting; to override an existing one, drop the +: {bare}={value}"
            )
        if name in _SET_BY_GROUP:
            group = name.partition(".")[0]
            raise UserError(
                f"{word} does not change the other settings of the group; use {group}={value}"
            )
        if name == "hydra/launcher" and value in _REPLACEMENTS:
            raise UserError(
                f"{word} does not report which jobs failed; use "
                f"hydra/launcher={_REPLACEMENTS[value]}"
            )
        if name == "run_name" and re.fullmatch(r"\d[\d_]*", value) and str(int(value)) != value:
            raise UserError(
                f"{word} is read as the number {int(value)}; quote it: {quote(name, value)}"
            )
        if name not in groups:
            continue
        if value.startswith("{"):
            raise UserError(
                f"invalid {word}: expected the name of one option; to change a setting use "
                f"{name}.SETTING=VALUE"
            )
        if value.startswith("[") and value.endswith("]"):
            raise UserError(
                f"invalid {word}: expected the name of one option; to run one job for each use "
                f"{name}={value.strip('[]')} -m"
            )
        if re.search(r"[/\\~$]", value):
            advice = f"; for a folder of images use dataset=folder dataset.root={value}"
            raise UserError(
                f"invalid {word}: expected the name of an option, not a path"
                + (advice if name == "dataset" else "")
            )


def is_user_error(error: Exception) -> bool:
    """Whether an error is one that the user can fix; any other is a bug."""
    if isinstance(error, UserError | HydraException | OmegaConfBaseException):
        return True
    return isinstance(error, ValueError | RuntimeError) and any(
        text in str(error) for text in (_NOT_AN_OPTION, _NO_LAUNCHER)
    )


def is_hydra_error(error: Exception, words: Sequence[str]) -> bool:
    """Whether an error before the first job was caused by arguments for Hydra."""
    if isinstance(error, BrokenPipeError):  # the reader of --cfg closed the pipe
        return False
    trace, package = error.__traceback__, ""
    while trace is not None:
        package = str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0]
        trace = trace.tb_next
    has_hydra_settings = any(word.lstrip("+").startswith("hydra") for word in words)
    return has_hydra_settings or package in ("hydra", "omegaconf")


def explain(error: Exception, known: Callable[[], Sequence[str]] = tuple) -> UserError:
    """Turn an error of Hydra or OmegaConf into a ``UserError`` of one line."""
    if isinstance(error, UserError):
        return error
    text = str(error)
    cause = str(error.__cause__) if error.__cause__ is not None else ""
    if isinstance(error, OverrideParseException):
        return UserError(_explain_syntax(str(error.override)))
    if found := re.search(r"Could not override '(experiment|column|row|ablation|preset)'", text):
        return UserError(f"{found[1]} has no default; use +{found[1]}=NAME")
    if found := re.search(r"Could not override '([^']+)'", text):
        return UserError(_explain_unknown_setting(found[1], known()))
    if "SearchingSweeper" in text or "In 'hydra/sweeper/search': Could not" in text:
        return UserError(
            "hydra/sweeper=optuna needs optional packages: pip install 'cyclegan-ad[launchers]'"
        )
    if found := re.search(r"In 'hydra/launcher/(\w+)': Could not|" + _NO_LAUNCHER, text):
        name = "this hydra/launcher" if found[1] is None else f"hydra/launcher={found[1]}"
        return UserError(f"{name} needs optional packages: pip install 'cyclegan-ad[launchers]'")
    if found := re.search(r"Could not find '([^']+)/([^'/]*)'", text):
        options = error.options if isinstance(error, MissingConfigException) else None
        return UserError(_explain_unknown_option(found[1], found[2], sorted(options or [])))
    if _NOT_AN_OPTION in text:
        return UserError(
            "invalid value of a group: expected the name of one of its options, see --help"
        )
    if found := re.search(r"(?s)Ambiguous value for argument '(([^=]+)=(.*?))'(?:\n|$)", text):
        return UserError(_explain_several_values(*found.groups()))
    if found := re.search(r"Sweep parameters '(.+)' requires --multirun", text):
        return UserError(f"{found[1]} has several values; add -m to run one job for each")
    if found := re.search(r"(?:Multiple values for |already at ')([\w.@/]+\w)", text):
        return UserError(f"{found[1]} already has a value; drop the + before {found[1]}=...")
    where = getattr(error, "full_key", None) or getattr(error.__cause__, "full_key", None)
    if found := re.search(r"Missing mandatory value: (\S+)", text + cause):
        name = where or found[1]
        return UserError(f"missing setting {name}: add {name}=VALUE")
    if where and (found := re.search(r"Interpolation key '(.+?)' not found", text)):
        return UserError(
            f"{where} refers to ${{{found[1]}}}, which is not a setting; to use the text itself, "
            f"escape it with a backslash: '{where}=\\${{{found[1]}}}'"
        )
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return UserError(f"{first} (see --help)")


def quote(name: str, value: str) -> str:
    r"""Return a setting as it is typed in a shell, with the quotes of Hydra inside its own.

    >>> print(quote("images", "new (1)"), quote("images", "Ann's"))
    "images='new (1)'" "images='Ann\'s'"
    """
    word = f"{name}={QuotedString(value, Quote.single).with_quotes()}"
    # Within double quotes a shell keeps a backslash before any other character.
    word = re.sub(r'["$`]|\\(?=[\\"$`])', r"\\\g<0>", word)
    # An interactive shell would insert an earlier command.
    return '"{}"'.format(word.replace("!", "\"'!'\""))


def _explain_syntax(word: str) -> str:
    name, _, value = word.partition("=")
    # Text in brackets or quotes is more likely a list or a quote that does not end.
    known = name in STRINGS and not value.startswith(("[", "{", "'", '"'))
    advice = quote(name, value) if known else quote("name", "value")
    return (
        f"cannot parse {word!r}; settings have the form name=value, and a value with spaces or "
        f"special characters needs quotes: {advice}"
    )


def _explain_unknown_setting(name: str, known: Sequence[str]) -> str:
    if name in known:
        group = name.partition(".")[0]
        return f"unknown setting {name}: only another {group} has it; see --help"
    meant = nearest_settings(name, known)
    advice = f"did you mean {' or '.join(meant)}? See" if meant else "see"
    return f"unknown setting {name}; {advice} --help for the settings, or --cfg job for all"


def _explain_unknown_option(group: str, option: str, options: Sequence[str]) -> str:
    if f"{group}/{option}" in _SEPARATE_PROGRAMS:
        return f"{option} trains nothing; in a checkout, run python -m experiments.{option}"
    text = f"invalid {group}={option}: expected one of {', '.join(options)}"
    if group == "dataset" and option and Path(option).is_dir():
        return f"{text}; for this folder of images use dataset=folder dataset.root={option}"
    if group == "dataset" and option.lower() in MVTEC_CATEGORIES:
        return f"{text}; use dataset=mvtec dataset.category={option.lower()}"
    meant = nearest_option(option, options)
    return text if meant is None else f"{text}; did you mean {group}={meant}?"


def _explain_several_values(word: str, name: str, value: str) -> str:
    if name in STRINGS:
        return f"{word}: a value with a comma needs quotes: {quote(name, value)}"
    return f"{word} has several values; add -m to run one job for each"
