"""Origin of the figures: the runs, their settings, versions and times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cyclegan_ad.display.numbers import duration
from cyclegan_ad.reporting.labels import NOTHING, Method, dataset_title
from cyclegan_ad.reporting.read.read_run import Run
from cyclegan_ad.text import as_typed, printable

_COMMIT_LETTERS = 12


def origins(runs: Sequence[Run]) -> list[dict[str, object]]:
    """Describe the runs, with commits and versions, in order of dataset, method and seed."""
    return [_origin(run) for run in sorted(runs, key=lambda run: run.order)]


def _origin(run: Run) -> dict[str, object]:
    metrics, made = run.metrics, run.environment
    gpus = made.get("gpus")
    machine = ", ".join(str(gpu) for gpu in gpus) if isinstance(gpus, list) and gpus else "CPU"
    seconds = metrics.get("training_seconds")
    return {
        "run": run.shown,
        "seed": run.seed,
        "epochs": int(metrics["epochs"]),
        "trained": duration(seconds) if isinstance(seconds, int | float) else NOTHING,
        "images": f"{metrics['test_normal']} + {metrics['test_abnormal']}",
        "commit": _commit(made),
        "evaluated": _commit(_evaluated_with(run)),
        "version": _version(made),
        "torch": _torch(made),
        "machine": printable(machine) if made else NOTHING,
    }


def settings_of_methods(runs: Sequence[Run]) -> list[dict[str, object]]:
    """List the training settings of each method.

    Returns:
        For each method its title, ``method``; (name, value) of the settings that all its datasets
        share, ``shared``; and of the others (name, (dataset, value) of each), ``differing``.
    """
    methods: dict[Method, dict[str, dict[str, str]]] = {}
    for run in sorted(runs, key=lambda run: (run.method.order, run.order)):
        by_dataset = methods.setdefault(run.method, {})
        if run.dataset not in by_dataset:
            by_dataset[run.dataset] = {
                name: printable(as_typed(value))
                for name, value in run.config.training().items()
                if name not in ("seed", "dataset.name")
            }
    found: list[dict[str, object]] = []
    for method, by_dataset in methods.items():
        shared, differing = [], []
        for name in sorted({name for values in by_dataset.values() for name in values}):
            each = [(dataset_title(d), v.get(name, "null")) for d, v in by_dataset.items()]
            if len({value for _, value in each}) == 1:
                shared.append((name, each[0][1]))
            else:
                differing.append((name, each))
        found.append({"method": method.title, "shared": shared, "differing": differing})
    return found


def mixed_versions(runs: Sequence[Run]) -> list[str]:
    """Describe each dataset and method whose runs were trained or evaluated by several versions.

    Returns:
        E.g. ``Screw, CycleGAN 64 px: trained at commit 459115cd2c6b (seed 0), 5743e32edb09
        (seed 1)``, in the order of the table.
    """
    cells: dict[tuple[str, Method], list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.order):
        cells.setdefault((run.dataset, run.method), []).append(run)
    found = []
    for (dataset, method), members in cells.items():
        several = []
        for verb, made_with in (("trained", _trained_with), ("evaluated", _evaluated_with)):
            for what, version in _VERSIONS.items():
                seeds: dict[str, list[str]] = {}
                for run in members:
                    seeds.setdefault(version(made_with(run)), []).append(str(run.seed))
                if len(seeds) > 1:
                    several.append(f"{verb} {what} {_list_seeds(seeds)}")
        if several:
            found.append(f"{dataset_title(dataset)}, {method.title}: {'; '.join(several)}")
    return found


def _list_seeds(seeds: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(
        f"{'not recorded' if value == NOTHING else value} "
        f"({'seed' if len(those) == 1 else 'seeds'} {', '.join(those)})"
        for value, those in seeds.items()
    )


def _trained_with(run: Run) -> Mapping[str, Any]:
    return run.environment


def _evaluated_with(run: Run) -> Mapping[str, Any]:
    return _mapping(run.metrics.get("evaluated_with"))


def _commit(made: Mapping[str, Any]) -> str:
    """Shorten a commit, keeping the mark of uncommitted changes; ``-`` if there is none."""
    base, plus, changes = _text(made.get("commit")).partition("+")
    return base[:_COMMIT_LETTERS] + plus + changes


def _version(made: Mapping[str, Any]) -> str:
    return _text(made.get("cyclegan_ad"))


def _torch(made: Mapping[str, Any]) -> str:
    return _text(_mapping(made.get("packages")).get("torch"))


_VERSIONS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "at commit": _commit,
    "by cyclegan_ad": _version,
    "with torch": _torch,
}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return printable(value) if isinstance(value, str) else NOTHING
