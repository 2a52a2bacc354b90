"""The curve: axes, values and labels."""

import pytest

from cyclegan_ad.reporting.compute.aggregate import Statistic
from cyclegan_ad.reporting.compute.few_abnormal import METRICS, Curve, Point
from cyclegan_ad.reporting.labels import Method
from cyclegan_ad.reporting.show.few_abnormal_figure import few_abnormal_figure
from cyclegan_ad.scoring.names import ScoreColumn


def point(limit: int | None, abnormal: int, *values: float) -> Point:
    found = {metric: Statistic(values) for metric in METRICS}
    return Point(limit, abnormal, tuple(range(len(values))), found)


def curve(method: str, dataset: str, *points: Point) -> Curve:
    column = ScoreColumn("sse" if method == "cyclegan" else "embedding")
    of = Method(f"{method}-64", method, 64)
    return Curve(dataset, of, column, points, method == "cyclegan", True, None)


CURVE = (point(1, 1, 0.5, 0.7), point(5, 5, 0.8, 0.8), point(None, 60, 0.99, 1.0))


def test_means_spread_and_lines_are_where_they_belong() -> None:
    curves = [
        curve("cyclegan", "screw", *CURVE),
        curve("padim", "screw", point(None, 60, 0.75, 0.85)),
        curve("cyclegan", "brain_mri", *CURVE[:2]),
    ]
    figure = few_abnormal_figure(curves)
    assert [axes.get_title() for axes in figure.axes] == [
        *("Screw: AUROC", "Screw: ZFN accuracy"),
        *("Brain MRI: AUROC", "Brain MRI: ZFN accuracy"),
    ]
    for axes in figure.axes[:2]:
        drawn, line = axes.lines
        assert list(drawn.get_xdata()) == [1, 5, 60]
        assert drawn.get_ydata() == pytest.approx([60, 80, 99.5])
        assert set(line.get_ydata()) == {80}
        assert axes.get_xscale() == "log"
        assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "5", "60 (all)"]
        assert axes.get_xlabel() == "abnormal training images" and axes.get_ylabel().endswith("%")
        [band] = axes.collections
        corners = band.get_paths()[0].vertices[:, 1]
        assert corners.min() == pytest.approx(60 - 100 * 0.1 * 2**0.5)  # mean - std
        assert corners.max() <= 100
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "CycleGAN 64 px, SSE",
        "PaDiM 64 px, embedding (normal images only)",
    ]
    assert "optimistic" in legend.get_title().get_text()


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(ValueError, match="no curve"):
        few_abnormal_figure([])
