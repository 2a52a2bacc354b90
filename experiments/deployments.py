"""One deployment: draw images, train, set a threshold by a protocol, judge the population."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from cyclegan_ad.methods.probe_fit import decide, fit_probe
from cyclegan_ad.metrics.crossval import crossval, deal_folds
from cyclegan_ad.metrics.protocols import calibrated
from experiments.populations import Population

Features = NDArray[np.float32]
Score = Callable[[Features], NDArray[np.float64]]
_STRENGTHS, _INNER_FOLDS = (0.01, 0.1), 2
_PENALTY = 0.1  # of the squared weights, beside a mean of squared errors
_CALIBRATION_FRACTION = 0.2
LEAVE_ONE_OUT = "leave_one_out"


@dataclass(frozen=True)
class Rule:
    """How a deployment sets its threshold.

    Attributes:
        title: Text in the table.
        images: Abnormal images drawn for training and threshold together; as many normal ones.
        folds: For ``crossval``: number, or ``leave_one_out``; None for ``calibrated``; 1 for a
            method that trains on normal images only.
        fit: How a linear probe is fitted: ``ridge`` or ``logistic``.
    """

    title: str
    images: int
    folds: int | str | None
    fit: str


@dataclass(frozen=True)
class Drawn:
    """Images of one deployment: those drawn, and the rest of the population."""

    normal: Features
    abnormal: Features
    rest: Features
    labels: NDArray[np.int64]  # of the rest


def deploy(population: Population, rule: Rule, confidence: float, seed: Sequence[int]) -> Any:
    """Run one deployment.

    Args:
        population: Images to draw from, without replacement.
        rule: How the threshold is set.
        confidence: Confidence level of the bound.
        seed: Seed of the draw.

    Returns:
        Result of `calibrated` or `crossval` on the rest of the population, and
        ``population_miss_rate``: the missed share of the abnormal images that the bound is about.
        These are all that its model, the one without the largest fold, was not fitted to. The
        threshold was set on some of them, which are drawn from all of these at random and not
        missed.
    """
    rng = np.random.default_rng(seed)
    drawn = _draw(population, rule.images, rng)
    with threadpool_limits(1):
        found = _calibrate(drawn, rule, confidence) if rule.folds is None else None
        if found is None:
            found = _cross_validate(drawn, rule, confidence, int(rng.integers(2**31)))
    judged = len(population.abnormal) - _fitted(rule, found)
    return found | {"population_miss_rate": found["misses"] / judged}


def _fitted(rule: Rule, found: dict[str, Any]) -> int:
    """Return the number of abnormal images that the model of the bound was fitted to."""
    if rule.folds == 1:
        return 0
    held_out = found["calibration_abnormal"] if rule.folds is None else found["largest_fold"]
    return rule.images - int(held_out)


def _draw(population: Population, images: int, rng: np.random.Generator) -> Drawn:
    orders = [rng.permutation(len(of)) for of in (population.normal, population.abnormal)]
    (normal, others), (abnormal, defects) = (
        (of[order[:images]], of[order[images:]])
        for of, order in zip((population.normal, population.abnormal), orders, strict=True)
    )
    labels = np.repeat([0, 1], [len(others), len(defects)])
    return Drawn(normal, abnormal, np.concatenate([others, defects]), labels)


def _calibrate(drawn: Drawn, rule: Rule, confidence: float) -> dict[str, Any]:
    """Keep a fifth of the abnormal images out of training and set the threshold on them."""
    kept = max(1, round(_CALIBRATION_FRACTION * len(drawn.abnormal)))
    score = FITS[rule.fit](drawn.normal, drawn.abnormal[kept:])
    return calibrated(
        score(drawn.abnormal[:kept]),
        score(drawn.rest),
        drawn.labels,
        calibration_groups=[str(i) for i in range(kept)],
        margin=0.0,
        confidence=confidence,
    )


def _cross_validate(drawn: Drawn, rule: Rule, confidence: float, seed: int) -> dict[str, Any]:
    groups = [str(i) for i in range(len(drawn.abnormal))]
    folds = len(groups) if rule.folds == LEAVE_ONE_OUT else int(rule.folds or 1)
    fold_of = np.array(deal_folds(groups, folds, seed))
    held_out, scores = np.zeros(len(groups)), []
    for fold in range(folds):
        if folds == 1:
            score = _distance(drawn.normal)
        else:
            score = FITS[rule.fit](drawn.normal, drawn.abnormal[fold_of != fold])
        held_out[fold_of == fold] = score(drawn.abnormal[fold_of == fold])
        scores.append(score(drawn.rest))
    return crossval(
        held_out,
        fold_of.tolist(),
        groups,
        np.array(scores),
        drawn.labels,
        margin=0.0,
        confidence=confidence,
    )


def _distance(normal: Features) -> Score:
    """Return the distance from the mean of normal images, in standard deviations."""
    mean, scale = normal.mean(axis=0), normal.std(axis=0) + 1e-6
    return lambda features: np.linalg.norm((features - mean) / scale, axis=1).astype(np.float64)


def _ridge(normal: Features, abnormal: Features) -> Score:
    """Fit a linear probe by regularised least squares, in closed form; classes count the same."""
    features = np.concatenate([normal, abnormal]).astype(np.float64)
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    rows = (features - mean) / scale
    weights = np.repeat([1 / len(normal), 1 / len(abnormal)], [len(normal), len(abnormal)])
    targets = np.repeat([-1.0, 1.0], [len(normal), len(abnormal)])
    weighted = rows.T * weights
    matrix = weighted @ rows + _PENALTY * np.eye(rows.shape[1])
    weight = np.linalg.solve(matrix, weighted @ targets) / scale
    return lambda images: (images - mean) @ weight


def _logistic(normal: Features, abnormal: Features) -> Score:
    """Fit a smaller form of the probe of ``method=linear_probe``; its strength is chosen too."""
    features = np.concatenate([normal, abnormal])[:, None]
    # Small fits: checks of their input would take as long as they do.
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        probe = fit_probe(
            features,
            [0] * len(normal) + [1] * len(abnormal),
            [str(i) for i in range(len(features))],
            strengths=_STRENGTHS,
            folds=_INNER_FOLDS,
            seed=0,
        )
    return lambda images: decide(probe, images[:, None])


FITS: dict[str, Callable[[Features, Features], Score]] = {"ridge": _ridge, "logistic": _logistic}
