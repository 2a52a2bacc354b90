"""Where the figures come from: the runs, their settings, versions and times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cyclegan_ad.display.terminal import duration
from cyclegan_ad.reporting.labels import NOTHING, dataset_order, dataset_title
from cyclegan_ad.reporting.read.read_run import Run
from cyclegan_ad.text import as_typed, printable

_COMMIT_LETTERS = 12


@dataclass(frozen=True, slots=True)
class Origin:
    """A run, its commits and versions, as text."""

    run: str
    seed: int
    epochs: int
    trained: str
    images: str
    commit: str
    evaluated: str
    version: str
    torch: str
    machine: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Training settings of a method: those all its datasets share, and the others.

    Attributes:
        method: title.
        shared: (name, value).
        differing: (name, (dataset, value) of each).
    """

    method: str
    shared: tuple[tuple[str, str], ...]
    differing: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def origins(runs: Sequence[Run]) -> list[Origin]:
    """Describe the runs in order of dataset, method and seed."""
    ordered = sorted(runs, key=lambda run: (dataset_order(run.dataset), run.method.order, run.seed))
    return [_origin(run) for run in ordered]


def _origin(run: Run) -> Origin:
    metrics, made = run.metrics, run.environment
    judged = metrics.get("evaluated_with")
    judged = judged if isinstance(judged, dict) else {}
    packages = made.get("packages")
    gpus = made.get("gpus")
    machine = ", ".join(str(gpu) for gpu in gpus) if isinstance(gpus, list) and gpus else "CPU"
    return Origin(
        run=run.shown,
        seed=run.seed,
        epochs=int(metrics["epochs"]),
        trained=_duration(metrics.get("training_seconds")),
        images=f"{metrics['test_normal']} + {metrics['test_abnormal']}",
        commit=short_commit(made.get("commit")),
        evaluated=short_commit(judged.get("commit")),
        version=_text(made.get("cyclegan_ad")),
        torch=_text(packages.get("torch") if isinstance(packages, dict) else None),
        machine=printable(machine) if made else NOTHING,
    )


def settings_of_methods(runs: Sequence[Run]) -> list[Settings]:
    """List the settings of the training of each method."""
    cells: dict[Any, dict[str, dict[str, str]]] = {}
    for run in runs:
        values = {
            name: printable(as_typed(value))
            for name, value in run.config.training().items()
            if name not in ("seed", "dataset.name")
        }
        cells.setdefault(run.method, {}).setdefault(run.dataset, values)
    found = []
    for method in sorted(cells, key=lambda method: method.order):
        datasets = sorted(cells[method], key=dataset_order)
        names = sorted({name for values in cells[method].values() for name in values})
        shared, differing = [], []
        for name in names:
            each = [(dataset, cells[method][dataset].get(name, "null")) for dataset in datasets]
            if len({value for _, value in each}) == 1:
                shared.append((name, each[0][1]))
            else:
                named = tuple((dataset_title(dataset), value) for dataset, value in each)
                differing.append((name, named))
        found.append(Settings(method.title, tuple(shared), tuple(differing)))
    return found


def short_commit(commit: object) -> str:
    """Shorten a commit, keeping the mark of uncommitted changes; ``-`` if there is none."""
    if not isinstance(commit, str):
        return NOTHING
    base, plus, changes = commit.partition("+")
    return printable(base[:_COMMIT_LETTERS] + plus + changes)


def _text(value: object) -> str:
    return printable(value) if isinstance(value, str) else NOTHING


def _duration(seconds: object) -> str:
    return duration(seconds) if isinstance(seconds, int | float) else NOTHING
