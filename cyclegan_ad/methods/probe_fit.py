"""The linear probe as functions of features: fit, and values of images it has not seen.

A probe is a logistic regression on standardised features. NumPy and scikit-learn only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from operator import methodcaller

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.errors import UserError
from cyclegan_ad.methods.folds import assign_folds, smallest_class
from cyclegan_ad.text import counted

# With strong regularisation some 100 iterations suffice; scikit-learn warns where they do not.
_MAX_ITERATIONS = 2000

Features = NDArray[np.float32]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Probe:
    """A fitted probe; the standardisation of the features is part of weight and intercept.

    Attributes:
        weight: (D,) float64, one weight per feature.
        intercept: Value of an image whose features are all 0.
        strengths: The inverse regularisation C that was chosen, of each part of the features.
    """

    weight: Values
    intercept: float
    strengths: tuple[float, ...]


def decide(probe: Probe, features: Features) -> Values:
    """Return the decision value of each image, the mean over its symmetries.

    Args:
        probe: A fitted probe.
        features: (N, S, D) float32, features of each image in S symmetries.

    Returns:
        (N,) float64, higher is more abnormal; 0 is the boundary of the balanced classes.
    """
    means = features.mean(axis=1, dtype=np.float64)
    return means @ probe.weight + probe.intercept


def fit_probe(
    features: Features,
    labels: Sequence[int],
    groups: Sequence[str],
    *,
    strengths: Sequence[float],
    folds: int,
    seed: int,
    parts: Sequence[int] = (),
) -> Probe:
    """Fit a logistic regression, with the regularisation that cross-validation finds best.

    With several parts of the features, each is fitted by itself and the decision values are
    averaged, so that many features of one kind do not outvote few of another.

    Each symmetry of an image is a row. Features are standardised, classes weighted to count the
    same, and weights penalised by their squares. Each image gets the decision value of the probe
    fitted to the other folds. The strengths are tried from the smallest on, as long as the log
    loss of these values falls. (Of a few hundred images the AUROC of several strengths differs by
    less than its standard error, and says nothing of overconfident values.)

    Args:
        features: (N, S, D) float32, features of each image in S symmetries.
        labels: Label of each image, 0 normal or 1 abnormal.
        groups: Group of each image; images of one group are in one fold.
        strengths: Possible values of scikit-learn's C > 0, the inverse of the penalty's weight. The
            smallest is taken if a class has a single group, which no fold can do without.
        folds: Folds of the cross-validation; the groups of the smaller class if those are fewer.
        seed: Seed of the folds.
        parts: Number of features of each part, in order; none for one part.

    Returns:
        The probe fitted to all images.

    Raises:
        UserError: If all images have the same features.
        ValueError: If a class has no image.
    """
    if len(parts) > 1:
        ends = np.cumsum(parts)[:-1]
        fits = [
            fit_probe(part, labels, groups, strengths=strengths, folds=folds, seed=seed)
            for part in np.split(features, ends, axis=2)
        ]
        return Probe(
            np.concatenate([one.weight for one in fits]) / len(fits),
            sum(one.intercept for one in fits) / len(fits),
            tuple(strength for one in fits for strength in one.strengths),
        )
    targets, ordered = np.asarray(labels), sorted(set(strengths))
    whole = _Fit(features, targets)
    if whole.is_constant:
        raise UserError(
            f"method=linear_probe: all {features.shape[2]} features are the same for each of the "
            f"{counted(len(targets), 'training image')}: the images are equal or the weights of "
            "the network unusable; look at the images, or use another method.backbone"
        )
    possible = min(folds, smallest_class(labels, groups)[1])
    with _fits_side_by_side(possible) as pool:
        if len(ordered) == 1 or possible == 1:
            return whole.with_strength(ordered[0])
        fold_of = assign_folds(labels, groups, possible, seed)
        without = [_Fit(features, targets, fold_of != fold) for fold in range(possible)]
        best, lowest = 0, np.inf
        for number, strength in enumerate(ordered):
            values = np.zeros(len(targets))
            probes = pool.map(methodcaller("with_strength", strength), without)
            for fold, probe in enumerate(probes):
                values[fold_of == fold] = decide(probe, features[fold_of == fold])
            loss = round(balanced_log_loss(values, targets), 6)
            if loss >= lowest:
                break
            best, lowest = number, loss
        return [whole.with_strength(strength) for strength in ordered[: best + 1]][-1]


@contextlib.contextmanager
def _fits_side_by_side(fits: int) -> Iterator[ThreadPoolExecutor]:
    """Use one thread for each fit, so that sums do not depend on the number of cores."""
    from threadpoolctl import threadpool_info, threadpool_limits

    threads = max((library["num_threads"] for library in threadpool_info()), default=1)
    with threadpool_limits(1), ThreadPoolExecutor(max(1, min(fits, threads))) as pool:
        yield pool


def out_of_fold(
    features: Features,
    labels: Sequence[int],
    groups: Sequence[str],
    fold_of: NDArray[np.int64],
    *,
    strengths: Sequence[float],
    folds: int,
    seed: int,
    parts: Sequence[int] = (),
) -> Values:
    """Return the decision value of each image, of the probe fitted without the image's fold.

    The strength is chosen anew for each fold, without it.

    Args:
        features: As for :func:`fit_probe`.
        labels: Likewise.
        groups: Likewise.
        fold_of: (N,) the fold of each image, as from :func:`assign_folds`.
        strengths: As for :func:`fit_probe`.
        folds: Folds of the cross-validation within the other folds.
        seed: As for :func:`fit_probe`.
        parts: Likewise.

    Returns:
        (N,) float64, higher is more abnormal.

    Raises:
        UserError: As by :func:`fit_probe`.
    """
    values = np.zeros(len(labels))
    targets, names = np.asarray(labels), np.asarray(groups)
    for fold in np.unique(fold_of):
        kept, held_out = fold_of != fold, fold_of == fold
        probe = fit_probe(
            features[kept],
            targets[kept].tolist(),
            names[kept].tolist(),
            strengths=strengths,
            folds=folds,
            seed=seed,
            parts=parts,
        )
        values[held_out] = decide(probe, features[held_out])
    return values


def balanced_log_loss(values: Values, labels: NDArray[np.int64]) -> float:
    """Compute the mean negative log likelihood of decision values, both classes counting the same.

    Args:
        values: (N,) decision values.
        labels: (N,) 0 normal or 1 abnormal; both occur.
    """
    losses = np.logaddexp(0, np.where(labels == 1, -values, values))
    return float(np.mean([losses[labels == label].mean() for label in (0, 1)]))


class _Fit:
    """Fits to the same images, each from the one before (warm start).

    The standardised features are not kept, as there is a fit for each fold.

    Args:
        features: (N, S, D) float32.
        labels: (N,) 0 normal or 1 abnormal.
        kept: (N,) whether an image is fitted to; None for all.

    Attributes:
        is_constant: Whether all features are the same for each of these images, so that the
            weights are 0.
    """

    def __init__(
        self,
        features: Features,
        labels: NDArray[np.int64],
        kept: NDArray[np.bool_] | None = None,
    ) -> None:
        from sklearn.linear_model import LogisticRegression

        self._features, self._kept = features, kept
        rows = self._rows()
        self._mean = rows.mean(axis=0, dtype=np.float64)
        self._scale = rows.std(axis=0, dtype=np.float64)
        self._varying = self._scale > 1e-7 * np.abs(self._mean).max(initial=1e-30)
        self.is_constant = not self._varying.any()
        self._scale[~self._varying] = 1.0
        self._targets = np.repeat(labels if kept is None else labels[kept], features.shape[1])
        self._model = LogisticRegression(
            class_weight="balanced", max_iter=_MAX_ITERATIONS, tol=1e-5, warm_start=True
        )

    def with_strength(self, strength: float) -> Probe:
        """Fit with a strength of the regularisation."""
        standardised = self._rows().astype(np.float64)
        standardised -= self._mean
        standardised /= self._scale
        # A constant feature would be divided by rounding errors; as 0 it gets no weight.
        standardised[:, ~self._varying] = 0.0
        self._model.set_params(C=strength).fit(standardised, self._targets)
        weight = self._model.coef_[0] / self._scale
        intercept = float(self._model.intercept_[0] - self._mean @ weight)
        return Probe(weight, intercept, (float(strength),))

    def _rows(self) -> Features:
        """Return the features, a row for each symmetry of each image."""
        own = self._features if self._kept is None else self._features[self._kept]
        return own.reshape(-1, own.shape[2])
