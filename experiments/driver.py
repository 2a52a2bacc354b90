"""Common parts of the drivers: name=value settings, help, one-line errors, runs to read."""

import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import yaml
from rich.markdown import Markdown

from cyclegan_ad.display.terminal import standard_output
from cyclegan_ad.errors import UserError
from cyclegan_ad.reference.paper import paper_table1
from cyclegan_ad.settings.composing import conf_dir

Found = TypeVar("Found")
Settings = dict[str, str]

# Defaults of the drivers that draw a figure from runs.
FIGURE_DEFAULTS = {
    "runs": "runs",
    "run_name": "cyclegan-256",
    "seed": "0",
    "dataset": ",".join(paper_table1()),
    "out": "figures",
}


def run_driver(
    task: Callable[[Settings], Iterable[UserError]], defaults: Mapping[str, str], help_text: str
) -> None:
    """Run a driver with the arguments of the command line; the exit code of an error is 1.

    Args:
        task: Called with the settings; returns an error for everything left out.
        defaults: Name and default of each setting.
        help_text: Text of ``--help``.
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
            UserError(f"{error.filename}: {error.strerror}; set another folder with out=PATH")
        ]
    sys.stdout.flush()
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)


def read_words(words: Sequence[str], defaults: Mapping[str, str]) -> Settings:
    """Read settings from the command line; the last value of a repeated setting is used.

    Raises:
        UserError: For a word that is not name=value, or an unknown name.

    >>> read_words(["out=a b"], {"out": "tables", "seed": "0"})
    {'out': 'a b', 'seed': '0'}
    """
    settings = dict(defaults)
    for word in words:
        name, _, value = word.partition("=")
        if not value:
            raise UserError(f"invalid argument {word!r}: expected name=value, see --help")
        if name not in defaults:
            raise UserError(f"unknown setting {name}: expected one of {', '.join(defaults)}")
        settings[name] = value
    return settings


def choose_datasets(settings: Settings, choices: Iterable[str]) -> list[str]:
    """Read the names in ``dataset``; raise UserError for one that is not among the choices."""
    choices = list(choices)
    names = list(dict.fromkeys(settings["dataset"].split(",")))
    for name in names:
        if name not in choices:
            raise UserError(f"invalid dataset={name}: expected some of {', '.join(choices)}")
    return names


def whole_number(settings: Settings, name: str, smallest: int) -> int:
    """Read an integer setting; raise UserError for another value, or a smaller one."""
    text = settings[name]
    if not re.fullmatch(r"\d+", text, flags=re.ASCII) or int(text) < smallest:
        raise UserError(f"invalid {name}={text}: expected an integer >= {smallest}")
    return int(text)


def configured_datasets() -> dict[str, dict[str, object]]:
    """Read ``conf/dataset``, by name of the dataset."""
    files = sorted((conf_dir() / "dataset").glob("*.yaml"))
    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in files}


def read_runs(
    settings: Settings, experiment: str, read: Callable[[Path, str], Found]
) -> tuple[list[Found], list[UserError]]:
    """Read a finished run of each dataset, for a figure.

    Args:
        settings: ``dataset``, ``runs``, ``run_name`` and ``seed`` select the runs.
        experiment: Experiment that trains them.
        read: Called with the directory of a run and the name of its dataset.

    Returns:
        The results of ``read``; and an error for each missing run, with the command that trains it
        if that is known.
    """
    name, seed = settings["run_name"], whole_number(settings, "seed", 0)
    found: list[Found] = []
    missing: list[UserError] = []
    for dataset in choose_datasets(settings, configured_datasets()):
        run_dir = Path(settings["runs"]).expanduser() / name / dataset / f"seed{seed}"
        try:
            if not (run_dir / "metrics.json").is_file():
                remedy = "set run_name=NAME, seed=N or runs=PATH"
                if (conf_dir() / "column" / f"{name}.yaml").is_file():
                    words = [f"+experiment={experiment}", f"+column={name}", f"dataset={dataset}"]
                    words += [f"seed={seed}", f"runs={settings['runs']}"]
                    command = shlex.join(["python", "-m", "cyclegan_ad.train", *words])
                    remedy = f"train it with: {command}"
                raise UserError(f"{run_dir} holds no finished run; {remedy}")
            found.append(read(run_dir, dataset))
        except UserError as error:
            missing.append(error)
    return found, missing


def draw_runs(
    settings: Settings,
    experiment: str,
    read: Callable[[Path, str], Found],
    draw: Callable[[list[Found], str, Path], Path],
    suffix: str = "",
) -> list[UserError]:
    """Draw a figure from the runs that exist, and print the name of the file.

    Args:
        settings: Settings of :func:`read_runs`, and ``out``.
        experiment: Experiment that trains the runs; start of the file name.
        read: Reads a run.
        draw: Called with all that was read, the name of the runs and the file to write.
        suffix: End of the file name.

    Returns:
        An error for each missing run.
    """
    found, missing = read_runs(settings, experiment, read)
    if found:
        name = f"{experiment}_{settings['run_name']}{suffix}.png"
        source = f"{settings['run_name']}, seed {settings['seed']}"
        print(f"Written to {draw(found, source, Path(settings['out']).expanduser() / name)}")
    return missing


def print_markdown(text: str) -> None:
    """Print Markdown to standard output."""
    standard_output().print(Markdown(text))
