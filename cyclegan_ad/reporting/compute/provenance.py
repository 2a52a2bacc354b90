"""Where the figures come from: the runs, their settings, versions and times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cyclegan_ad.display.terminal import duration
from cyclegan_ad.reporting.labels import NOTHING, Method, dataset_order, dataset_title
from cyclegan_ad.reporting.read.read_run import Run
from cyclegan_ad.text import as_typed, printable

_COMMIT_LETTERS = 12


def origins(runs: Sequence[Run]) -> list[dict[str, object]]:
    """Describe the runs, with commits and versions, in order of dataset, method and seed."""
    ordered = sorted(runs, key=lambda run: (dataset_order(run.dataset), run.method.order, run.seed))
    return [_origin(run) for run in ordered]


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
        "commit": _short_commit(made.get("commit")),
        "evaluated": _short_commit(_mapping(metrics.get("evaluated_with")).get("commit")),
        "version": _text(made.get("cyclegan_ad")),
        "torch": _text(_mapping(made.get("packages")).get("torch")),
        "machine": printable(machine) if made else NOTHING,
    }


def settings_of_methods(runs: Sequence[Run]) -> list[dict[str, object]]:
    """List the training settings of each method.

    Returns:
        Of each the title, ``method``; (name, value) of what all its datasets share, ``shared``; and
        of other settings (name, (dataset, value) of each), ``differing``.
    """
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
                differing.append(
                    (name, [(dataset_title(dataset), value) for dataset, value in each])
                )
        found.append({"method": method.title, "shared": shared, "differing": differing})
    return found


def mixed_versions(runs: Sequence[Run]) -> list[str]:
    """Describe each dataset and method whose runs were trained or evaluated by several versions.

    Returns:
        E.g. ``Screw, CycleGAN 64 px: trained at commit 459115cd2c6b (seed 0), 5743e32edb09
        (seed 1)``, in the order of the table.
    """
    cells: dict[tuple[str, Method], list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        cells.setdefault((run.dataset, run.method), []).append(run)
    found = []
    for (dataset, method), members in sorted(
        cells.items(), key=lambda item: (dataset_order(item[0][0]), item[0][1].order)
    ):
        several = []
        for verb, made in (
            ("trained", [run.environment for run in members]),
            ("evaluated", [_mapping(run.metrics.get("evaluated_with")) for run in members]),
        ):
            for what, values in _versions(made).items():
                seeds: dict[str, list[str]] = {}
                for run, value in zip(members, values, strict=True):
                    seeds.setdefault(value, []).append(str(run.seed))
                if len(seeds) > 1:
                    several.append(f"{verb} {what} {_listed(seeds)}")
        if several:
            found.append(f"{dataset_title(dataset)}, {method.title}: {'; '.join(several)}")
    return found


def _versions(made: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    return {
        "at commit": [_short_commit(row.get("commit")) for row in made],
        "by cyclegan_ad": [_text(row.get("cyclegan_ad")) for row in made],
        "with torch": [_text(_mapping(row.get("packages")).get("torch")) for row in made],
    }


def _listed(seeds: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(
        f"{'not recorded' if value == NOTHING else value} "
        f"({'seed' if len(those) == 1 else 'seeds'} {', '.join(those)})"
        for value, those in seeds.items()
    )


def _short_commit(commit: object) -> str:
    """Shorten a commit, keeping the mark of uncommitted changes; ``-`` if there is none."""
    if not isinstance(commit, str):
        return NOTHING
    base, plus, changes = commit.partition("+")
    return printable(base[:_COMMIT_LETTERS] + plus + changes)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return printable(value) if isinstance(value, str) else NOTHING
