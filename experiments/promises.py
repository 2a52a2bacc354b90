"""Are the bounds of protocol=calibrated and protocol=crossval kept? Many deployments, counted.

  python -m experiments.promises
  python -m experiments.promises dataset=elpv

Each deployment draws abnormal and normal images from a large population, fits linear probes, sets
the threshold by a protocol and measures the miss rate on the whole population. The bound at 95 %
confidence may be exceeded by at most 5 % of the deployments; the mean miss rate may not exceed the
guaranteed one. Prints a table and writes it with command and versions to OUT.

Settings (change with name=value):
  dataset=gaussian,heavy_tails,ties   populations; or elpv: photographs of solar cells
  deployments=1000                    for each row of the table
  images=50                           abnormal images of a deployment; as many normal ones
  fit=ridge                           of the probes; or logistic: a smaller form of
                                      method=linear_probe, 20 times as long
  folds=5                             folds of crossval
  confidence=0.95                     of the bound
  seed=0
  workers=2                           processes; the result does not depend on them
  out=experiments/results             folder of the record
"""

from __future__ import annotations

import datetime
import math
import shlex
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cyclegan_ad.errors import UserError
from cyclegan_ad.files import write_text
from experiments.deployments import FITS, LEAVE_ONE_OUT, Rule, deploy
from experiments.driver import Settings, choose_datasets, print_markdown, run_driver, whole_number
from experiments.populations import ELPV, SIMULATED, Population, read_elpv, simulate

DEFAULTS = {
    "dataset": ",".join(SIMULATED),
    "deployments": "1000",
    "images": "50",
    "fit": "ridge",
    "folds": "5",
    "confidence": "0.95",
    "seed": "0",
    "workers": "2",
    "out": "experiments/results",
}

HEADER = (
    *("population", "protocol", "n", "expected", "guaranteed", "mean missed", "bound"),
    *("exceeded", "approximate", "exceeded", "false alarms"),
)

LEAST_DEPLOYMENTS = 100
"""Of a row, for a verdict: standard errors of fewer mean little."""

NOTES = """\
In percent. n: abnormal images that the threshold is set on. Guaranteed: bound on the mean miss
rate; mean missed: measured on the images that were not drawn, with its standard error. Bound: at
the confidence asked for; exceeded: deployments that miss a larger share of the abnormal images
that the model of the bound was not fitted to, at most {percent:g} if the bound is kept, with the
standard error. Approximate: the bound if leaving out a fold changed no score; it is not proved.
calibrated keeps a fifth of the abnormal images out of training; "normal only" is a method that
trains without abnormal images, by its distance from normal ones; the others are linear probes."""


def plan_rules(settings: Settings) -> list[Rule]:
    """Return the rows of the table of one population.

    Raises:
        UserError: If there are too few images for the folds.
    """
    images, fit = whole_number(settings, "images", 4), settings["fit"]
    if fit not in FITS:
        raise UserError(f"invalid fit={fit}: expected one of {', '.join(FITS)}")
    folds = whole_number(settings, "folds", 2)
    if folds > images // 2:
        raise UserError(
            f"invalid folds={folds} with images={images}: expected at most {images // 2}, as each "
            "fold needs two images; use fewer folds or more images"
        )
    return [
        Rule("calibrated", images, None, fit),
        Rule("crossval, normal only", images, 1, fit),
        Rule(f"crossval, {folds} folds", images, folds, fit),
        Rule("crossval, leave one out", images, LEAVE_ONE_OUT, fit),
    ]


def summarise(population: str, rule: Rule, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Compare what was promised with what happened, over the deployments of one row.

    Returns:
        ``mean`` and ``exceeded``, each with its standard error in ``*_error``, and
        ``exceeded_approximate``, beside what was promised; fractions.
    """
    first, count = found[0], len(found)
    missed = np.array([row["miss_rate"] for row in found])
    shares = np.array([row["population_miss_rate"] for row in found])
    approximate = first.get("miss_rate_approximate", first["miss_rate_bound"])
    exceeded = float((shares > first["miss_rate_bound"]).mean())
    expected = 1 / (first["calibration_abnormal"] + 1)
    return {
        "population": population,
        "rule": rule.title,
        "deployments": count,
        "n": first["calibration_abnormal"],
        "expected": expected,
        "guaranteed": first.get("miss_rate_guaranteed", expected),
        "mean": float(missed.mean()),
        "mean_error": float(missed.std(ddof=1)) / math.sqrt(count),
        "bound": first["miss_rate_bound"],
        "exceeded": exceeded,
        "exceeded_error": math.sqrt(max(exceeded, 1 / count) * (1 - exceeded) / count),
        "approximate": approximate,
        "exceeded_approximate": float((shares > approximate).mean()),
        "false_alarms": float(np.mean([row["false_alarm_rate"] for row in found])),
    }


def kept(row: dict[str, Any], confidence: float) -> bool:
    """Whether a row contradicts neither promise by more than three standard errors."""
    return bool(
        row["mean"] - 3 * row["mean_error"] <= row["guaranteed"]
        and row["exceeded"] - 3 * row["exceeded_error"] <= 1 - confidence
    )


def to_markdown(rows: Sequence[dict[str, Any]], confidence: float) -> str:
    """Lay out the rows as a Markdown table with notes."""
    lines = [f"| {' | '.join(HEADER)} |", "| --- | --- |" + " ---: |" * (len(HEADER) - 2)]
    for row in rows:
        cells = [row["population"], row["rule"], str(row["n"])]
        cells += [_percent(row["expected"]), _percent(row["guaranteed"])]
        cells += [
            f"{_percent(row['mean'])} ± {_percent(row['mean_error'])}",
            _percent(row["bound"]),
        ]
        cells.append(f"{_percent(row['exceeded'])} ± {_percent(row['exceeded_error'])}")
        cells += [_percent(row[name]) for name in ("approximate", "exceeded_approximate")]
        lines.append(f"| {' | '.join([*cells, _percent(row['false_alarms'])])} |")
    broken = [f"{row['population']}, {row['rule']}" for row in rows if not kept(row, confidence)]
    verdict = "No promise is contradicted by more than three standard errors."
    if broken:
        verdict = f"**Contradicted by more than three standard errors: {'; '.join(broken)}.**"
    if rows[0]["deployments"] < LEAST_DEPLOYMENTS:
        verdict = f"Fewer than {LEAST_DEPLOYMENTS} deployments a row are too few for a verdict."
    notes = NOTES.format(percent=100 * (1 - confidence))
    return "\n".join([*lines, "", verdict, "", notes, ""])


def promises(settings: Settings) -> list[UserError]:
    """Run the deployments, print the table and write the record."""
    count, seed = whole_number(settings, "deployments", 2), whole_number(settings, "seed", 0)
    out = Path(settings["out"])
    out.mkdir(parents=True, exist_ok=True)
    workers, confidence = whole_number(settings, "workers", 1), _confidence(settings)
    rules, rows = plan_rules(settings), []
    with ProcessPoolExecutor(workers) as pool:
        for name in choose_datasets(settings, (*SIMULATED, ELPV)):
            population = _population(name, seed)
            _check_size(population, rules[0].images)
            for number, rule in enumerate(rules):
                seeds = [(seed, number, i) for i in range(count)]
                run = partial(deploy, population, rule, confidence)
                found = list(pool.map(run, seeds, chunksize=max(1, count // (8 * workers))))
                rows.append(summarise(population.name, rule, found))
                print(f"{population.name}, {rule.title}: done", flush=True)
    table = to_markdown(rows, confidence)
    print_markdown(table)
    day = datetime.datetime.now(datetime.UTC).date()
    changed = "".join(
        f"_{name}-{settings[name]}"
        for name in ("deployments", "images", "fit", "folds", "confidence", "seed")
        if settings[name] != DEFAULTS[name]
    )
    path = out / f"{day}_promises_{settings['dataset'].replace(',', '_')}{changed}.md"
    write_text(path, f"{_heading(count)}\n{table}")
    print(f"Written to {path}")
    return []


def _heading(count: int) -> str:
    from cyclegan_ad.runs.begin import describe_environment  # loads torch

    made_with = describe_environment()
    given = [word for word in sys.argv[1:] if not word.startswith("out=")]
    words = shlex.join(["python", "-m", "experiments.promises", *given])
    packages = made_with["packages"] | {"python": made_with["python"]}
    versions = ", ".join(f"{name} {packages[name]}" for name in ("python", "numpy"))
    import sklearn

    return (
        f"# Are the bounds kept? {count} deployments a row\n\n    {words}\n\nAt commit "
        f"`{made_with['commit']}`, {versions}, scikit-learn {sklearn.__version__}, "
        f"{made_with['platform']}.\n"
    )


def _check_size(population: Population, images: int) -> None:
    most = min(len(population.normal), len(population.abnormal)) - 1
    if images > most:
        raise UserError(
            f"invalid images={images} with dataset={population.name}: expected at most {most}, as "
            "others of each class must remain to judge; use fewer images"
        )


def _population(name: str, seed: int) -> Population:
    if name == ELPV:
        return read_elpv()
    return simulate(name, seed)


def _confidence(settings: Settings) -> float:
    try:
        value = float(settings["confidence"])
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise UserError(
            f"invalid confidence={settings['confidence']}: expected a number > 0 and < 1"
        )
    return value


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


if __name__ == "__main__":
    run_driver(promises, DEFAULTS, __doc__ or "")
