"""ROC curve and rates over the threshold."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn.metrics import roc_auc_score, roc_curve

from cyclegan_ad.display.curves import rates, rates_figure, roc_figure
from cyclegan_ad.display.drawing import TEXT_PT
from cyclegan_ad.metrics.thresholds import summarise

RANDOM = np.random.default_rng(1)
LABELS = (np.arange(80) >= 45).astype(int)
SCORES = (RANDOM.normal(0, 1, 80) + 1.5 * LABELS).round(1)  # with ties
THRESHOLDS = {
    "ZFN": summarise(SCORES, LABELS)["zfn_threshold"],
    "ACC": summarise(SCORES, LABELS)["max_accuracy_threshold"],
    "calibrated": 0.55,
}


def marked(axes: Axes) -> dict[str, tuple[float, float]]:
    """Marker -> its place, of artists that are a single point."""
    places = {str(line.get_marker()): np.asarray(line.get_data()) for line in axes.lines}
    points = {marker: place for marker, place in places.items() if place.shape == (2, 1)}
    return {marker: (float(x[0]), float(y[0])) for marker, (x, y) in points.items()}


def test_rates_are_those_of_scikit_learn() -> None:
    thresholds, missed, alarms = rates(SCORES, LABELS)
    false_alarms, found, expected = roc_curve(LABELS, SCORES, drop_intermediate=False)
    np.testing.assert_array_equal(thresholds, expected[:0:-1])  # without infinity
    np.testing.assert_allclose(alarms, 100 * false_alarms[:0:-1])
    np.testing.assert_allclose(missed, 100 * (1 - found[:0:-1]), atol=1e-12)


def test_the_area_below_the_drawn_curve_is_the_auroc_that_is_written() -> None:
    axes = roc_figure(SCORES, LABELS, THRESHOLDS, "sse").axes[0]
    x, y = (np.asarray(values) for values in axes.lines[0].get_data())
    assert (x[0], y[0], x[-1], y[-1]) == (100, 100, 0, 0)
    area = sum(
        (a - b) * (c + d) / 2 for (a, b), (c, d) in zip(pairwise(x), pairwise(y), strict=True)
    )
    assert area / 1e4 == pytest.approx(roc_auc_score(LABELS, SCORES))
    assert axes.texts[0].get_text() == f"sse\nAUROC {roc_auc_score(LABELS, SCORES):.3f}"


def test_thresholds_lie_on_the_roc_curve() -> None:
    axes = roc_figure(SCORES, LABELS, THRESHOLDS, "sse").axes[0]
    for marker, name in (("v", "ZFN"), ("D", "ACC"), ("s", "calibrated")):
        held = THRESHOLDS[name] <= SCORES
        share = 100 * held[LABELS == 0].mean(), 100 * held[LABELS == 1].mean()
        assert marked(axes)[marker] == pytest.approx(share)
    assert marked(axes)["v"][1] == 100


def test_rates_step_where_a_decision_changes() -> None:
    axes = rates_figure([1.0, 2.0, 3.0, 4.0], [0, 1, 0, 1], {"ZFN": 2.0, "ACC": 2.0}, "sse").axes[0]
    missed, alarms = axes.lines[:2]
    assert missed.get_drawstyle() == "steps-pre"
    places = np.asarray(missed.get_xdata())
    assert places[1:-1].tolist() == [1, 2, 3, 4]
    # At a threshold of 2 nothing is missed, as decisions are at or above it; above it, one half.
    assert np.asarray(missed.get_ydata()).tolist() == [0, 0, 0, 50, 50, 100]
    assert np.asarray(alarms.get_ydata()).tolist() == [100, 100, 50, 50, 0, 0]
    assert missed.get_linestyle() != alarms.get_linestyle()  # not by colour alone
    assert marked(axes)["v"][0] == 2.0


@pytest.mark.parametrize("draw", [roc_figure, rates_figure])
def test_keys_fit_and_are_legible(draw: object) -> None:
    figure = draw(SCORES, LABELS, THRESHOLDS, "critic_abnormal_peak_tta")  # type: ignore[operator]
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    sizes = [
        float(t.get_fontsize()) for t in figure.findobj(Text) if t.get_text() and t.get_visible()
    ]
    assert min(sizes) >= TEXT_PT
    listed = figure.legends[0].get_texts()
    assert {"ZFN", "ACC", "calibrated"} <= {text.get_text().split()[0] for text in listed}
    assert max(text.get_window_extent().x1 for text in listed) <= figure.bbox.x1


def test_an_outlier_gives_both_pictures_of_a_score_one_axis() -> None:
    scores = np.append(np.exp(RANDOM.normal(3, 1, 60)), 1e6)
    labels = np.arange(61) % 2
    axes = rates_figure(scores, labels, {}, "sse").axes[0]
    assert axes.get_xscale() == "log"
    assert "threshold of sse (logarithmic)" in axes.get_xlabel()


@pytest.mark.parametrize("draw", [roc_figure, rates_figure])
def test_one_class_has_no_curves(draw: object) -> None:
    with pytest.raises(ValueError, match="no abnormal image"):
        draw([1.0, 2.0], [0, 0], {}, "sse")  # type: ignore[operator]
