"""Paired significance tests between methods on identical splits.

The splits of one dataset share their images, so that their differences are not independent: with
signs flipped split by split, two equally good methods would come out significantly different far
too often. Here all differences of a dataset change their sign together, and what is tested is
whether a method is better on datasets like these.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from cyclegan_ad.reporting.compute.aggregate import Study
from cyclegan_ad.reporting.labels import Method, score_order, table2_row
from cyclegan_ad.reporting.read.read_run import LeftOut, Run
from cyclegan_ad.scoring.names import ScoreColumn

ALPHA = 0.05
METRICS = ("auroc", "zfn_accuracy")
Scored = tuple[Method, ScoreColumn]

# Sign patterns tried; all of them up to 16 pairs.
_PATTERNS = 2**16


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two methods, each with one score, on the splits that both were tested on.

    Attributes:
        metric: ``auroc`` or ``zfn_accuracy`` (thresholds of the test images).
        first: Method and score column.
        second: Method and score column.
        difference: Mean of first minus second over the pairs, a fraction.
        pairs: Number of (dataset, seed) pairs.
        datasets: Number of datasets among them.
        datasets_ahead: Number of datasets on which the first is better on average.
        p: Two-sided p-value, uncorrected.
        p_holm: Corrected for all comparisons of the metric; None for too few datasets.
        too_few: Whether no outcome on so few datasets could be significant at 5 %.
    """

    metric: str
    first: Scored
    second: Scored
    difference: float
    pairs: int
    datasets: int
    datasets_ahead: int
    p: float
    p_holm: float | None = None
    too_few: bool = False


def is_shown(found: Comparison) -> bool:
    """Return whether a difference is significant at `ALPHA`."""
    return found.p_holm is not None and found.p_holm <= ALPHA


def sign_flip_p_value(differences: ArrayLike) -> float:
    """Test whether paired differences are centred on zero, by flipping their signs.

    Exact up to 16 pairs, with a smallest value of 2**(1 - n); beyond, from 65 536 random patterns.

    Args:
        differences: (n,) real, n >= 1.

    Returns:
        Two-sided p-value in (0, 1].

    Raises:
        ValueError: If there are none, or one is not finite.

    Example:
        >>> sign_flip_p_value([1.0, 2.0, 3.0])
        0.25
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError("differences must be (n,) finite numbers with n >= 1")
    if values.size == 1:
        return 1.0  # scipy needs two
    from scipy import stats  # slow to import

    found = stats.permutation_test(
        (values,),
        lambda x, axis: np.round(x.sum(axis=axis), 12),  # equal sums may differ by rounding
        permutation_type="samples",
        vectorized=True,
        n_resamples=_PATTERNS,
        rng=0,
    )
    return float(found.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(np.arange(p.size, 0, -1) * p[order])
    p[order] = np.minimum(steps, 1.0)
    return [float(value) for value in p]


def compare_methods(study: Study) -> tuple[list[Comparison], list[LeftOut]]:
    """Compare every two methods over the splits that both have, by first score and Table 2's.

    Args:
        study: All cells.

    Returns:
        The comparisons, and the runs left out because the test images of one seed differ.
    """
    table: dict[Scored, dict[tuple[str, int], Run]] = {}
    for run in study.runs:
        for column in run.scores:
            if column == run.first_score or table2_row(column, run.method.name) is not None:
                table.setdefault((run.method, column), {})[run.dataset, run.seed] = run
    found: dict[str, list[Comparison]] = {metric: [] for metric in METRICS}
    keys = sorted(table, key=lambda key: (key[0].order, score_order(key[1])))
    for first, second in itertools.combinations(keys, 2):
        shared = [
            (table[first][split], table[second][split])
            for split in sorted(table[first].keys() & table[second].keys())
            if table[first][split].test_set == table[second][split].test_set
        ]
        if shared and first[0] != second[0]:
            for metric, comparisons in found.items():
                comparisons.append(_compare(metric, first, second, shared))
    corrected = [c for comparisons in found.values() for c in correct(comparisons)]
    return corrected, _other_splits(study.runs)


def _other_splits(runs: Sequence[Run]) -> list[LeftOut]:
    """List runs whose test images differ from those of most runs of the dataset and seed."""
    splits: dict[tuple[str, int], dict[str, list[Run]]] = {}
    for run in runs:
        splits.setdefault((run.dataset, run.seed), {}).setdefault(run.test_set, []).append(run)
    found = []
    for _, by_test_set in sorted(splits.items()):
        usual = max(by_test_set.values(), key=len)
        reason = (
            f"its test images differ from those of {usual[0].shown} (see split.csv), so the two "
            "are not compared in pairs"
        )
        others = [run for runs in by_test_set.values() if runs is not usual for run in runs]
        found += [LeftOut(f"{run.shown}, pairs", reason) for run in others]
    return found


def _compare(
    metric: str, first: Scored, second: Scored, shared: list[tuple[Run, Run]]
) -> Comparison:
    differences = [
        (
            one.dataset,
            one.metrics["scores"][first[1].column][metric]
            - other.metrics["scores"][second[1].column][metric],
        )
        for one, other in shared
    ]
    return compare_pairs(metric, first, second, differences)


def compare_pairs(
    metric: str, first: Scored, second: Scored, differences: Sequence[tuple[str, float]]
) -> Comparison:
    """Compare two methods by their paired differences.

    Args:
        metric: One of `METRICS`.
        first: Method and score column.
        second: Method and score column.
        differences: Dataset, and first minus second on one of its splits; at least one.
    """
    by_dataset: dict[str, list[float]] = {}
    for dataset, difference in differences:
        by_dataset.setdefault(dataset, []).append(difference)
    values = [difference for _, difference in differences]
    return Comparison(
        metric=metric,
        first=first,
        second=second,
        difference=float(np.mean(values)),
        pairs=len(values),
        datasets=len(by_dataset),
        datasets_ahead=sum(float(np.mean(each)) > 0 for each in by_dataset.values()),
        p=sign_flip_p_value([sum(each) for each in by_dataset.values()]),
    )


def correct(comparisons: list[Comparison]) -> list[Comparison]:
    """Correct for the comparisons that could turn out significant; mark the others."""
    testable = [i for i, c in enumerate(comparisons) if 2.0 ** (1 - c.datasets) <= ALPHA]
    result = [replace(c, too_few=True) for c in comparisons]
    corrected = holm([comparisons[i].p for i in testable])
    # Holm's method multiplies a p-value by the number of comparisons that are not yet significant.
    left = max(1, sum(p > ALPHA for p in corrected))
    for i, p in zip(testable, corrected, strict=True):
        out_of_reach = p > ALPHA and 2.0 ** (1 - comparisons[i].datasets) * left > ALPHA
        result[i] = replace(comparisons[i], p_holm=p, too_few=out_of_reach)
    return result
