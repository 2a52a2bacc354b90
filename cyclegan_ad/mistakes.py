"""What was typed wrong, said in one line: Hydra's and OmegaConf's messages in the user's words."""

import re
from collections.abc import Collection, Sequence

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from cyclegan_ad.errors import UserError

# How Hydra words two mistakes for which it has no exception class.
_NOT_AN_OPTION = "Config group override must be"
_NO_LAUNCHER = "Unknown plugin class : "

# Experiments of the paper that train nothing: programs of their own.
_NO_SWEEPS = ("experiment/table1", "experiment/batch_sum_artifact")


# Hydra's options that take no value.
_FLAGS = (
    "-m",
    "--multirun",
    "--run",
    "-r",
    "--resolve",
    "-h",
    "--help",
    "--hydra-help",
    "--version",
)
_FLAGS_WITH_VALUE = (
    "--cfg",
    "--package",
    "--config-path",
    "--config-name",
    "--config-dir",
    "--experimental-rerun",
    "--info",
    "--shell-completion",
)
# Ours in place of Hydra's own launchers.
_OURS = {
    "joblib": "local_parallel",
    "submitit_slurm": "slurm",
    "submitit_local": "slurm_local",
    "ray": "ray_cluster",
}


def flags_first(words: list[str]) -> list[str]:
    """Move flags in front, as Hydra takes none between settings: ``seed=0,1 -m trainer=cpu``.

    >>> flags_first(["dataset=screw", "-m", "seed=0,1"])
    ['-m', 'dataset=screw', 'seed=0,1']
    """
    return sorted(words, key=lambda word: word not in _FLAGS)


def check_words(words: Sequence[str], groups: Collection[str]) -> None:
    """Refuse words that Hydra would accept and no code would read.

    Args:
        words: What was typed behind the command.
        groups: Names of the groups of settings.

    Raises:
        UserError: For a setting added with ``+``, several options of a group in one job, or a flag
            that does not exist; for a launcher of Hydra's own where there is one of ours.
    """
    for word in words:
        name, _, value = word.partition("=")
        if name.startswith("--") and name not in (*_FLAGS, *_FLAGS_WITH_VALUE):
            raise UserError(
                f"there is no flag {name}; settings are given as name=value, see --help"
            )
        bare = name.lstrip("+")
        if bare != name and bare not in groups and not bare.startswith("hydra"):
            raise UserError(
                f"{word} adds a setting that no code reads; to change one, leave out the +: "
                f"{bare}={value}"
            )
        if name == "hydra/launcher" and value in _OURS:
            raise UserError(
                f"{word} does not tell which jobs fail; choose hydra/launcher={_OURS[value]}"
            )
        if name in groups and value.startswith("[") and value.endswith("]"):
            raise UserError(
                f"{word} is not possible: {name} takes one option; for a job with each, give "
                f"{name}={value.strip('[]')} -m"
            )


def is_mistake(error: Exception) -> bool:
    """Tell whether an error is the user's to mend; any other is a defect of the program."""
    if isinstance(error, UserError | HydraException | OmegaConfBaseException):
        return True
    return isinstance(error, ValueError | RuntimeError) and any(
        told in str(error) for told in (_NOT_AN_OPTION, _NO_LAUNCHER)
    )


def explain(error: Exception) -> UserError:
    """Say in one line what Hydra or OmegaConf found wrong."""
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
        return UserError(
            f"there is no setting {found[1]}; see --help for the settings, or --cfg job for all"
        )
    if found := re.search(r"In 'hydra/launcher/(\w+)': Could not|" + _NO_LAUNCHER, text):
        package = "hydra-ray-launcher" if found[1] == "ray_cluster" else "'cyclegan-ad[launchers]'"
        name = "this hydra/launcher" if found[1] is None else f"hydra/launcher={found[1]}"
        return UserError(f"{name} needs further packages: pip install {package}")
    if found := re.search(r"Could not find '([^']+)/([^'/]*)'", text):
        group, option = found.groups()
        if f"{group}/{option}" in _NO_SWEEPS:
            return UserError(
                f"{option} trains nothing; in a checkout, run python -m experiments.{option}"
            )
        options = error.options if isinstance(error, MissingConfigException) else None
        choices = ", ".join(sorted(options or []))
        return UserError(f"{group}={option} is not possible; choose one of {choices}")
    if _NOT_AN_OPTION in text:
        return UserError(
            "a group was given something else than one of its options, such as null; see --help"
        )
    if found := re.search(r"Ambiguous value for argument '([^']+)'", text):
        return UserError(f"{found[1]} has several values; add -m to run one job for each")
    if found := re.search(r"(?:Multiple values for |already at ')([\w.@/]+\w)", text):
        return UserError(f"{found[1]} has a value already; leave out the + before {found[1]}=...")
    if found := re.search(r"Missing mandatory value: (\S+)", text + cause):
        return UserError(f"{found[1]} is missing; give it as {found[1]}=VALUE")
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return UserError(f"{first} (see --help)")
