"""Run directories written without training: settings from the real configuration, drawn scores."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tiny import compose_settings

from cyclegan_ad.data.split import split_samples
from cyclegan_ad.files import write_json, write_rows
from cyclegan_ad.protocols import calibrated, crossfit
from cyclegan_ad.results import METRICS_FORMAT
from cyclegan_ad.thresholds import summarise

SIZE_PX = 32


@cache
def _composed(words: tuple[str, ...]) -> str:
    return json.dumps(compose_settings("train", words))


def settings_of(method: str, resolution: int, dataset: str, seed: int, *more: str) -> Any:
    words = (f"method={method}", f"resolution={resolution}", f"dataset={dataset}", "logger=none")
    return json.loads(_composed((*words, "trainer=cpu", *more))) | {"seed": seed}


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
) -> Path:
    """Write a finished run; ``more`` are words of its command line. Gives its directory."""
    settings = settings_of(method, resolution, dataset, seed, *more)
    name = run or f"{method}-{resolution}"
    settings["run_name"] = run
    path = runs / (place or f"{name}/{dataset}/seed{seed}")
    path.mkdir(parents=True)
    stem = "<i>&\udcff" if odd_names else "image"
    names = [f"{kind}/{stem}{i:03d}.png" for kind in ("good", "bad") for i in range(2 * per_class)]
    labels = [0] * (2 * per_class) + [1] * (2 * per_class)
    split = split_samples(names, labels, seed)
    random = np.random.default_rng([seed, len(method), resolution, len(dataset)])
    tested = np.array([labels[i] for i in split.test])
    scores = {
        column: 10 * (k + 1) + random.normal(0, 1, tested.size) + separation * tested
        for k, column in enumerate(columns)
    }
    (path / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    subset = dict.fromkeys(split.train, "train") | dict.fromkeys(split.test, "test")
    write_rows(
        path / "split.csv",
        ["path", "sha256", "label", "subset"],
        [[names[i], f"{dataset}{i:060d}", labels[i], subset[i]] for i in range(len(names))],
    )
    write_json(
        path / "training.json", {"epochs": 100, "steps": 900, "seconds": 61.5, "finished": True}
    )
    packages = {"torch": "2.13.0+cpu"}
    write_json(
        path / "environment.json",
        {"cyclegan_ad": "0.1.0", "commit": "459115cd2c6bde8c", "packages": packages, "gpus": []},
    )
    write_rows(
        path / "scores.csv",
        ["path", "label", *columns],
        [
            [names[i], labels[i], *(float(scores[column][k]) for column in columns)]
            for k, i in enumerate(split.test)
        ],
    )
    write_metrics(path, settings, name, scores, tested, [names[i] for i in split.test])
    if examples:
        write_examples(path, split.test, names, labels, scores, method)
    return path


def write_metrics(
    path: Path,
    settings: Any,
    name: str,
    scores: dict[str, Any],
    tested: Any,
    groups: list[str],
) -> None:
    random = np.random.default_rng(settings["seed"])
    honest: dict[str, Any] = {
        "crossfit": {
            column: crossfit(values, tested, groups, folds=5, seed=0, margin=0.0, confidence=0.95)
            for column, values in scores.items()
        }
    }
    if settings["protocol"]["calibration_fraction"] > 0:
        honest["calibrated"] = {
            column: calibrated(
                values[tested == 1][:7] + random.normal(0, 0.1, 7),
                values,
                tested,
                margin=0.0,
                confidence=0.95,
            )
            for column, values in scores.items()
        }
    write_json(
        path / "metrics.json",
        {
            "format": METRICS_FORMAT,
            "method": settings["method"]["name"],
            "dataset": settings["dataset"]["name"],
            "resolution": settings["resolution"],
            "seed": settings["seed"],
            "run": name,
            "epochs": 100,
            "training_seconds": 61.5,
            "test_normal": int((tested == 0).sum()),
            "test_abnormal": int((tested == 1).sum()),
            "scores": {column: summarise(values, tested) for column, values in scores.items()},
            "protocol": settings["protocol"]["name"],
            "protocols": honest,
            "localisation": None,
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
    if method in ("cyclegan", "ganomaly"):
        arrays["reconstructions"] = good[..., None].astype(np.uint8)
    np.savez_compressed(path / "examples.npz", **arrays)


def change_metrics(path: Path, **changes: Any) -> None:
    """Rewrite some entries of ``metrics.json``."""
    metrics = json.loads((path / "metrics.json").read_text())
    (path / "metrics.json").write_text(json.dumps(metrics | changes))
