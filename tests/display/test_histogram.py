"""Histograms of scores."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from PIL import Image

from cyclegan_ad.display.drawing import TEXT_PT, save_figure
from cyclegan_ad.display.histogram import score_figure


def drawn(scores: object, labels: object, thresholds: dict[str, float]) -> tuple[Figure, Axes]:
    figure = score_figure(scores, labels, thresholds, "sse")
    figure.draw_without_rendering()
    return figure, figure.axes[0]


def bars(axes: Axes) -> list[Any]:
    """Values and edges of the filled bars of each class."""
    filled = [p for p in axes.patches if isinstance(p, StepPatch) and p.get_fill()]
    return [patch.get_data() for patch in filled]


def key_of(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


SCORES = np.random.default_rng(0).normal(10, 2, 90)
LABELS = (np.arange(90) >= 60).astype(int)


def test_every_image_is_counted_upwards_or_downwards_and_is_a_stroke() -> None:
    figure, axes = drawn(SCORES, LABELS, {"ZFN": 8.25, "ACC": 11.5})
    assert [bar.values.sum() for bar in bars(axes)] == [60, -30]
    strokes = [c for c in axes.collections if isinstance(c, LineCollection)]
    for of_class, label in zip(strokes, (0, 1), strict=True):
        places = [segment[0][0] for segment in of_class.get_segments()]
        np.testing.assert_array_equal(places, SCORES[label == LABELS])
    named = [text.get_text() for text in axes.texts]
    assert named == ["60 normal", "30 abnormal"]
    numbers = [tick.get_text() for tick in axes.get_yticklabels()]
    assert not any("\u2212" in number or "-" in number for number in numbers)
    assert "set on these test images" in figure.get_supxlabel()


def test_no_bar_of_abnormal_images_stands_left_of_the_line_that_misses_nothing() -> None:
    zfn, acc = SCORES[LABELS == 1].min(), float(np.sort(SCORES)[70])
    _, axes = drawn(SCORES, LABELS, {"ZFN": zfn, "ACC": acc})
    normal, abnormal = bars(axes)
    left = abnormal.edges[:-1] < zfn
    assert {zfn, acc} <= set(abnormal.edges)
    assert left.any() and not abnormal.values[left].any()
    assert normal.values[left].sum() == np.count_nonzero(SCORES[LABELS == 0] < zfn)
    lines = {float(line.get_xdata()[0]) for line in axes.lines if len(line.get_xdata()) == 2}  # type: ignore[index, arg-type]
    assert {zfn, acc} <= lines


def test_thresholds_are_listed_with_their_wrong_decisions_and_do_not_overlap() -> None:
    near = {"ZFN": 9.0, "ACC": 9.001, "calibrated": 9.002}
    figure, axes = drawn(SCORES, LABELS, near)
    missed = np.count_nonzero(SCORES[LABELS == 1] < 9.0)
    alarms = np.count_nonzero(SCORES[LABELS == 0] >= 9.0)
    assert key_of(figure)[0] == f"ZFN 9: {missed} missed, {alarms} false alarms"
    boxes = [text.get_window_extent() for text in figure.legends[0].get_texts()]
    assert len(boxes) == 3
    assert all(not a.overlaps(b) for a in boxes for b in boxes if a is not b)
    assert all(not box.overlaps(axes.bbox) for box in boxes)
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_letters_are_large_enough_on_a_phone_and_stay_inside() -> None:
    long = {"ZFN": -1234567.0, "crossval": -1234567.0, "ACC": 12.0}
    figure = score_figure(SCORES, LABELS, long, "critic_abnormal_peak_efficientnet_lite0_tta")
    figure.draw_without_rendering()
    assert figure.get_figwidth() * 96 <= 390 - 2 * 20  # beside the margins of the page
    for text in figure.findobj(Text):
        if text.get_text() and text.get_visible():
            assert float(text.get_fontsize()) >= TEXT_PT >= 9
    box = figure.get_tightbbox()
    assert box.x0 >= 0 and box.x1 <= figure.get_figwidth()
    assert "crossval: " in figure.get_supxlabel()  # which of its thresholds this is


def test_signs_of_near_thresholds_stand_above_each_other() -> None:
    near = {"ZFN": 9.0, "ACC": 9.05, "calibrated": 9.1}
    figure, axes = drawn(SCORES, LABELS, near)
    signs = [line for line in axes.lines if len(np.atleast_1d(line.get_xdata())) == 1]
    boxes = [sign.get_window_extent() for sign in signs]
    assert {sign.get_marker() for sign in signs} == {"v", "D", "s"}
    assert not any(a.overlaps(b) for a in boxes for b in boxes if a is not b)
    listed = [text.get_window_extent() for text in figure.legends[0].get_texts()]
    assert not any(sign.overlaps(text) for sign in boxes for text in listed)


def test_ticks_around_zero_do_not_overlap() -> None:
    scores = np.append(SCORES - 10, [400.0, -3000.0])
    labels = np.append(LABELS, [0, 0])
    _, axes = drawn(scores, labels, {"ZFN": 0.0})
    assert axes.get_xscale() == "asinh"
    low, high = axes.get_xlim()
    ticks = [tick.label1 for tick in axes.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
    boxes = sorted((tick.get_window_extent() for tick in ticks), key=lambda box: box.x0)
    assert len(boxes) >= 4
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


@pytest.mark.parametrize(("shift", "scale"), [(0.0, "log"), (-1e-9, "asinh")])
def test_heavy_tails_spread_over_many_bins(shift: float, scale: str) -> None:
    scores = np.exp(np.linspace(-8, 4, 200))
    scores[0] += shift - (scores[0] if shift else 0)
    _, axes = drawn(scores, np.arange(200) % 2, {"ZFN": 0.01, "ACC": 0.02})
    assert axes.get_xscale() == scale
    assert "logarithmic" in axes.get_xlabel()
    heights = bars(axes)[0].values
    assert np.count_nonzero(heights) > 8
    assert heights.sum() == 100


def test_normal_images_alone_are_drawn_upwards() -> None:
    figure, axes = drawn([1.0, 2.0, 3.0], [0, 0, 0], {"quantile": 2.5})
    assert key_of(figure) == ["quantile 2.5: 1 false alarm"]
    assert [text.get_text() for text in axes.texts] == ["3 normal"]
    assert axes.get_ylim()[0] == 0
    told = figure.get_supxlabel()
    assert "kept out of training" in told and "optimistic" not in told


def test_identical_scores_and_one_class_are_drawn(tmp_path: Path) -> None:
    for name, value in (("a", 5.0), ("b", 0.0)):
        path = tmp_path / "new" / f"{name}.png"
        figure = score_figure([value] * 3, [1, 1, 1], {"ZFN": value}, "fid")
        assert save_figure(figure, path) == path
        with Image.open(path) as picture:
            assert picture.format == "PNG"


@pytest.mark.parametrize(
    ("scores", "labels", "thresholds"),
    [
        ([], [], {}),
        ([1.0], [0, 1], {}),
        ([1.0, np.nan], [0, 1], {}),
        ([1.0, 2.0], [0, 1], {"ZFN": np.inf}),
    ],
)
def test_bad_input_is_refused(
    scores: list[float], labels: list[int], thresholds: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match="scores"):
        score_figure(scores, labels, thresholds, "sse")
