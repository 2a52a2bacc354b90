"""Cells whose runs were not all made by the same version of the program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cyclegan_ad.reporting.compute.provenance import short_commit
from cyclegan_ad.reporting.labels import Method, dataset_order, dataset_title
from cyclegan_ad.reporting.read.read_run import Run


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
        "at commit": [_text(short_commit(row.get("commit"))) for row in made],
        "by cyclegan_ad": [_text(row.get("cyclegan_ad")) for row in made],
        "with torch": [_text(_mapping(row.get("packages")).get("torch")) for row in made],
    }


def _listed(seeds: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(
        f"{value} (seed{'s' * (len(those) > 1)} {', '.join(those)})"
        for value, those in seeds.items()
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) and value != "-" else "not recorded"
