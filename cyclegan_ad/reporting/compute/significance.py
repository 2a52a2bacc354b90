"""Whether one method is better than another on the very same splits, or only luckier."""

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

# Sign patterns tried; all of them up to 16 pairs.
_PATTERNS = 2**16


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two methods, each with one score, on the splits that both were tested on.

    Attributes:
        metric: ``auroc`` or ``zfn_accuracy`` (thresholds of the test images).
        first: method and score column.
        second: method and score column.
        difference: mean over the pairs of first minus second, a fraction.
        pairs: number of (dataset, seed) pairs.
        datasets: number of datasets among them.
        datasets_ahead: on how many of those the first is better on average.
        p: two-sided, uncorrected.
        p_holm: corrected for all comparisons of the metric; None where there are too few pairs.
        too_few: whether no outcome of so few pairs could be significant at 5 %.
    """

    metric: str
    first: tuple[Method, ScoreColumn]
    second: tuple[Method, ScoreColumn]
    difference: float
    pairs: int
    datasets: int
    datasets_ahead: int
    p: float
    p_holm: float | None = None
    too_few: bool = False


def sign_flip_p_value(differences: ArrayLike) -> float:
    """Test whether paired differences are centred on zero, by flipping their signs.

    If neither method were better, each difference could as well have had the other sign. Up to 16
    pairs all sign patterns are tried, so the value is exact and at least 2**(1 - n); beyond, as
    many random ones.

    Args:
        differences: (n,) real, n >= 1.

    Returns:
        Two-sided p-value in (0, 1]: the share of patterns whose mean is as far from zero.

    Raises:
        ValueError: if there are none, or one is not finite.

    Example:
        >>> sign_flip_p_value([1.0, 2.0, 3.0])
        0.25
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError("differences must be (n,) finite numbers with n >= 1")
    observed = abs(values.sum())
    # Sums that differ by rounding alone are equal.
    limit = observed - 1e-9 * max(1e-300, float(np.abs(values).sum()))
    if values.size <= _PATTERNS.bit_length() - 1:
        sums = np.zeros(1)
        for value in values:
            sums = np.concatenate([sums + value, sums - value])
        return float(np.mean(np.abs(sums) >= limit))
    random = np.random.default_rng(0)
    signs = random.integers(0, 2, (_PATTERNS, values.size), dtype=np.int8) * 2 - 1
    as_far = np.count_nonzero(np.abs(signs @ values) >= limit)
    return float((as_far + 1) / (_PATTERNS + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def compare_methods(study: Study) -> tuple[list[Comparison], list[LeftOut]]:
    """Compare every two methods of Table 2, score by score, over the splits that both have.

    Args:
        study: all cells.

    Returns:
        The comparisons, and the runs left out of them because the test images of one seed differ.
    """
    table: dict[tuple[Method, ScoreColumn], dict[tuple[str, int], Run]] = {}
    for run in study.runs:
        for column in run.scores:
            if table2_row(column, run.method.name) is not None:
                table.setdefault((run.method, column), {})[run.dataset, run.seed] = run
    found: list[Comparison] = []
    keys = sorted(table, key=lambda key: (key[0].order, score_order(key[1])))
    for first, second in itertools.combinations(keys, 2):
        shared = [
            (table[first][split], table[second][split])
            for split in sorted(table[first].keys() & table[second].keys())
            if table[first][split].test_set == table[second][split].test_set
        ]
        if shared and first[0] != second[0]:
            found += [_compare(metric, first, second, shared) for metric in METRICS]
    corrected = [
        c for metric in METRICS for c in _correct([c for c in found if c.metric == metric])
    ]
    return corrected, _other_splits(study.runs)


def _other_splits(runs: Sequence[Run]) -> list[LeftOut]:
    """Runs whose test images are not those that most runs of the dataset and seed have."""
    splits: dict[tuple[str, int], dict[str, list[Run]]] = {}
    for run in runs:
        splits.setdefault((run.dataset, run.seed), {}).setdefault(run.test_set, []).append(run)
    found = []
    for _, by_test_set in sorted(splits.items()):
        usual = max(by_test_set.values(), key=len)
        found += [
            LeftOut(
                f"{run.shown}, pairs",
                f"its test images are not those of {usual[0].shown} (see split.csv), so the two "
                "are not compared in pairs",
            )
            for members in by_test_set.values()
            if members is not usual
            for run in members
        ]
    return found


def _compare(
    metric: str,
    first: tuple[Method, ScoreColumn],
    second: tuple[Method, ScoreColumn],
    shared: list[tuple[Run, Run]],
) -> Comparison:
    by_dataset: dict[str, list[float]] = {}
    for one, other in shared:
        difference = (
            one.metrics["scores"][first[1].column][metric]
            - other.metrics["scores"][second[1].column][metric]
        )
        by_dataset.setdefault(one.dataset, []).append(difference)
    differences = [value for values in by_dataset.values() for value in values]
    return Comparison(
        metric=metric,
        first=first,
        second=second,
        difference=float(np.mean(differences)),
        pairs=len(differences),
        datasets=len(by_dataset),
        datasets_ahead=sum(float(np.mean(values)) > 0 for values in by_dataset.values()),
        p=sign_flip_p_value(differences),
    )


def _correct(comparisons: list[Comparison]) -> list[Comparison]:
    """Correct for the comparisons that could turn out significant; mark the others."""
    testable = [i for i, c in enumerate(comparisons) if 2.0 ** (1 - c.pairs) <= ALPHA]
    corrected = holm([comparisons[i].p for i in testable])
    result = [replace(c, too_few=True) for c in comparisons]
    for i, p in zip(testable, corrected, strict=True):
        # Holm's first step multiplies by the number of comparisons.
        out_of_reach = 2.0 ** (1 - comparisons[i].pairs) * len(testable) > ALPHA
        result[i] = replace(comparisons[i], p_holm=p, too_few=out_of_reach)
    return result
