"""What the commands share: composing their settings with Hydra, and errors of one line.

Nothing slow is imported here, so that ``--help`` and configuration errors answer at once.
"""

import os
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cyclegan_ad.errors import UserError
from cyclegan_ad.mistakes import explain, is_mistake
from cyclegan_ad.resources import enter_sweep, gpus_per_job, jobs_at_once, share_threads
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
# Ours in place of Hydra's own launchers.
_OURS = {
    "joblib": "local_parallel",
    "submitit_slurm": "slurm",
    "submitit_local": "slurm_local",
    "ray": "ray_cluster",
}


def conf_dir() -> Path:
    """Folder of the configuration: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def run_command(task: Callable[[dict[str, Any]], object], config_name: str) -> None:
    """Run a command: compose its settings from ``sys.argv`` and call the task for each job.

    In a sweep (``-m``) a failing job is reported and the others go on, wherever the launcher lets
    them run. Leaves with exit code 1 if any job failed.

    Args:
        task: What to do with the settings of one job, resolved, as nested dictionaries.
        config_name: Name of the command's file under ``conf``.
    """
    job = Job(task)
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
    except Exception as error:
        if not is_mistake(error):
            raise
        _print_error(explain(error))
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; type the same command again to go on", file=sys.stderr)
        sys.exit(130)
    if job.failures:
        sys.exit(1)


class Job:
    """One job of a command as Hydra calls it, in this process or, pickled, in another one.

    Args:
        task: What to do with the settings of a job.
    """

    def __init__(self, task: Callable[[dict[str, Any]], object]) -> None:
        self.task = task
        self.failures = 0
        self.directory = os.getcwd()
        self.home = _this_process()

    def __call__(self, cfg: DictConfig) -> str | None:
        """Run the task.

        Returns:
            In the command's own process None: what went wrong is told and counted. In another
            process what went wrong, for the launcher to tell, or None.
        """
        away = _this_process() != self.home
        if away:
            enter_sweep()
            register_resolvers()
        try:
            if away:
                self._settle()
            settings = _resolve(cfg)
            if away:
                share_threads(settings)
            self.task(settings)
        except (UserError, OmegaConfBaseException) as error:
            message = str(explain(error))
            if not away:
                self.fail(message)
                return None
            print(f"error: {message}", file=sys.stderr, flush=True)
            return message
        except Exception as error:
            if not away:
                raise
            traceback.print_exc()
            first = next(iter(str(error).splitlines()), "")
            return f"{type(error).__name__}: {first}, a defect whose traceback is in the output"
        return None

    def fail(self, message: str) -> None:
        """Tell and count a failed job."""
        self.failures += 1
        _print_error(UserError(message))

    def _settle(self) -> None:
        # Paths such as runs=runs are meant from where the command was typed.
        try:
            os.chdir(self.directory)
        except OSError as error:
            raise UserError(
                f"{self.directory}, where the command was typed, is not on {socket.gethostname()} "
                f"({error.strerror}); type it in a folder that all machines share"
            ) from error


def check_words(words: list[str]) -> None:
    """Refuse words that Hydra would accept and no code would read.

    Raises:
        UserError: For a setting added with ``+``, several options of a group in one job, or a flag
            that does not exist; for a launcher of Hydra's own where there is one of ours.
    """
    groups = [path.name for path in conf_dir().iterdir() if path.is_dir() and path.name != "hydra"]
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


def register_resolvers() -> None:
    """Make known what files under ``conf`` compute with, such as ``${residual_blocks_at:...}``."""
    for name, resolver in (
        ("residual_blocks_at", _residual_blocks_at),
        ("jobs_at_once", jobs_at_once),
        ("gpus_per_job", gpus_per_job),
        ("or_else", _or_else),
    ):
        OmegaConf.register_new_resolver(name, resolver, replace=True)


def _or_else(value: Any, default: Any) -> Any:
    return default if value is None else value


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


def _this_process() -> tuple[str, int]:
    return socket.gethostname(), os.getpid()


def _print_error(error: UserError) -> None:
    print(f"error: {error}", file=sys.stderr, flush=True)
