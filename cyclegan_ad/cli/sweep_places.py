"""Run directories of the jobs of a sweep: a place of its own for each value of a setting.

The place of a run says its method, resolution, dataset and seed. Where a sweep varies something
else that makes another training, its name and value are appended to the name of the run.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from cyclegan_ad.cli.hydra_errors import quote
from cyclegan_ad.errors import UserError
from cyclegan_ad.runs.directory import RunDirectory, run_name
from cyclegan_ad.settings.train import Settings, makes_another_training, training_differences
from cyclegan_ad.settings.types import fields_of
from cyclegan_ad.text import as_typed

# Settings of the images, which two jobs with the same run directory must share.
_IMAGES = tuple(
    f"dataset.{name}"
    for name in ("root", "category", "normal", "abnormal", "table", "exclude", "folders")
)

# Settings that the place of a run shows by itself.
_SHOWN = {"seed", "resolution", "run_name", "dataset.name", "dataset.max_abnormal"}

_SETTINGS = frozenset(name for name, _, _ in fields_of(Settings))

_LONGEST_VALUE, _LONGEST_NAME = 32, 96  # W&B allows 128 characters with dataset and seed
_HASH_CHARACTERS = 6


def name_runs(
    jobs: Sequence[Sequence[str]], settings: Sequence[Settings | None]
) -> list[str | None]:
    """Name the runs of a sweep so that different trainings have different places.

    A name depends on the varied settings and the value of the job alone, so that a value that is
    repeated in another sweep of the same settings has the same place.

    Args:
        jobs: Overrides of each job, such as ``["method.lambda_cyc=5", "seed=0"]``.
        settings: Settings of each job; None if they are invalid.

    Returns:
        The ``run_name`` of each job, such as ``cyclegan-64-lambda_cyc-5``; None where the place
        needs no other name, or the settings are invalid.
    """
    words = [dict(_split(word) for word in job) for job in jobs]
    varied = [key for key in words[0] if len({job.get(key) for job in words}) > 1]
    needed = [key for key in varied if _needs_name(key, varied, words, settings)]
    if not needed:
        return [None] * len(jobs)
    return [
        None
        if job is None
        else join_name(run_name(job), {key: job.flat().get(key, own[key]) for key in needed})
        for own, job in zip(words, settings, strict=True)
    ]


def join_name(base: str, values: Mapping[str, Any]) -> str:
    """Append settings to the name of a run, as the name of a folder.

    Args:
        base: Name without them.
        values: Setting -> value; of a group, its option.

    >>> join_name("cyclegan-64", {"method.lambda_cyc": 5.0, "method.learning_rate": 2e-4})
    'cyclegan-64-lambda_cyc-5-learning_rate-0.0002'
    >>> join_name("padim-64", {"+preset": "cpu_quick", "method.layers": ["layer1", "layer2"]})
    'padim-64-cpu_quick-layers-layer1+layer2'
    """
    last = [key.rpartition(".")[2] for key in values]
    for (key, value), short in zip(values.items(), last, strict=True):
        if key in _SETTINGS:
            named = short if last.count(short) == 1 else key
            base += f"-{named}"
        base += f"-{as_folder(value)}"
    if len(base) <= _LONGEST_NAME:
        return base
    return f"{base[: _LONGEST_NAME - _HASH_CHARACTERS - 1]}-{_hash(base)}"


def as_folder(value: Any) -> str:
    """Write a value as a part of the name of a folder; other values have other texts.

    What a name cannot hold becomes a dash, with some digits of the hash of the value behind it.

    >>> as_folder(None), as_folder(0.5), as_folder([1, 2]), as_folder("a")
    ('null', '0.5', '1+2', 'a')
    >>> as_folder("photos/line 3, left")
    'photos-line-3-left-ea02a1'
    """
    items = value if isinstance(value, list | tuple) and value else [value]
    text = "+".join(map(as_typed, items))
    safe = re.sub(r"[^\w.+@-]+", "-", text).strip("-")
    if isinstance(value, int | float) or (safe == text and 0 < len(text) <= _LONGEST_VALUE):
        return text
    end = safe[-(_LONGEST_VALUE - _HASH_CHARACTERS - 1) :].strip("-")
    return f"{end}-{_hash(text)}".strip("-")


def check_places(jobs: Sequence[Settings], labels: Sequence[str]) -> None:
    """Check that no two jobs with different trainings share a run directory.

    Raises:
        UserError: If two do.
    """
    first: dict[Path, int] = {}
    for i, settings in enumerate(jobs):
        place = RunDirectory.of(settings).path.resolve()
        j = first.setdefault(place, i)
        if i == j:
            continue
        if names := _differences(jobs[j], settings):
            raise UserError(
                f"{labels[j]} and {labels[i]} are different trainings ({', '.join(names)}) with "
                f"the same run directory {place}; run each with its own command and run_name=NAME "
                f"(a single value that contains a comma needs quotes: {quote(names[0], 'value')})"
            )
        if settings.overwrite:
            raise UserError(
                f"{labels[j]} and {labels[i]} have the same run directory {place}, and "
                "overwrite=true deletes the results of the first one; remove overwrite=true"
            )


def _needs_name(
    key: str,
    varied: Sequence[str],
    words: Sequence[Mapping[str, str]],
    settings: Sequence[Settings | None],
) -> bool:
    """Whether two jobs that differ in one setting alone are different trainings in one place."""
    others = [name for name in varied if name != key]
    alike: dict[tuple[str | None, ...], list[Settings]] = {}
    for own, job in zip(words, settings, strict=True):
        if job is not None:
            alike.setdefault(tuple(own.get(name) for name in others), []).append(job)
    pairs = [pair for same in alike.values() for pair in combinations(same, 2)]
    if not pairs:  # the other values are invalid; the name must not depend on that
        return makes_another_training(key) and key not in _SHOWN
    return any(
        RunDirectory.of(one).path == RunDirectory.of(other).path
        and training_differences(one.training(), other.training())
        for one, other in pairs
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


def _split(word: str) -> tuple[str, str]:
    key, _, value = word.partition("=")
    return key, value


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:_HASH_CHARACTERS]
