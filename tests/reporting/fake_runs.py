"""Run directories written without training: settings from the real configuration, drawn scores."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scored import column_named
from tiny import compose_settings

from cyclegan_ad.data.split import Split, split_samples
from cyclegan_ad.evaluation.apply_protocols import apply_protocols, score_columns
from cyclegan_ad.evaluation.fingerprints import fingerprints, hash_training_inputs, hash_value
from cyclegan_ad.evaluation.score_rows import count_independent
from cyclegan_ad.files import write_json, write_rows
from cyclegan_ad.methods.names import FUSED
from cyclegan_ad.metrics.thresholds import auroc_within, summarise
from cyclegan_ad.reference.paper import paper_table1
from cyclegan_ad.runs.directory import RunDirectory, run_name
from cyclegan_ad.runs.examples import examples_fingerprint
from cyclegan_ad.runs.results import METRICS_FORMAT, read_scores, read_split
from cyclegan_ad.scoring.fusion import fused_terms
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.settings.types import read_settings

SIZE_PX = 32


@cache
def _composed(words: tuple[str, ...]) -> str:
    return json.dumps(compose_settings("train", words))


MAPS_BY = {"tta": "none", "precision": "float32"}


def settings_of(method: str, resolution: int, dataset: str, seed: int, *more: str) -> Settings:
    words = (f"method={method}", f"resolution={resolution}", f"dataset={dataset}", "logger=none")
    words = (*words, "trainer=cpu", "trainer.precision=32-true")  # resolved, as a job writes it
    raw = json.loads(_composed((*words, *more))) | {"seed": seed}
    return read_settings(Settings, raw)


def make_run(
    runs: Path,
    method: str = "cyclegan",
    resolution: int = 64,
    dataset: str = "screw",
    seed: int = 0,
    *more: str,
    columns: Sequence[str] = ("sse", "fid"),
    run: str | None = None,
    place: str | None = None,
    per_class: int = 12,
    separation: float = 1.5,
    examples: bool = True,
    odd_names: bool = False,
    as_in_paper: bool = False,
    copies: int = 0,
) -> Path:
    """Write a finished run; ``more`` are words of its command line. Gives its directory.

    It has twice ``per_class`` images of each class, or as many as the paper's dataset. Fused
    columns follow from terms. The first normal images are so many pairs of ``copies``.
    """
    settings = settings_of(method, resolution, dataset, seed, *more)
    settings = settings.replaced({"run_name": run})
    name = run or f"{method}-{resolution}"
    if settings.dataset.max_abnormal is not None:
        name = run_name(settings)
    path = runs / (place or f"{name}/{dataset}/seed{seed}")
    path.mkdir(parents=True)
    stem = "<i>&\udcff" if odd_names else "image"
    images = [2 * per_class, 2 * per_class]
    if as_in_paper:
        sizes = paper_table1()[dataset]
        images = [
            sizes.train_normal + sizes.test_normal,
            sizes.train_abnormal + sizes.test_abnormal,
        ]
    names = [
        f"{kind}/{stem}{i:03d}.png"
        for kind, count in zip(("good", "bad"), images, strict=True)
        for i in range(count)
    ]
    labels = [0] * images[0] + [1] * images[1]
    fraction = settings.protocol.calibration_fraction
    split = split_samples(
        names,
        labels,
        seed,
        calibration_fraction=fraction,
        tuning_fraction=settings.tuning_fraction,
        max_abnormal=settings.dataset.max_abnormal,
    )
    random = np.random.default_rng([seed, len(method), resolution, len(dataset)])
    chosen = (*split.test, *split.calibration)
    images_of = {"": chosen, "tuning": split.tuning}
    drawn, tuned = (
        {
            column: 10 * (k + 1)
            + random.normal(0, 1, len(images))
            + separation * np.array([labels[i] for i in images], dtype=int)
            for k, column in enumerate(columns)
        }
        for images in images_of.values()
    )
    fused = [column for column in columns if column_named(column).name in FUSED]
    fusions = {}
    for column in fused:
        fusions[column], added = draw_fusion(column, [labels[i] for i in chosen], tuned, random)
        drawn[column] = fusions[column]["intercept"] + sum(added.values())
        drawn |= {f"{column}:{term}": values for term, values in added.items()}
        within = auroc_within(
            tuned[column], [labels[i] for i in split.tuning], np.arange(len(split.tuning)) % 2
        )
        fusions[column]["auroc"]["fused"] = within
        fusions[column] |= {
            name: sum(labels[i] == label for i in split.tuning)
            for label, name in enumerate(("normal", "abnormal"))
        }
    (path / "config.yaml").write_text(yaml.safe_dump(settings.as_dict(), sort_keys=False))
    subset = split.subsets()
    same = {2 * k + 1: 2 * k for k in range(copies)}
    write_rows(
        path / "split.csv",
        ["path", "sha256", "label", "subset"],
        [
            [names[i], f"{dataset}{same.get(i, i):060d}", labels[i], subset[i]]
            for i in range(len(names))
        ],
    )
    epochs = settings.trainer.max_epochs
    write_json(
        path / "training.json", {"epochs": epochs, "steps": 900, "seconds": 61.5, "finished": True}
    )
    packages = {"torch": "2.13.0+cpu"}
    write_json(
        path / "environment.json",
        {"cyclegan_ad": "0.1.0", "commit": "459115cd2c6bde8c", "packages": packages, "gpus": []},
    )
    rows = [
        [names[i], labels[i], *(float(drawn[column][k]) for column in columns)]
        for k, i in enumerate(chosen)
    ]
    header, tested = ["path", "label", *columns], len(split.test)
    write_rows(path / "scores.csv", header, rows[:tested])
    if fused:
        write_fused(path, split, names, labels, columns, drawn, tuned)
    if rows[tested:]:
        write_rows(path / "calibration.csv", header, rows[tested:])
    if examples:
        scores = {column: values[:tested] for column, values in drawn.items()}
        write_examples(path, split.test, names, labels, scores, method)
    decide_again(path, fusions)
    return path


def draw_fusion(
    column: str, labels: list[int], tuned: dict[str, Any], random: np.random.Generator
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters of a fused score, and what each term adds to images; every other one says much."""
    terms = fused_terms(column_named(column).name)
    abnormal = np.array(labels)
    added = {
        term: random.normal(0, 0.3, len(labels)) + (k % 2) * 0.6 * (2 * abnormal - 1)
        for k, term in enumerate(terms)
    }
    fusion = {
        "terms": list(terms),
        "weights": [0.1 * (k % 2) + 0.01 * float(random.uniform()) for k in range(len(terms))],
        "centres": [1.0] * len(terms),
        "intercept": -0.25,
        "strength": 0.1,
        "auroc": {term: 0.5 + 0.4 * (k % 2) for k, term in enumerate(terms)},
    }
    return fusion, added


def write_fused(
    path: Path,
    split: Split,
    names: list[str],
    labels: list[int],
    columns: Sequence[str],
    drawn: dict[str, Any],
    tuned: dict[str, Any],
) -> None:
    """Write ``tuning.csv`` and ``contributions.csv``."""
    for file, images, values in (
        ("tuning.csv", split.tuning, {column: tuned[column] for column in columns}),
        ("contributions.csv", split.test, {n: v for n, v in drawn.items() if ":" in n}),
    ):
        write_rows(
            path / file,
            ["path", "label", *values],
            [
                [names[i], labels[i], *(float(of[k]) for of in values.values())]
                for k, i in enumerate(images)
            ],
        )


def decide_again(path: Path, fusions: dict[str, Any] | None = None, **protocol: Any) -> None:
    """Write the ``metrics.json`` that follows from the other files, decided by these settings."""
    run = RunDirectory(path)
    settings = run.read_config()
    rows = read_scores(path)
    labels = [row["label"] for row in rows]
    changes = {f"protocol.{name}": value for name, value in protocol.items()}
    if protocol.get("margin") and settings.protocol.name == "paper":
        changes["protocol.name"] = "crossfit"
    write_json(
        run.metrics,
        {
            "format": METRICS_FORMAT,
            "method": settings.method.name,
            "dataset": settings.dataset.name,
            "resolution": settings.resolution,
            "seed": settings.seed,
            "run": run_name(settings),
            "epochs": settings.trainer.max_epochs,
            "training_seconds": 61.5,
            "test_normal": labels.count(0),
            "test_abnormal": labels.count(1),
            "independent": count_independent(rows, read_split(path)),
            "columns": {column: column_named(column).as_dict() for column in score_columns(rows)},
            "scores": {
                column: summarise([row[column] for row in rows], labels)
                for column in score_columns(rows)
            },
            **({"fusions": fusions} if fusions else {}),
            **apply_protocols(
                rows,
                read_scores(path, "calibration.csv") if run.calibration.is_file() else (),
                read_split(path),
                settings.replaced(changes).protocol,
                seed=settings.seed,
                where=str(path),
            ),
            "fingerprints": hash_training_inputs(settings, read_split(path))
            | {
                "metrics.json": {
                    "localisation": hash_value([None, MAPS_BY]),
                    **({"fusions": hash_value(fusions)} if fusions else {}),
                }
            }
            | {"examples.npz": examples_fingerprint(path)}
            | {
                file.name: fingerprints(read_scores(path, file.name))
                for file in (run.scores, run.calibration, run.tuning, run.contributions)
                if file.is_file()
            },
            "localisation": None,
            "localisation_by": MAPS_BY,
            "evaluated_with": {"cyclegan_ad": "0.1.0", "commit": "5743e32edb09b", "packages": {}},
        },
    )


def write_examples(
    path: Path,
    test: Sequence[int],
    names: list[str],
    labels: list[int],
    scores: dict[str, Any],
    method: str,
) -> None:
    """Ramps with a bright square where abnormal; every second test image is kept."""
    random = np.random.default_rng(1)
    kept = list(test)[::2]
    count = len(kept)
    ramp = np.linspace(60, 140, SIZE_PX)[None, :].repeat(SIZE_PX, 0)
    good = (ramp + random.normal(0, 5, (count, SIZE_PX, SIZE_PX))).clip(0, 255)
    images = good.copy()
    masks = np.zeros((count, SIZE_PX, SIZE_PX), bool)
    for k, i in enumerate(kept):
        if labels[i]:
            y, x = random.integers(4, 20, 2)
            masks[k, y : y + 8, x : x + 8] = True
    images[masks] = 240
    arrays: dict[str, Any] = {
        "images": images[..., None].astype(np.uint8),
        "maps": (((images - good) / 127.5) ** 2 + 0.01).astype(np.float32),
        "masks": masks,
        "labels": np.array([labels[i] for i in kept]),
        "paths": np.array([names[i].encode(errors="surrogateescape") for i in kept]),
        "critical": np.arange(count) % 3 == 2,
    }
    if method in ("cyclegan", "cyclegan_plus", "ganomaly"):
        arrays["reconstructions"] = good[..., None].astype(np.uint8)
    np.savez_compressed(path / "examples.npz", **arrays)


def change_metrics(path: Path, **changes: Any) -> None:
    """Rewrite some entries of ``metrics.json``."""
    metrics = json.loads((path / "metrics.json").read_text())
    (path / "metrics.json").write_text(json.dumps(metrics | changes))
