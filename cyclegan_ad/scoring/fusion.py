"""Fused scores: one number from signals of a CycleGAN's networks and a linear probe.

A fused score is a logistic regression on a few terms, each a signal with a logarithm where it is an
amount. Its weights come from images of which neither the networks nor the probe that gave their
values had any part in training: the tuning images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from torch import Tensor

from cyclegan_ad.methods.folds import assign_folds, smallest_class
from cyclegan_ad.methods.probe_fit import balanced_log_loss
from cyclegan_ad.metrics.thresholds import auroc

Values = NDArray[np.float64]

SIGNAL_TERMS = (
    *("sse", "change_abnormal", "cycle_normal", "cycle_abnormal"),
    *("critic_normal", "critic_normal_peak", "critic_abnormal", "critic_abnormal_peak"),
)
"""Terms of ``fused_signals``."""
PROBE_TERM = "probe"
"""The term that ``fused`` has beside them: decision value of a linear probe."""
LEAST_TUNING_IMAGES = 2
"""Different tuning images of each class: one to fit to and one to judge the fit."""

# Weight of the loss against the penalty, as scikit-learn's C; there are some ten images of a class.
# The smallest leaves the probe as it is.
_STRENGTHS = (0.0001, 0.001, 0.01, 0.03, 0.1, 0.3, 1.0)
_PRIOR = {PROBE_TERM: 1.0}  # weights that the penalty pulls to; 0 for all other terms
_FOLDS = 5
_LISTS = ("terms", "weights", "centres")
_SMALLEST = 1e-6  # of an amount, so that its logarithm is finite


@dataclass(frozen=True)
class Fusion:
    """Parameters of a fused score: ``intercept + sum of weight * (term - centre)``.

    Attributes:
        terms: Names of the terms.
        weights: Weight of each term.
        centres: Value of each term half-way between the means of the two classes.
        intercept: Score of an image with these values.
        strength: Weight of the loss against the penalty, chosen by cross-validation.
        normal: Number of normal tuning images.
        abnormal: Number of abnormal tuning images.
        auroc: AUROC in [0, 1] on the tuning images: of each term alone, and of the fused score
            (``fused``) fitted without the fold of the image.
    """

    terms: tuple[str, ...]
    weights: tuple[float, ...]
    centres: tuple[float, ...]
    intercept: float
    strength: float
    normal: int
    abnormal: int
    auroc: dict[str, float]

    def contributions(self, terms: Tensor) -> Tensor:
        """Compute what each term adds to the score: (N, K) float64 to the same."""
        weights = torch.tensor(self.weights, dtype=torch.float64, device=terms.device)
        centres = torch.tensor(self.centres, dtype=torch.float64, device=terms.device)
        return (terms - centres) * weights

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as stored in ``metrics.json`` and ``detector.json``."""
        fields = asdict(self)
        return fields | {name: list(fields[name]) for name in _LISTS}

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """Parse the result of :meth:`as_dict`.

        Raises:
            ValueError: If it is not one.
        """
        if fields.keys() != cls.__dataclass_fields__.keys():
            raise ValueError("not the parameters of a fused score")
        found = cls(**(dict(fields) | {name: tuple(fields[name]) for name in _LISTS}))
        if not len(found.terms) == len(found.weights) == len(found.centres):
            raise ValueError("not the parameters of a fused score")
        return found


def fused_terms(score: str) -> tuple[str, ...]:
    """Return the names of the terms of ``fused`` or ``fused_signals``."""
    return (*SIGNAL_TERMS, PROBE_TERM) if score == "fused" else SIGNAL_TERMS


def as_term(name: str, raw: Tensor) -> Tensor:
    """Transform a raw signal to a term: amounts to their logarithm, higher for more abnormal.

    Args:
        name: Name of the term.
        raw: (N,) float64.

    Returns:
        (N,) float64, finite for finite input.

    Example:
        >>> amount = torch.tensor([1.0, 0.0], dtype=torch.float64)
        >>> [round(value, 3) for value in as_term("sse", amount).tolist()]
        [0.0, -13.816]
        >>> as_term("change_abnormal", -amount[:1]).item(), as_term("probe", -amount[:1]).item()
        (-0.0, -1.0)
    """
    match name:
        case "sse" | "cycle_normal":
            return raw.clamp(min=_SMALLEST).log()
        case "change_abnormal" | "cycle_abnormal":
            return -(-raw).clamp(min=_SMALLEST).log()
        case _:
            return raw


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
        The fused score, and the score (N,) float64 of each image by a fit without its fold.

    Raises:
        ValueError: If a class has fewer than `LEAST_TUNING_IMAGES` groups.
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
            | {"fused": auroc(outside, targets)},
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
    from scipy.optimize import minimize

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
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds).x
    weights = np.where(constant, 0.0, found[:-1] / np.where(constant, 1.0, scale))
    return weights, float(found[-1] - mean @ weights)


def tuning_folds(labels: Sequence[int], groups: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Divide the tuning images into folds, (N,) from 0, see :func:`.folds.assign_folds`."""
    return assign_folds(labels, groups, min(_FOLDS, smallest_class(labels, groups)[1]), seed)


def enough_to_fuse(labels: ArrayLike, groups: Sequence[str]) -> bool:
    """Return whether the tuning images suffice for :func:`fit_fusion`."""
    found = smallest_class(np.asarray(labels).tolist(), groups)[1]
    return found >= LEAST_TUNING_IMAGES
