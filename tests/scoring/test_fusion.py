"""Fused scores: terms by hand, the fit against scikit-learn, values of images it has not seen."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cyclegan_ad.methods.names import FUSED, SIGNALS
from cyclegan_ad.metrics.thresholds import auroc, auroc_within
from cyclegan_ad.scoring import fit_fusion as fitting
from cyclegan_ad.scoring.fit_fusion import enough_to_fuse, fit_fusion, tuning_folds
from cyclegan_ad.scoring.fusion import PROBE_TERM, SIGNAL_TERMS, Fusion, as_term, fused_terms

NAMES = ("sse", "critic_abnormal", "probe")
BY_HAND = Fusion(
    terms=NAMES,
    weights=(2.0, -1.0, 0.5),
    centres=(1.0, 0.25, -2.0),
    intercept=0.125,
    strength=0.1,
    normal=3,
    abnormal=2,
    auroc={"sse": 0.75, "critic_abnormal": 0.5, "probe": 1.0, "fused": 1.0},
)


def drawn(n: int = 40, seed: int = 1) -> tuple[Any, list[int], list[str]]:
    """Terms that each tell the classes apart, of sizes that differ, and a group for each image."""
    random = np.random.default_rng(seed)
    labels = [int(i % 3 == 0) for i in range(n)]
    terms = random.normal(size=(n, 3)) + 1.2 * np.array(labels)[:, None]
    return terms * [0.01, 1.0, 2.0] + [5.0, 0.0, -4.0], labels, [f"image{i}" for i in range(n)]


def fit(terms: Any, labels: list[int], groups: list[str]) -> tuple[Fusion, Any]:
    return fit_fusion(terms, labels, groups, NAMES, seed=3)


def decide(found: Fusion, terms: Any) -> Any:
    return found.intercept + found.contributions(torch.from_numpy(terms)).sum(dim=1).numpy()


@pytest.mark.parametrize(
    ("name", "raw", "term"),
    [
        ("sse", math.e, 1.0),
        ("cycle_normal", 1.0, 0.0),
        ("sse", 0.0, math.log(1e-6)),  # finite
        # Minus an amount: the less of it, the more abnormal.
        ("change_abnormal", -math.e, -1.0),
        ("cycle_abnormal", -1.0, 0.0),
        ("change_abnormal", 0.0, -math.log(1e-6)),
        ("critic_normal", -0.5, -0.5),
        ("critic_normal_peak", 3.0, 3.0),
        ("critic_abnormal", 0.0, 0.0),
        ("critic_abnormal_peak", 0.25, 0.25),
        ("probe", -7.0, -7.0),
    ],
)
def test_terms_by_hand(name: str, raw: float, term: float) -> None:
    found = as_term(name, torch.tensor([raw], dtype=torch.float64))
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(term, abs=1e-15)


@pytest.mark.parametrize("name", fused_terms("fused"))
def test_terms_rise_with_their_signal(name: str) -> None:
    """So that a term is higher for more abnormal, as each score is."""
    rising = torch.arange(1, 9, dtype=torch.float64)
    if name in ("change_abnormal", "cycle_abnormal"):
        rising = rising - 9
    assert (as_term(name, rising).diff() > 0).all()


@pytest.mark.parametrize("name", fused_terms("fused"))
def test_a_signal_that_is_not_finite_is_not_hidden(name: str) -> None:
    largest = -math.inf if name in ("change_abnormal", "cycle_abnormal") else math.inf
    found = as_term(name, torch.tensor([math.nan, largest], dtype=torch.float64))
    assert not torch.isfinite(found).any()


def test_terms_are_signals_and_for_one_score_the_probe() -> None:
    assert set(SIGNAL_TERMS) <= {"sse", *SIGNALS}
    assert fused_terms("fused_signals") == SIGNAL_TERMS
    assert fused_terms("fused") == (*SIGNAL_TERMS, PROBE_TERM)
    assert FUSED == ("fused", "fused_signals")


def test_contributions_by_hand() -> None:
    terms = torch.tensor([[1.0, 0.25, -2.0], [2.0, 1.25, 0.0]], dtype=torch.float64)
    found = BY_HAND.contributions(terms)
    assert found.dtype == torch.float64
    assert found.tolist() == [[0.0, 0.0, 0.0], [2.0, -1.0, 1.0]]


def test_parameters_survive_a_file() -> None:
    stored = json.loads(json.dumps(BY_HAND.as_dict()))
    assert stored == BY_HAND.as_dict()  # lists, not tuples
    assert Fusion.parse(stored) == BY_HAND


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields.pop("weights"),
        lambda fields: fields.update(bias=1.0),
        lambda fields: fields.update(weights=[1.0]),
        lambda fields: fields.update(terms=["sse"]),
    ],
)
def test_what_is_no_fused_score_is_refused(change: Any) -> None:
    fields = BY_HAND.as_dict()
    change(fields)
    with pytest.raises(ValueError, match="not the parameters of a fused score"):
        Fusion.parse(fields)


def test_the_fit_is_scikit_learns() -> None:
    """Of terms that each speak for abnormal, so that no weight of the optimum is negative."""
    terms, labels, groups = drawn()
    found, _ = fit_fusion(terms, labels, groups, SIGNAL_TERMS[:3], seed=3)

    def model(strength: float) -> Any:
        return make_pipeline(
            StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", tol=1e-8)
        )

    expected = model(found.strength).fit(terms, labels)
    assert (expected[-1].coef_ > 0.05).all()
    np.testing.assert_allclose(decide(found, terms), expected.decision_function(terms), atol=2e-3)
    np.testing.assert_allclose(
        np.array(found.weights), expected[-1].coef_[0] / expected[0].scale_, rtol=5e-3
    )
    # The strength is that of the smallest log loss of images outside the fit.
    folds, targets = tuning_folds(labels, groups, 3), np.array(labels)
    losses = {}
    for strength in fitting._STRENGTHS:
        outside = np.zeros(len(labels))
        for fold in np.unique(folds):
            kept = folds != fold
            one = model(strength).fit(terms[kept], targets[kept])
            outside[~kept] = one.decision_function(terms[~kept])
        loss = np.log1p(np.exp(np.where(targets == 1, -outside, outside)))
        losses[strength] = np.mean([loss[targets == label].mean() for label in (0, 1)])
    assert found.strength == min(losses, key=lambda strength: losses[strength])


def test_the_penalty_pulls_to_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    terms, labels, groups = drawn()
    monkeypatch.setattr(fitting, "_STRENGTHS", (1e-9,))
    found, outside = fit(terms, labels, groups)
    np.testing.assert_allclose(found.weights, [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(outside - terms[:, 2], np.mean(outside - terms[:, 2]), atol=5)
    assert found.auroc["fused"] == pytest.approx(found.auroc["probe"], abs=0.02)
    # With noise as signals, the probe is hardly changed; useful ones count.
    monkeypatch.undo()
    noise = np.random.default_rng(4).normal(size=(400, 2))
    probe = np.array([3.0 * (i % 2) - 1.5 for i in range(400)]) + noise[::-1, 0] * 1.6
    targets, names = [i % 2 for i in range(400)], [f"image{i}" for i in range(400)]
    first, _ = fit(np.column_stack([noise, probe]), targets, names)
    noise[:, 1] += 2.0 * np.array(targets)
    second, _ = fit(np.column_stack([noise, probe]), targets, names)
    assert max(first.weights[:2]) < 0.25 < 1.0 < second.weights[1]


def test_the_fit_with_a_prior_is_the_optimum() -> None:
    """Against another minimiser, without bounds: no weight of the optimum is at its bound."""
    terms, labels, _ = drawn()
    prior = np.array([0.0, 0.0, 0.02])
    weights, intercept = fitting._fit(terms, np.array(labels), prior, 0.3)
    mean, scale = terms.mean(axis=0), terms.std(axis=0)
    z, sign = (terms - mean) / scale, np.where(labels, 1.0, -1.0)
    counted_as = len(labels) / (2 * np.bincount(labels)[labels])

    def loss(p: Any) -> float:
        losses = np.log1p(np.exp(-sign * (z @ p[:3] + p[3])))
        away = p[:3] - prior * scale
        return float(0.3 * (counted_as * losses).sum() + 0.5 * (away**2).sum())

    best = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-7}).x
    np.testing.assert_allclose(weights * scale, best[:3], atol=1e-3)
    np.testing.assert_allclose(intercept, best[3] - mean @ (best[:3] / scale), atol=1e-2)


def test_a_term_that_points_the_other_way_does_not_count() -> None:
    terms, labels, groups = drawn()
    terms[:, 1] *= -1
    found, outside = fit(terms, labels, groups)
    assert found.weights[1] == 0 and found.auroc["critic_abnormal"] < 0.5
    assert found.weights[0] > 0 and found.weights[2] > 0
    # As if it were not there.
    other, outside_other = fit_fusion(
        terms[:, [0, 2]], labels, groups, [NAMES[0], NAMES[2]], seed=3
    )
    np.testing.assert_allclose(other.weights, np.array(found.weights)[[0, 2]], rtol=1e-3)
    np.testing.assert_allclose(outside_other, outside, atol=1e-2)


def test_what_is_stored_beside_the_weights() -> None:
    terms, labels, groups = drawn()
    found, outside = fit(terms, labels, groups)
    assert (found.terms, found.normal, found.abnormal) == (NAMES, 26, 14)
    abnormal = np.array(labels) == 1
    means = [terms[abnormal].mean(axis=0), terms[~abnormal].mean(axis=0)]
    np.testing.assert_allclose(found.centres, np.mean(means, axis=0))
    assert found.auroc == {
        **{name: auroc(terms[:, i], labels) for i, name in enumerate(NAMES)},
        "fused": auroc_within(outside, labels, tuning_folds(labels, groups, 3)),
    }
    # Between the classes no term contributes.
    assert decide(found, np.array([found.centres])) == pytest.approx(found.intercept)


def test_folds_of_another_scale_do_not_change_the_auroc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fit without a fold chooses its penalty, by which its scores are larger or smaller."""
    terms, labels, groups = drawn()
    expected = fit(terms, labels, groups)[0].auroc["fused"]
    fit_best, calls = fitting._fit_best, []

    def scaled(*given: Any) -> Any:
        weights, intercept, strength = fit_best(*given)
        calls.append(strength)
        factor = 10.0 ** len(calls)
        return weights * factor, (intercept - 3) * factor, strength

    monkeypatch.setattr(fitting, "_fit_best", scaled)
    found, outside = fit(terms, labels, groups)
    assert len(calls) == 6 and auroc(outside, labels) != pytest.approx(expected, abs=0.05)
    assert found.auroc["fused"] == pytest.approx(expected, abs=1e-12)


def test_a_fit_that_does_not_converge_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_OPTIONS", {"maxiter": 1})
    with pytest.raises(RuntimeError, match="did not converge"):
        fit(*drawn())


def test_units_of_terms_do_not_matter() -> None:
    terms, labels, groups = drawn()
    names = SIGNAL_TERMS[:3]  # the probe has a unit
    found, outside = fit_fusion(terms, labels, groups, names, seed=3)
    scale, shift = np.array([1e3, 7.0, 1e-3]), np.array([0.0, 3.0, -1.0])
    other, outside_other = fit_fusion(terms * scale + shift, labels, groups, names, seed=3)
    assert other.strength == found.strength
    np.testing.assert_allclose(outside_other, outside, atol=1e-3)
    np.testing.assert_allclose(
        np.array(other.weights) * scale, np.array(found.weights), rtol=1e-2, atol=1e-5
    )


def test_a_value_outside_the_fit_does_not_depend_on_the_label(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terms, labels, groups = drawn()
    folds = tuning_folds(labels, groups, 3)
    _, outside = fit(terms, labels, groups)
    own = np.flatnonzero(folds == 2)
    changed = [1 - label if i in own else label for i, label in enumerate(labels)]
    # The same folds, though they would be assigned otherwise; those within the fits are their own.
    assign = fitting.tuning_folds
    monkeypatch.setattr(
        fitting,
        "tuning_folds",
        lambda labels, *rest: folds if len(labels) == 40 else assign(labels, *rest),
    )
    fitted, found = fit(terms, changed, groups)
    np.testing.assert_array_equal(found[own], outside[own])
    assert not np.array_equal(found[folds == 0], outside[folds == 0])
    # Nor on the terms of the others of its fold, which its own fit does not see either.
    moved = terms.copy()
    moved[own[1:]] += 1.0
    _, found = fit(moved, labels, groups)
    assert found[own[0]] == outside[own[0]]
    assert decide(fitted, terms)[own[0]] != pytest.approx(outside[own[0]], abs=1e-6)


def test_copies_are_in_one_fold() -> None:
    _, labels, groups = drawn()
    groups[3] = groups[6] = groups[9] = "copy"
    folds = tuning_folds(labels, groups, 0)
    assert len({folds[3], folds[6], folds[9]}) == 1
    assert set(folds.tolist()) == set(range(5))
    assert np.array_equal(tuning_folds(labels, groups, 0), folds)


def test_two_images_of_each_class_are_enough() -> None:
    labels, groups = [0, 0, 1, 1], ["a", "b", "c", "d"]
    assert enough_to_fuse(labels, groups)
    assert not enough_to_fuse(labels, ["a", "b", "c", "c"])  # copies
    assert not enough_to_fuse(labels, ["a", "a", "c", "d"])
    assert not enough_to_fuse([0, 0, 0, 1], groups)
    terms = np.array([[0.0, 1.0, 0.0], [0.1, 0.8, 0.0], [1.0, 1.9, 0.0], [1.2, 2.0, 0.0]])
    found, outside = fit(terms, labels, groups)
    assert found.weights[2] == 0  # equal for all images
    assert np.isfinite(outside).all() and np.isfinite(decide(found, terms)).all()
    assert decide(found, terms)[2:].min() > decide(found, terms)[:2].max()
    with pytest.raises(ValueError, match="folds"):
        fit(terms, labels, ["a", "b", "c", "c"])
