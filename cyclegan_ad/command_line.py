"""What the commands share: composing their settings with Hydra, and errors of one line.

Nothing slow is imported here, so that ``--help`` and configuration errors answer at once.
"""

import gc
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cyclegan_ad.endings import ends_in_words
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import telling_of_files
from cyclegan_ad.mistakes import check_words, explain, flags_first, is_mistake
from cyclegan_ad.resources import enter_sweep, gpus_per_job, jobs_at_once, share_threads
from cyclegan_ad.settings import residual_blocks_at
from cyclegan_ad.text import never_fail_to_print, printable


def conf_dir() -> Path:
    """Folder of the configuration: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


@ends_in_words
def run_command(task: Callable[[dict[str, Any]], object], config_name: str) -> None:
    """Run a command: compose its settings from ``sys.argv`` and call the task for each job.

    In a sweep (``-m``) a failing job is reported and the others go on, wherever the launcher lets
    them run. Leaves with exit code 1 if any job failed.

    Args:
        task: What to do with the settings of one job, resolved, as nested dictionaries.
        config_name: Name of the command's file under ``conf``.
    """
    job = Job(task)
    never_fail_to_print()
    register_resolvers()
    sys.argv[1:] = flags_first(sys.argv[1:])
    try:
        check_words(sys.argv[1:], _groups())
    except UserError as error:
        _print_error(error)
        sys.exit(1)
    if not {"-h", "--help"}.isdisjoint(sys.argv[1:]):
        print(help_text(config_name))
        return
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


def _groups() -> list[str]:
    return [path.name for path in conf_dir().iterdir() if path.is_dir() and path.name != "hydra"]


def help_text(config_name: str) -> str:
    """What ``--help`` prints. Hydra prints the same, after a search of all groups for nothing.

    Args:
        config_name: Name of the command's file under ``conf``.
    """
    path = conf_dir() / f"{config_name}.yaml"
    template = yaml.safe_load(path.read_text(encoding="utf-8"))["hydra"]["help"]["template"]
    return str(template)


@contextmanager
def importing() -> Iterator[None]:
    """Import torch and Lightning within the block, unsearched by the garbage collector.

    What they make lives as long as the process. Searching it for garbage takes a quarter of the
    time of the import, and again at the end of the process.
    """
    if "pytorch_lightning" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


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
            never_fail_to_print()
            register_resolvers()
        try:
            if away:
                self._settle()
            settings = _resolve(cfg)
            if away:
                share_threads(settings)
            with telling_of_files():
                self.task(settings)
        except (UserError, OmegaConfBaseException) as error:
            message = str(explain(error))
            if not away:
                self.fail(message)
                return None
            _print_error(UserError(message))
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
    print(f"error: {printable(str(error))}", file=sys.stderr, flush=True)
