"""What the commands share: composing their settings with Hydra, and errors of one line.

Nothing slow is imported here, so that ``--help`` and configuration errors answer at once.
"""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cyclegan_ad.errors import UserError
from cyclegan_ad.settings import residual_blocks_at

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


def conf_dir() -> Path:
    """Folder of the configuration: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def run_command(task: Callable[[dict[str, Any]], object], config_name: str) -> None:
    """Run a command: compose its settings from ``sys.argv`` and call the task for each job.

    In a sweep (``-m``) a failing job is reported and the others go on. Leaves with exit code 1 if
    any job failed.

    Args:
        task: What to do with the settings of one job, resolved, as nested dictionaries.
        config_name: Name of the command's file under ``conf``.
    """
    failed: list[UserError] = []

    def job(cfg: DictConfig) -> None:
        try:
            task(_resolve(cfg))
        except (UserError, OmegaConfBaseException) as error:
            failed.append(explain(error))
            _print_error(failed[-1])

    register_resolvers()
    sys.argv[1:] = _flags_first(sys.argv[1:])
    try:
        check_words(sys.argv[1:])
    except UserError as error:
        _print_error(error)
        sys.exit(1)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors through, to be told in one line
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=config_name)(job)()
    except (HydraException, OmegaConfBaseException, UserError) as error:
        _print_error(explain(error))
        sys.exit(1)
    except ValueError as error:
        if "Config group override must be" not in str(error):
            raise
        _print_error(explain(error))
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; type the same command again to go on", file=sys.stderr)
        sys.exit(130)
    if failed:
        sys.exit(1)


def check_words(words: list[str]) -> None:
    """Refuse words that Hydra would accept and no code would read.

    Raises:
        UserError: For a setting added with ``+``, several options of a group in one job, or a flag
            that does not exist.
    """
    groups = [path.name for path in conf_dir().iterdir() if path.is_dir()]
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
        if name in groups and value.startswith("[") and value.endswith("]"):
            raise UserError(
                f"{word} is not possible: {name} takes one option; for a job with each, give "
                f"{name}={value.strip('[]')} -m"
            )


def register_resolvers() -> None:
    """Make ``${residual_blocks_at:...}`` known, which ``conf/method/cyclegan.yaml`` uses."""
    OmegaConf.register_new_resolver("residual_blocks_at", _residual_blocks_at, replace=True)


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
    if found := re.search(r"Could not override '([^']+)'", text):
        return UserError(
            f"there is no setting {found[1]}; see --help for the settings, or --cfg job for all"
        )
    if found := re.search(r"Could not find '([^']+)/([^'/]*)'", text):
        group, option = found.groups()
        options = error.options if isinstance(error, MissingConfigException) else None
        choices = ", ".join(sorted(options or []))
        return UserError(f"{group}={option} is not possible; choose one of {choices}")
    if "Config group override must be" in text:
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


def _flags_first(words: list[str]) -> list[str]:
    """Move flags in front, as Hydra takes none between settings: ``seed=0,1 -m trainer=cpu``.

    >>> _flags_first(["dataset=screw", "-m", "seed=0,1"])
    ['-m', 'dataset=screw', 'seed=0,1']
    """
    return sorted(words, key=lambda word: word not in _FLAGS)


def _residual_blocks_at(resolution: Any) -> int | None:
    # A resolution that is no number is refused by check_settings, by its own name.
    return residual_blocks_at(resolution) if isinstance(resolution, int) else None


def _resolve(cfg: DictConfig) -> dict[str, Any]:
    settings = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert isinstance(settings, dict)
    return {str(key): value for key, value in settings.items()}


def _print_error(error: UserError) -> None:
    print(f"error: {error}", file=sys.stderr, flush=True)
