"""The figure of what decided about an image."""

import pytest

from cyclegan_ad.display.drawing import CLASS_COLOURS
from cyclegan_ad.reporting.compute.decided import CONSTANT, Explained
from cyclegan_ad.reporting.show.decided_figure import decided_figure

ADDED = {"sse": -0.5, "critic_abnormal": 0.25, "probe": 1.5, CONSTANT: -0.125}


def test_each_bar_has_its_name_value_and_direction() -> None:
    figure = decided_figure(Explained("a.png", 1, 1.125, ADDED))
    [axes] = figure.axes
    assert [bar.get_width() for bar in axes.patches] == list(ADDED.values())
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["change to normal", "like abnormal, mean", "linear probe", "constant"]
    assert [text.get_text() for text in axes.texts] == ["-0.50", "+0.25", "+1.50", "-0.12"]
    from matplotlib.colors import to_hex

    colours = [to_hex(bar.get_facecolor()).upper() for bar in axes.patches]
    assert colours == [CLASS_COLOURS[value > 0] for value in ADDED.values()]


@pytest.mark.parametrize("largest", [1e-3, 40.0])
def test_all_words_are_inside(largest: float) -> None:
    added = {name: value * largest for name, value in ADDED.items()}
    figure = decided_figure(Explained("a.png", 0, 0.0, added))
    figure.draw_without_rendering()
    [axes] = figure.axes
    width, height = figure.canvas.get_width_height()
    for text in [*axes.texts, *axes.get_yticklabels(), axes.xaxis.label]:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height, text
