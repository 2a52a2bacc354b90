"""Fit of a fused score to its terms of the tuning images. NumPy and SciPy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from cyclegan_ad.methods.folds import assign_folds, smallest_class
from cyclegan_ad.methods.probe_fit import balanced_log_loss
from cyclegan_ad.metrics.thresholds import auroc, auroc_within
from cyclegan_ad.scoring.fusion import PROBE_TERM, Fusion

Values = NDArray[np.float64]

LEAST_TUNING_IMAGES = 2
"""Different tuning images of each class: one to fit to and one to judge the fit."""

# Weight of the loss against the penalty, as scikit-learn's C; there are some ten images of a class.
# The smallest leaves the probe as it is.
_STRENGTHS = (0.0001, 0.001, 0.01, 0.03, 0.1, 0.3, 1.0)
_PRIOR = {PROBE_TERM: 1.0}  # weights that the penalty pulls to; 0 for all other terms
_FOLDS = 5
_OPTIONS = {"ftol": 1e-12, "gtol": 1e-7, "maxiter": 10_000}  # of the minimisation
_LARGEST_SLOPE = 0.01


def fit_fusion(
    terms: Values, labels: Sequence[int], groups: Sequence[str], names: Sequence[str], *, seed: int
) -> tuple[Fusion, Values]:
    """Fit a fused score to the terms of the tuning images.

    Terms are standardised and classes weighted to count the same. The penalty of the squares pulls
    the weights to 0, but that of the probe to 1: with the strongest one the fused score is the
    probe's decision value, which many more images were used for, and the signals count as far as
    these few images show that they help. Weights are not negative, as each term is higher for more
    abnormal by its definition: one that points the other way here gets no weight. The strength of
    the penalty is the one with the smallest log loss of images left out of the fit
    (cross-validation).

    Args:
        terms: (N, K) float64, terms of the tuning images.
        labels: N labels, 0 normal or 1 abnormal.
        groups: N names; images of one name are in one fold.
        names: Names of the K terms.
        seed: Seed of the folds.

    Returns:
        The fused score, and the score (N,) float64 of each image by a fit without its fold. The
        scores of two folds differ in scale, as each fit has its own penalty. The probe's values of
        the images that a fit sees come from probes that saw the fold, so that ``auroc`` of a fused
        score with a probe is slightly optimistic.

    Raises:
        ValueError: If a class has fewer than `LEAST_TUNING_IMAGES` groups.
        RuntimeError: If the minimisation does not converge.
    """
    targets, names_of = np.asarray(labels), np.asarray(groups)
    prior = np.array([_PRIOR.get(name, 0.0) for name in names])
    weights, intercept, strength = _fit_best(terms, targets, names_of, prior, seed)
    outside = np.zeros(len(targets))
    fold_of = tuning_folds(labels, groups, seed)
    for fold in np.unique(fold_of):
        kept = fold_of != fold
        own_weights, own_intercept, _ = _fit_best(
            terms[kept], targets[kept], names_of[kept], prior, seed
        )
        outside[~kept] = terms[~kept] @ own_weights + own_intercept
    abnormal = targets == 1
    centres = (terms[abnormal].mean(axis=0) + terms[~abnormal].mean(axis=0)) / 2
    return (
        Fusion(
            terms=tuple(names),
            weights=tuple(weights.tolist()),
            centres=tuple(centres.tolist()),
            intercept=float(intercept + centres @ weights),
            strength=strength,
            normal=int((~abnormal).sum()),
            abnormal=int(abnormal.sum()),
            auroc={name: auroc(terms[:, i], targets) for i, name in enumerate(names)}
            | {"fused": auroc_within(outside, targets, fold_of)},
        ),
        outside,
    )


def _fit_best(
    terms: Values,
    labels: NDArray[np.int64],
    groups: NDArray[np.str_],
    prior: Values,
    seed: int,
) -> tuple[Values, float, float]:
    """Fit with the best strength: weights (K,) and intercept for raw terms, and the strength."""
    if smallest_class(labels.tolist(), groups.tolist())[1] < LEAST_TUNING_IMAGES:
        return *_fit(terms, labels, prior, _STRENGTHS[0]), _STRENGTHS[0]
    fold_of = tuning_folds(labels.tolist(), groups.tolist(), seed)
    losses = []
    for strength in _STRENGTHS:
        values = np.zeros(len(labels))
        for fold in np.unique(fold_of):
            kept = fold_of != fold
            weights, intercept = _fit(terms[kept], labels[kept], prior, strength)
            values[~kept] = terms[~kept] @ weights + intercept
        losses.append(round(balanced_log_loss(values, labels), 6))
    best = _STRENGTHS[losses.index(min(losses))]
    return *_fit(terms, labels, prior, best), best


def _fit(
    terms: Values, labels: NDArray[np.int64], prior: Values, strength: float
) -> tuple[Values, float]:
    """Minimise ``strength * balanced log loss + |w - p|^2 / 2`` for standardised terms, w >= 0.

    ``p`` are the prior weights, (K,) for raw terms. scikit-learn's logistic regression has neither
    these nor bounds on the weights.
    """
    from scipy.optimize import minimize  # slow

    mean, scale = terms.mean(axis=0), terms.std(axis=0)
    constant = scale <= 1e-12 * np.abs(mean)  # it says nothing
    standardised = np.where(constant, 0.0, (terms - mean) / np.where(constant, 1.0, scale))
    start = np.where(constant, 0.0, prior * scale)
    sign = np.where(labels == 1, 1.0, -1.0)
    counted_as = len(labels) / (2 * np.bincount(labels, minlength=2)[labels])

    def loss(parameters: Values) -> tuple[float, Values]:
        margins = sign * (standardised @ parameters[:-1] + parameters[-1])
        slopes = -strength * counted_as * sign * expit(-margins)
        away = parameters[:-1] - start
        value = strength * (counted_as * np.logaddexp(0, -margins)).sum()
        value += 0.5 * np.square(away).sum()
        gradient = np.append(standardised.T @ slopes + away, slopes.sum())
        return float(value), gradient

    bounds = [(0, None)] * len(start) + [(None, None)]
    begin = np.append(start, 0.0)
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds, options=_OPTIONS)
    # A weight at its bound may have a positive slope. The curvature of the penalty is 1, so the
    # weights are no farther from the optimum than the slopes from 0.
    free = np.append(found.x[:-1] > 0, True) | (found.jac < 0)
    if np.abs(found.jac[free]).max() > _LARGEST_SLOPE:
        raise RuntimeError(f"the fit of a fused score did not converge: {found.message}")
    weights = np.where(constant, 0.0, found.x[:-1] / np.where(constant, 1.0, scale))
    return weights, float(found.x[-1] - mean @ weights)


def tuning_folds(labels: Sequence[int], groups: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Divide the tuning images into folds, (N,) from 0, see :func:`.folds.assign_folds`."""
    return assign_folds(labels, groups, min(_FOLDS, smallest_class(labels, groups)[1]), seed)


def enough_to_fuse(labels: ArrayLike, groups: Sequence[str]) -> bool:
    """Return whether the tuning images suffice for :func:`fit_fusion`."""
    found = smallest_class(np.asarray(labels).tolist(), groups)[1]
    return found >= LEAST_TUNING_IMAGES
