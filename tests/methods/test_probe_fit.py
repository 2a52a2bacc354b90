"""Folds, fit and out-of-fold values of the linear probe, on made-up features."""

import numpy as np
from errors import refuses
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from cyclegan_ad.methods.folds import assign_folds
from cyclegan_ad.methods.probe_fit import Probe, decide, fit_probe, out_of_fold

GRID = {"strengths": (0.001, 0.01, 0.1), "folds": 4, "seed": 0}


def draw(normal: int = 24, abnormal: int = 16, symmetries: int = 2, size: int = 6, shift=1.5):
    """Features of which the first tells the classes apart; the last one is constant."""
    random = np.random.default_rng(3)
    labels = [0] * normal + [1] * abnormal
    features = random.normal(2.0, 3.0, (len(labels), symmetries, size)).astype(np.float32)
    features[:, :, 0] += 3.0 * shift * np.array(labels)[:, None]
    features[:, :, -1] = 0.7
    return features, labels, [f"image {i}" for i in range(len(labels))]


def test_decisions_are_means_over_symmetries():
    features = np.array([[[1, 2], [3, 4]], [[0, 0], [0, 2]]], np.float32)
    probe = Probe(np.array([10.0, 1.0]), intercept=-0.5, strengths=(1.0,))
    assert decide(probe, features).tolist() == [20 + 3 - 0.5, 1 - 0.5]


def test_the_fit_is_that_of_scikit_learn():
    features, labels, groups = draw()
    probe = fit_probe(features, labels, groups, strengths=[0.01], folds=4, seed=0)
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", tol=1e-8)
    )
    model.fit(features.reshape(80, 6).astype(float), np.repeat(labels, 2))
    expected = model.decision_function(features.reshape(80, 6).astype(float))
    np.testing.assert_allclose(
        decide(probe, features), expected.reshape(40, 2).mean(axis=1), atol=1e-3
    )
    assert probe.weight[-1] == 0  # constant
    assert probe.weight.dtype == np.float64 and probe.strengths == (0.01,)


def test_the_strength_has_the_smallest_loss_on_unseen_images():
    features, labels, groups = draw(shift=0.8)
    folds = assign_folds(labels, groups, 4, seed=0)
    losses = []
    for strength in GRID["strengths"]:
        values = np.zeros(40)
        for fold in range(4):
            seen, held_out = folds != fold, folds == fold
            fit = fit_probe(
                features[seen],
                np.array(labels)[seen].tolist(),
                np.array(groups)[seen].tolist(),
                strengths=[strength],
                folds=2,
                seed=0,
            )
            values[held_out] = decide(fit, features[held_out])
        share = 1 / (1 + np.exp(-values))
        weights = np.where(labels, 1 / 16, 1 / 24)
        losses.append(log_loss(labels, share, sample_weight=weights))
    best = GRID["strengths"][int(np.argmin(losses))]
    assert fit_probe(features, labels, groups, **GRID).strengths == (best,)


def test_strengths_after_the_best_are_not_tried(monkeypatch):
    features, labels, groups = draw(normal=12, abnormal=8, shift=0.0, size=60)
    strengths, tried = (1e-5, 1e-3, 1e-1, 1e1, 1e3, 1e5), []
    plain = LogisticRegression.fit

    def fit(self, *data):
        tried.append(self.C)
        return plain(self, *data)

    monkeypatch.setattr(LogisticRegression, "fit", fit)
    [best] = fit_probe(features, labels, groups, strengths=strengths, folds=4, seed=0).strengths
    after = strengths[strengths.index(best) + 1]
    assert best < 1e1 and max(tried) == after
    assert tried.count(after) == 4 and tried[-1] == best  # and then all images


def test_cores_do_not_matter():
    found = []
    for cores in (1, 3):
        with threadpool_limits(cores):
            found.append(fit_probe(*draw(size=200, symmetries=8), **GRID))
    np.testing.assert_array_equal(found[0].weight, found[1].weight)


def test_out_of_fold_values_do_not_see_their_image():
    features, labels, groups = draw(normal=12, abnormal=8, shift=0.0, size=60)
    folds = assign_folds(labels, groups, 4, seed=0)
    values = out_of_fold(features, labels, groups, folds, **GRID)
    changed = features.copy()
    changed[folds == 2] = 5.0  # what a fold holds has no effect on the others' training for it
    again = out_of_fold(changed, labels, groups, folds, **GRID)
    seen = folds != 2
    own = fit_probe(
        features[seen],
        np.array(labels)[seen].tolist(),
        np.array(groups)[seen].tolist(),
        **GRID,
    )
    np.testing.assert_array_equal(values[folds == 2], decide(own, features[~seen]))
    np.testing.assert_array_equal(again[folds == 2], decide(own, changed[~seen]))
    # Features without information: the training images are separated, unseen ones are not.
    one = {**GRID, "strengths": (0.1,)}
    inside = decide(fit_probe(features, labels, groups, **one), features)
    outside = out_of_fold(features, labels, groups, folds, **one)
    gap = [found[12:].mean() - found[:12].mean() for found in (inside, outside)]
    assert gap[0] > 0.5 and gap[1] < 0.5 * gap[0]


def test_one_abnormal_image_gets_the_strongest_penalty():
    features, labels, groups = draw(abnormal=3)
    copies = [*groups[:24], "one", "one", "one"]
    probe = fit_probe(features, labels, copies, **GRID)
    assert probe.strengths == (min(GRID["strengths"]),)
    alone = fit_probe(features, labels, copies, strengths=probe.strengths, folds=4, seed=0)
    np.testing.assert_array_equal(probe.weight, alone.weight)


def test_fewer_groups_than_folds_are_as_many_folds():
    features, labels, groups = draw(abnormal=2)
    assert fit_probe(features, labels, groups, **GRID).strengths[0] in GRID["strengths"]


def test_equal_features_are_refused():
    features, labels, groups = draw()
    with refuses(setting="method", value="linear_probe", facts="all 6", remedy="method.backbone"):
        fit_probe(np.full_like(features, 0.1), labels, groups, **GRID)


def test_parts_are_fitted_by_themselves_and_averaged():
    features, labels, groups = draw()
    size = features.shape[2] // 3
    parts = (size, features.shape[2] - size)
    probe = fit_probe(features, labels, groups, **GRID, parts=parts)
    first = fit_probe(features[:, :, :size], labels, groups, **GRID)
    second = fit_probe(features[:, :, size:], labels, groups, **GRID)
    assert probe.strengths == (*first.strengths, *second.strengths)
    expected = decide(first, features[:, :, :size]) + decide(second, features[:, :, size:])
    np.testing.assert_allclose(decide(probe, features), expected / 2, rtol=1e-12)
    folds = assign_folds(labels, groups, 3, 0)
    outside = out_of_fold(features, labels, groups, folds, **GRID, parts=parts)
    alone = [
        out_of_fold(part, labels, groups, folds, **GRID)
        for part in (features[:, :, :size], features[:, :, size:])
    ]
    np.testing.assert_allclose(outside, sum(alone) / 2, rtol=1e-9)
