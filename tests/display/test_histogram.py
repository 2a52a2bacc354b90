"""Histograms of scores."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from cyclegan_ad.display.drawing import save_figure
from cyclegan_ad.display.histogram import score_figure, set_thresholds


def drawn(scores: object, labels: object, thresholds: dict[str, float]) -> Axes:
    figure = score_figure(scores, labels, thresholds, "sse")
    figure.draw_without_rendering()
    return figure.axes[0]


def test_every_image_is_counted_and_both_thresholds_are_named() -> None:
    scores = np.random.default_rng(0).normal(10, 2, 90)
    labels = np.arange(90) >= 60
    axes = drawn(scores, labels.astype(int), {"ZFN": 8.25, "ACC": 11.5})
    bars = [sum(p.get_height() for p in c.patches) for c in axes.containers]  # type: ignore[attr-defined]
    assert bars == [60, 30]
    legend = axes.get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == ["normal (60)", "abnormal (30)"]
    named = {t.get_text() for t in axes.texts}
    assert named == {"ZFN threshold 8.25", "ACC threshold 11.5"}
    assert {line.get_xdata()[0] for line in axes.lines} == {8.25, 11.5}  # type: ignore[index]
    assert axes.get_xscale() == "linear"
    assert "set on these test images" in axes.get_figure().get_supxlabel()  # type: ignore[union-attr]


@pytest.mark.parametrize(("shift", "scale"), [(0.0, "log"), (-1e-9, "asinh")])
def test_heavy_tails_spread_over_many_bins(shift: float, scale: str) -> None:
    scores = np.exp(np.linspace(-8, 4, 200))
    scores[0] += shift - (scores[0] if shift else 0)
    axes = drawn(scores, np.arange(200) % 2, {"ZFN": 0.01, "ACC": 0.02})
    assert axes.get_xscale() == scale
    filled = [p for p in axes.containers[0].patches if p.get_height()]  # type: ignore[attr-defined]
    assert len(filled) > 8
    assert sum(p.get_height() for p in filled) == 100


def test_names_of_equal_thresholds_do_not_overlap() -> None:
    axes = drawn([1.0, 2.0, 3.0], [0, 0, 1], {"ZFN": 3.0, "ACC": 3.0})
    boxes = [t.get_window_extent() for t in axes.texts]
    assert len(boxes) == 2
    assert not boxes[0].overlaps(boxes[1])


def test_normal_images_alone_have_the_quantile_that_was_set_on_them() -> None:
    metrics = {
        "scores": {"sse": {"zfn_threshold": None, "max_accuracy_threshold": None}},
        "protocols": {"quantile": {"sse": {"thresholds": [2.5]}}},
    }
    assert set_thresholds(metrics, "sse") == {"quantile": 2.5}
    assert set_thresholds(metrics | {"protocols": {}}, "sse") == {}
    tested = {"scores": {"sse": {"zfn_threshold": 0.0, "max_accuracy_threshold": 1.0}}}
    assert set_thresholds(tested, "sse") == {"ZFN": 0.0, "ACC": 1.0}
    axes = drawn([1.0, 2.0, 3.0], [0, 0, 0], {"quantile": 2.5})
    assert {t.get_text() for t in axes.texts} == {"quantile threshold 2.5"}
    assert axes.get_ylabel() == "normal images"
    told = axes.get_figure().get_supxlabel()  # type: ignore[union-attr]
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
