"""Entry point of all commands: compose the settings with Hydra and report errors in one line.

Nothing slow is imported here, so that ``--help`` and configuration errors appear at once.
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
from cyclegan_ad.cli.hydra_errors import (
    check_overrides,
    expand_shorthand,
    explain,
    is_hydra_error,
    is_user_error,
    name_decision,
)
from cyclegan_ad.cli.setting_names import setting_names
from cyclegan_ad.endings import exit_cleanly
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import explain_file_errors
from cyclegan_ad.hardware import enter_sweep, share_threads
from cyclegan_ad.settings.commands import COMMANDS
from cyclegan_ad.settings.composing import conf_dir, register_resolvers, resolve
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.settings.types import read_settings
from cyclegan_ad.text import escape_unprintable_output, printable


@exit_cleanly
def run_command(task: Callable[[Any], object], config_name: str) -> None:
    """Run a command: compose its settings from ``sys.argv`` and call the task for each job.

    In a sweep (``-m``) a failed job is reported and the others continue. The exit status is 1 if
    any job failed, else the number that the task returned, if any. If the locale is not UTF-8, the
    process is restarted in the UTF-8 mode of Python.
    """
    _enter_utf8_mode()
    escape_unprintable_output()
    register_resolvers()
    known = functools.cache(functools.partial(setting_names, conf_dir(), config_name))
    try:
        flags, words = split_flags(sys.argv[1:], known)
        if "--help" in flags:
            print(help_text(config_name))
            return
        check_flags(flags, words)
        words = name_decision(words, known)
        if "--shell-completion" not in flags:
            check_overrides(words, _groups(), known)
        job = Job(task, config_name)
    except UserError as error:
        _print_error(error)
        sys.exit(1)
    sys.argv[1:] = [*flags, *expand_shorthand(words)]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # raise errors, which are reported in one line
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=config_name)(job)()
    except Exception as error:
        if not (is_user_error(error) or (not job.began and is_hydra_error(error, words))):
            raise
        _print_error(explain(error, known))
        sys.exit(1)
    if job.failures or job.status:
        sys.exit(1 if job.failures else job.status)


def _enter_utf8_mode() -> None:
    """Restart this process in UTF-8 mode unless file names are decoded as UTF-8.

    In another encoding file names sort differently, which would change the split. The output
    keeps the encoding of the locale.
    """
    if sys.getfilesystemencoding().lower() == "utf-8" or sys.flags.utf8_mode:
        return
    os.environ.setdefault("PYTHONIOENCODING", f"{sys.stdout.encoding}:backslashreplace")
    os.environ["PYTHONUTF8"] = "1"  # for child processes
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def _groups() -> list[str]:
    return [path.name for path in conf_dir().iterdir() if path.is_dir() and path.name != "hydra"]


def help_text(config_name: str) -> str:
    """Return the output of ``--help``, which Hydra prints only after a slow search of groups."""
    path = conf_dir() / f"{config_name}.yaml"
    template = yaml.safe_load(path.read_text(encoding="utf-8"))["hydra"]["help"]["template"]
    return str(template)


@contextmanager
def importing() -> Iterator[None]:
    """Disable the garbage collector while torch and Lightning are imported in the block.

    Their objects live as long as the process. Collecting among them takes a quarter of the time
    of the import, and again at the end of the process.

    Raises:
        UserError: If there is too little memory for the import.
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
            "not enough memory to load PyTorch; close other programs or raise the limit (ulimit -v)"
        ) from error
    finally:
        gc.freeze()
        gc.enable()


class Job:
    """Callable that Hydra runs for each job, in this process or, pickled, in another one.

    Attributes:
        labels: One label per job of a sweep.
        failures: Numbers of the failed jobs, from 0.
        status: Largest exit status that a job of this process returned as a number.
        began: Whether a job was started in this process.
        objective: Computes what a search maximises, from the settings of a finished job; None in
            other sweeps.
    """

    def __init__(self, task: Callable[[Any], object], config_name: str) -> None:
        self.task, self.config_name = task, config_name
        self.labels: Sequence[str] = ()
        self.failures: list[int] = []
        self.status = 0
        self.began = False
        self.objective: Callable[[Any], float] | None = None
        self._count = 0
        self._reported: set[str] = set()
        try:
            self.directory = os.getcwd()
        except OSError as error:
            raise UserError(
                f"cannot read the working directory ({error.strerror}); change to another folder"
            ) from error
        self.home = _this_process()

    def __call__(self, cfg: DictConfig) -> str | float | None:
        """Run the task.

        Returns:
            The objective, in a search. After an error, in another process, its message for the
            launcher to report; in the process of the command None, as the error is reported and
            counted here.
        """
        in_worker = _this_process() != self.home
        if in_worker:
            enter_sweep()
            escape_unprintable_output()
            register_resolvers()
        self.began = True
        number, self._count = self._count, self._count + 1
        try:
            self._restore_directory()
            settings = read_settings(COMMANDS[self.config_name], resolve(cfg))
            if in_worker:
                ddp = isinstance(settings, Settings) and settings.trainer.strategy == "ddp"
                share_threads(settings.trainer.devices if ddp else 1)  # type: ignore[attr-defined]
            with explain_file_errors():
                returned = self.task(settings)
                if self.objective is not None:
                    return self.objective(settings)
            if isinstance(returned, int):
                self.status = max(self.status, returned)
        except (UserError, OmegaConfBaseException) as error:
            message = str(explain(error))
            if not in_worker:
                self.fail(message, number)
                return None
            _print_error(UserError(message))
            return message
        except Exception as error:
            if not in_worker:
                raise
            traceback.print_exc()
            first = next(iter(str(error).splitlines()), "")
            return f"{type(error).__name__}: {first} (a bug; the traceback is in the output)"
        return None

    def fail(self, message: str, number: int = 0, label: str = "", where: str = "") -> None:
        """Count and report a failed job; a message that several jobs share is printed once.

        Args:
            message: Error message, one line.
            number: Number of the job in the sweep, from 0.
            label: Label of the job; empty: shown only for a repeated error.
            where: Text appended to the message, such as the path of the output.
        """
        self.failures.append(number)
        if message in self._reported and len(self.labels) > number:
            label, message = label or self.labels[number], "the same error"
        self._reported.add(message)
        _print_error(UserError((f"{label}: " if label else "") + message + where))

    def _restore_directory(self) -> None:
        # Relative paths such as runs=runs refer to the directory of the command, also if Hydra
        # changes the working directory of a job (hydra.job.chdir=true).
        try:
            os.chdir(self.directory)
        except OSError as error:
            raise UserError(
                f"the working directory {self.directory} does not exist on {socket.gethostname()} "
                f"({error.strerror}); run the command in a folder that all machines share"
            ) from error


def _this_process() -> tuple[str, int]:
    return socket.gethostname(), os.getpid()


def _print_error(error: UserError) -> None:
    print(f"error: {printable(str(error))}", file=sys.stderr, flush=True)
