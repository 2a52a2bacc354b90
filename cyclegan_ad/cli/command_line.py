"""What the commands share: composing their settings with Hydra, and errors of one line.

Nothing slow is imported here, so that ``--help`` and configuration errors answer at once.
"""

import functools
import gc
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hydra
import yaml
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from cyclegan_ad.cli.flags import check_flags, split_flags
from cyclegan_ad.cli.hydra_errors import check_words, explain, is_mistake, is_of_hydra, spell_out
from cyclegan_ad.cli.setting_names import setting_names
from cyclegan_ad.composing import conf_dir, register_resolvers, resolve
from cyclegan_ad.endings import ends_in_words
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import telling_of_files
from cyclegan_ad.hardware import enter_sweep, share_threads
from cyclegan_ad.text import never_fail_to_print, printable


@ends_in_words
def run_command(task: Callable[[Any], object], config_name: str) -> None:
    """Run a command: compose its settings from ``sys.argv`` and call the task for each job.

    In a sweep (``-m``) a failing job is reported and the others go on, wherever the launcher lets
    them run. Leaves with exit code 1 if any job failed. Where the locale is not UTF-8, the process
    starts again in Python's UTF-8 mode.

    Args:
        task: What to do with the settings of one job, checked.
        config_name: Name of the command's file under ``conf``.
    """
    _enter_utf8_mode()
    never_fail_to_print()
    register_resolvers()
    known = functools.cache(functools.partial(setting_names, conf_dir(), config_name))
    try:
        flags, words = split_flags(sys.argv[1:], known)
        if "--help" in flags:
            print(help_text(config_name))
            return
        check_flags(flags, words)
        if "--shell-completion" not in flags:
            check_words(words, _groups(), known)
        job = Job(task, config_name)
    except UserError as error:
        _print_error(error)
        sys.exit(1)
    sys.argv[1:] = [*flags, *spell_out(words)]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors through, to be told in one line
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=config_name)(job)()
    except Exception as error:
        if not (is_mistake(error) or (not job.began and is_of_hydra(error, words))):
            raise
        _print_error(explain(error, known))
        sys.exit(1)
    if job.failures:
        sys.exit(1)


def _enter_utf8_mode() -> None:
    """Start this process again in UTF-8 mode unless file names are read as UTF-8.

    Read in another encoding, the names of images have another order, so the split would differ.
    What the terminal shows stays in the encoding of the locale.
    """
    if sys.getfilesystemencoding().lower() == "utf-8" or sys.flags.utf8_mode:
        return
    os.environ.setdefault("PYTHONIOENCODING", f"{sys.stdout.encoding}:backslashreplace")
    os.environ["PYTHONUTF8"] = "1"  # for the processes that this one starts
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


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

    Raises:
        UserError: If there is too little memory for them.
    """
    if "pytorch_lightning" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    except (MemoryError, ImportError) as error:
        if isinstance(error, ImportError) and "failed to map segment" not in str(error):
            raise
        raise UserError(
            "the memory does not suffice to load PyTorch: end other programs, or raise the limit "
            "(ulimit -v)"
        ) from error
    finally:
        gc.freeze()
        gc.enable()


class Job:
    """One job of a command as Hydra calls it, in this process or, pickled, in another one.

    Args:
        task: What to do with the settings of a job.
        config_name: Name of the command's file under ``conf``.

    Attributes:
        labels: Of the jobs of a sweep, one a job.
        failures: Numbers of the jobs that failed, from 0.
        began: Whether a job was started in this process.
    """

    def __init__(self, task: Callable[[Any], object], config_name: str) -> None:
        self.task, self.config_name = task, config_name
        self.labels: Sequence[str] = ()
        self.failures: list[int] = []
        self.began = False
        self._count = 0
        self._told: set[str] = set()
        try:
            self.directory = os.getcwd()
        except OSError as error:
            raise UserError(
                f"the working directory is gone ({error.strerror}); change to another folder"
            ) from error
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
        self.began = True
        number, self._count = self._count, self._count + 1
        try:
            self._settle()
            from cyclegan_ad.settings import Settings, read_command  # --help need not wait for it

            settings = read_command(self.config_name, resolve(cfg))
            if away:
                ddp = isinstance(settings, Settings) and settings.trainer.strategy == "ddp"
                share_threads(settings.trainer.devices if ddp else 1)  # type: ignore[attr-defined]
            with telling_of_files():
                self.task(settings)
        except (UserError, OmegaConfBaseException) as error:
            message = str(explain(error))
            if not away:
                self.fail(message, number)
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

    def fail(self, message: str, number: int = 0, label: str = "", where: str = "") -> None:
        """Count a failed job and tell why; of several with one reason, the reason once.

        Args:
            message: What went wrong, in a line.
            number: Which job of a sweep, from 0.
            label: How to call it; empty: only where the reason is left out.
            where: Where its output is, to be added.
        """
        self.failures.append(number)
        if message in self._told and len(self.labels) > number:
            label, message = label or self.labels[number], "the same error"
        self._told.add(message)
        _print_error(UserError((f"{label}: " if label else "") + message + where))

    def _settle(self) -> None:
        # Paths such as runs=runs are meant from where the command was typed, also where Hydra
        # changes the directory of a job (hydra.job.chdir=true).
        try:
            os.chdir(self.directory)
        except OSError as error:
            raise UserError(
                f"{self.directory}, where the command was typed, is not on {socket.gethostname()} "
                f"({error.strerror}); type it in a folder that all machines share"
            ) from error


def _this_process() -> tuple[str, int]:
    return socket.gethostname(), os.getpid()


def _print_error(error: UserError) -> None:
    print(f"error: {printable(str(error))}", file=sys.stderr, flush=True)
