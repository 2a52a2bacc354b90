"""Find the run directories below a folder and read them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from cyclegan_ad.errors import UserError
from cyclegan_ad.reporting.read.read_run import LeftOut, Run, read_run
from cyclegan_ad.text import printable

_MARKS = {"config.yaml", "metrics.json", "scores.csv", "split.csv", "training.json"}
_SEED_FOLDER = re.compile(r"seed\d+")


def find_runs(root: Path) -> tuple[list[Path], list[LeftOut]]:
    """Find run directories at any depth, in order of path, without hidden folders.

    Args:
        root: Folder to search; may be a run directory itself.

    Returns:
        The directories, and the folders that cannot be read.
    """
    found: list[Path] = []
    unreadable: list[LeftOut] = []
    seen: set[str] = set()

    def note(error: OSError) -> None:
        unreadable.append(
            LeftOut(show_path(Path(error.filename), root), f"cannot be read ({error.strerror})")
        )

    for folder, names, files in os.walk(root, followlinks=True, onerror=note):
        real = os.path.realpath(folder)
        here = Path(folder)
        if real in seen:  # a symbolic link to a folder seen before
            names.clear()
        elif _MARKS & set(files) or _SEED_FOLDER.fullmatch(here.name):
            found.append(here)
            names.clear()
        seen.add(real)
        names[:] = [name for name in names if not name.startswith(".")]
    return sorted(found), unreadable


def show_path(path: Path, root: Path) -> str:
    """Write a path relative to the folder of runs, in printable characters."""
    relative = os.path.relpath(path, root)
    return printable(Path(path).name if relative == "." else Path(relative).as_posix())


def collect(root: Path) -> tuple[list[Run], list[LeftOut]]:
    """Read every run directory below a folder.

    Args:
        root: Folder of the runs.

    Returns:
        The finished runs, and what was left out.

    Raises:
        UserError: If there is no such folder, or no run directory below it.
    """
    if not root.is_dir():
        raise UserError(f"invalid runs={root}: expected an existing folder; set runs=PATH")
    found, left_out = find_runs(root)
    if not found:
        raise UserError(
            f"{root} holds no run directories; train with `python -m cyclegan_ad.train`, or set "
            "another folder with runs=PATH"
        )
    runs, others = read_runs((path, show_path(path, root)) for path in found)
    return runs, left_out + others


def read_runs(places: Iterable[tuple[Path, str]]) -> tuple[list[Run], list[LeftOut]]:
    """Read run directories.

    Args:
        places: Each directory with its name in the report.

    Returns:
        The finished runs, and what was left out.
    """
    runs: list[Run] = []
    left_out: list[LeftOut] = []
    for path, shown in places:
        try:
            run, columns = read_run(path, shown)
        except (UserError, OSError) as error:
            reason = str(error).replace(f"{path}{os.sep}", "")
            left_out.append(LeftOut(shown, printable(reason)))
        else:
            runs.append(run)
            left_out += columns
    return runs, left_out
