"""What the drivers share: settings given as name=value, help, and errors of one line."""

import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import yaml
from rich.console import Console

from cyclegan_ad.composing import conf_dir
from cyclegan_ad.errors import UserError
from cyclegan_ad.reporting.labels import METHOD_TITLES

_PIPED_COLUMNS = 80

# What a run is called unless it is given a run_name.
_USUAL_NAME = re.compile(
    rf"(?P<method>{'|'.join(METHOD_TITLES)})-(?P<resolution>[1-9][0-9]*)(?P<calibrated>-calibrated)?"
)

Settings = dict[str, str]


def run_driver(
    task: Callable[[Settings], Iterable[UserError]], defaults: Mapping[str, str], help_text: str
) -> None:
    """Run a driver on the words of the command line.

    Leaves with exit code 1 if anything was missing or wrong.

    Args:
        task: Gets the settings, gives what it had to leave out.
        defaults: Name and default of each setting.
        help_text: What ``--help`` prints.
    """
    words = sys.argv[1:]
    if {"-h", "--help"}.intersection(words):
        print(help_text.strip())
        return
    try:
        problems = list(task(read_words(words, defaults)))
    except UserError as error:
        problems = [error]
    except OSError as error:
        problems = [
            UserError(f"{error.filename}: {error.strerror}; choose another place with out=PATH")
        ]
    sys.stdout.flush()
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)


def read_words(words: Sequence[str], defaults: Mapping[str, str]) -> Settings:
    """Settings from the command line; the last of a repeated one counts.

    Raises:
        UserError: For a word that is not name=value, or an unknown name.

    >>> read_words(["out=a b"], {"out": "tables", "seed": "0"})
    {'out': 'a b', 'seed': '0'}
    """
    settings = dict(defaults)
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not value:
            raise UserError(f"cannot read {word!r}; settings are given as name=value, see --help")
        if name not in defaults:
            raise UserError(f"there is no setting {name}; choose one of {', '.join(defaults)}")
        settings[name] = value
    return settings


def choose_datasets(settings: Settings, choices: Iterable[str]) -> list[str]:
    """Names in the setting ``dataset``, separated by commas.

    Raises:
        UserError: If a name is not among the choices.
    """
    choices = list(choices)
    names = list(dict.fromkeys(settings["dataset"].split(",")))
    for name in names:
        if name not in choices:
            raise UserError(f"dataset={name} is not possible; choose some of {', '.join(choices)}")
    return names


def whole_number(settings: Settings, name: str, smallest: int) -> int:
    """Value of a setting that is a whole number.

    Raises:
        UserError: If it is something else, or too small.
    """
    text = settings[name]
    if not re.fullmatch(r"\d+", text, flags=re.ASCII) or int(text) < smallest:
        raise UserError(f"{name}={text} is not possible; it is a whole number >= {smallest}")
    return int(text)


def configured_datasets() -> dict[str, dict[str, object]]:
    """What ``conf/dataset`` says, by name of the dataset."""
    files = sorted((conf_dir() / "dataset").glob("*.yaml"))
    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in files}


def run_directory(settings: Settings, dataset: str) -> Path:
    """Where the run of a dataset lies; settings ``runs``, ``run_name`` and ``seed``."""
    runs = Path(settings["runs"]).expanduser()
    return runs / settings["run_name"] / dataset / f"seed{whole_number(settings, 'seed', 0)}"


def missing_run(settings: Settings, dataset: str, experiment: str) -> UserError:
    """Say that a figure lacks the run of a dataset, and how to make it where that is known."""
    missing = f"{run_directory(settings, dataset)} holds no finished run"
    command = training_command(settings, dataset, experiment)
    if command is None:
        return UserError(f"{missing}; name others with run_name=NAME, seed=N or runs=PATH")
    return UserError(f"{missing}; make it with: {command}")


def training_command(settings: Settings, dataset: str, experiment: str) -> str | None:
    """The command that makes the run of a dataset that a figure needs.

    Returns:
        The command; None for a name that does not say how such a run is made.
    """
    name = settings["run_name"]
    usual = _USUAL_NAME.fullmatch(name)
    if name == "cyclegan-256":  # the experiment's own
        words = [f"+experiment={experiment}"]
    elif (conf_dir() / "column" / f"{name}.yaml").is_file():
        words = [f"+experiment={experiment}", f"+column={name}"]
    elif usual and int(usual["resolution"]) % 4 == 0:
        words = [f"method={usual['method']}", f"resolution={usual['resolution']}"]
        if usual["calibrated"]:
            words.append("protocol=calibrated")
    else:
        return None
    words.append(f"dataset={dataset}")
    if settings["seed"] != "0":
        words.append(f"seed={settings['seed']}")
    if settings["runs"] != "runs":
        words.append(f"runs={settings['runs']}")
    return shlex.join(["python", "-m", "cyclegan_ad.train", *words])


def open_console() -> Console:
    """Standard output; 80 columns wide where there is no terminal."""
    console = Console(highlight=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, width=max(_PIPED_COLUMNS, console.width))
