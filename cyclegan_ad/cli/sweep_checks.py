"""What is wrong with the jobs of a sweep (``-m``), found before the first one starts."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclegan_ad.errors import UserError
from cyclegan_ad.runs.directory import RunDirectory, run_name
from cyclegan_ad.settings import Settings, training_differences

# Of two jobs with one run directory, which must see the same images.
_IMAGES = ("dataset.root", "dataset.exclude", "dataset.folders")


def check_places(jobs: Sequence[Settings], labels: Sequence[str]) -> None:
    """Make sure that no two jobs train differently in one run directory.

    Args:
        jobs: Settings of each job, checked.
        labels: How to call each.

    Raises:
        UserError: If two do, with the ``run_name`` that tells them apart.
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
                f"{labels[j]} and {labels[i]} train differently but have one run directory, "
                f"{place}; {_remedy(jobs, names)}"
            )
        if settings.overwrite:
            raise UserError(
                f"{labels[j]} and {labels[i]} have one run directory, {place}, and "
                "overwrite=true deletes what the first one did; leave it out"
            )


def _differences(one: Settings, other: Settings) -> list[str]:
    found = [name for name, _, _ in training_differences(one.training(), other.training())]
    # Where a dataset has a folder of its own, that of all datasets does not matter.
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
            "give each job in a command of its own, with run_name=NAME (one value with a comma "
            f"in it needs quotes: {names[0]}=\\'...\\')"
        )
    bases = {run_name(settings) for settings in jobs}
    base = bases.pop() if len(bases) == 1 else "${method.name}-${resolution}"
    parts = "".join(f"-{name.rpartition('.')[2]}-${{{name}}}" for name in names)
    return f"tell them apart with 'run_name={base}{parts}'"
