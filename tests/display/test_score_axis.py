"""The axis of a score and its bins."""

import numpy as np
import pytest

from cyclegan_ad.display.score_axis import LEAST_GAIN, bin_edges, choose_axis


def test_one_outlier_makes_the_axis_logarithmic_and_many_do_not() -> None:
    scores = np.linspace(100, 200, 50)
    assert choose_axis(scores, []).words == ""
    with_outlier = np.append(scores, 5000.0)
    axis = choose_axis(with_outlier, [])
    assert (axis.words, axis.scale["value"]) == ("logarithmic", "log")
    spread = np.linspace(1, 1000, 51)  # the same ratio of ends, but evenly
    assert choose_axis(spread, []).words == ""


@pytest.mark.parametrize(("high", "words"), [(10.0, ""), (14.0, "logarithmic")])
def test_the_rule_is_the_share_of_the_middle_half_of_the_images(high: float, words: str) -> None:
    scores = np.array([1.0, 2.0, 3.0, 4.0, high])  # the middle half: from 2 to 4
    linear, by_size = 2 / (high - 1), np.log(2) / np.log(high)
    assert (by_size / linear > LEAST_GAIN) == bool(words)
    assert choose_axis(scores, []).words == words


def test_scores_of_both_signs_are_linear_around_zero() -> None:
    scores = np.append(np.linspace(-3, 3, 60), [900.0, -20.0])
    axis = choose_axis(scores, [0.0])
    assert axis.scale["value"] == "asinh"
    lengths = axis.to_length(scores)
    np.testing.assert_allclose(axis.to_score(lengths), scores, atol=1e-9)
    assert np.all(np.diff(axis.to_length(np.sort(scores))) >= 0)


def test_an_outlier_that_no_logarithm_helps_against_leaves_the_axis_linear() -> None:
    assert choose_axis(np.append(np.linspace(1000, 1001, 50), 1.0), []).words == ""


@pytest.mark.parametrize("kind", ["linear", "log", "asinh"])
def test_thresholds_are_edges_to_the_last_bit(kind: str) -> None:
    random = np.random.default_rng(3)
    scores = random.normal(0, 1, 98)
    scores = {"linear": scores, "log": np.exp(4 * scores), "asinh": np.sinh(4 * scores)}[kind]
    chosen = np.sort(scores)
    thresholds = [chosen[7], chosen[8], chosen[60], np.nextafter(chosen[60], np.inf)]
    axis = choose_axis(scores, thresholds)
    assert axis.scale["value"] == kind
    edges = bin_edges(scores, thresholds, axis)
    assert set(thresholds) <= set(edges.tolist())
    assert np.all(np.diff(edges) > 0)
    assert edges[0] <= axis.low < scores.min() and scores.max() < axis.high <= edges[-1]
    assert np.histogram(scores, edges)[0].sum() == scores.size
    # An image at a threshold is on its right side, where it is abnormal.
    assert np.histogram(scores[scores < chosen[7]], edges)[0][edges[:-1] >= chosen[7]].sum() == 0
    assert np.histogram(scores[scores >= chosen[7]], edges)[0][edges[:-1] < chosen[7]].sum() == 0


def test_bins_outside_of_the_thresholds_are_equally_wide() -> None:
    scores = np.linspace(0, 10, 100)
    edges = bin_edges(scores, [3.0, 3.1, 7.0], choose_axis(scores, []))
    widths = np.diff(edges)
    outer = np.concatenate([widths[edges[1:] <= 3.0], widths[edges[:-1] >= 7.0]])
    np.testing.assert_allclose(outer, outer[0])
    inner = widths[(edges[:-1] >= 3.1) & (edges[1:] <= 7.0)]
    assert np.all((inner > outer[0] / 1.5) & (inner < 1.5 * outer[0]))


def test_equal_scores_have_bins() -> None:
    for value in (0.0, -4.0, 1e9):
        axis = choose_axis(np.full(3, value), [value])
        edges = bin_edges(np.full(3, value), [value], axis)
        assert value in edges and edges[0] < value < edges[-1]
