"""Checks of the jobs of a sweep (``-m``) before the first one starts."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclegan_ad.errors import UserError
from cyclegan_ad.runs.directory import RunDirectory, run_name
from cyclegan_ad.settings import Settings, training_differences

# Settings of the images, which two jobs with the same run directory must share.
_IMAGES = ("dataset.root", "dataset.exclude", "dataset.folders")


def check_places(jobs: Sequence[Settings], labels: Sequence[str]) -> None:
    """Check that no two jobs with different trainings share a run directory.

    Args:
        jobs: Validated settings of each job.
        labels: Label of each job.

    Raises:
        UserError: If two do, with a ``run_name`` that separates them.
    """
    first: dict[Path, int] = {}
    for i, settings in enumerate(jobs):
        place = RunDirectory.of(settings).path.resolve()
        j = first.setdefault(place, i)
        if i == j:
            continue
        names = _differences(jobs[j], settings)
        if names:
            raise UserError(
                f"{labels[j]} and {labels[i]} are different trainings with the same run directory "
                f"{place}; {_remedy(jobs, names)}"
            )
        if settings.overwrite:
            raise UserError(
                f"{labels[j]} and {labels[i]} have the same run directory {place}, and "
                "overwrite=true deletes the results of the first one; remove overwrite=true"
            )


def _differences(one: Settings, other: Settings) -> list[str]:
    found = [name for name, _, _ in training_differences(one.training(), other.training())]
    # data_dir is not used if dataset.root is set.
    asked = _IMAGES if one.dataset.root is not None else (*_IMAGES, "data_dir")
    values, others = one.flat(), other.flat()
    found += [name for name in asked if _place(values[name]) != _place(others[name])]
    return found


def _place(value: Any) -> Any:
    return Path(value).resolve() if isinstance(value, str) else value


def _remedy(jobs: Sequence[Settings], names: Sequence[str]) -> str:
    values = [settings.flat().get(name) for settings in jobs for name in names]
    if not all(re.fullmatch(r"[\w.+-]+", str(value)) for value in values):
        return (
            "run each job with its own command and run_name=NAME (a single value that contains a "
            f"comma needs quotes: {names[0]}=\\'...\\')"
        )
    bases = {run_name(settings) for settings in jobs}
    base = bases.pop() if len(bases) == 1 else "${method.name}-${resolution}"
    parts = "".join(f"-{name.rpartition('.')[2]}-${{{name}}}" for name in names)
    return f"separate them with 'run_name={base}{parts}'"
