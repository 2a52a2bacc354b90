"""Figure of results over the number of abnormal images that were used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cyclegan_ad.display.drawing import DPI
from cyclegan_ad.reporting.compute.few_abnormal import Curve
from cyclegan_ad.reporting.labels import METRIC_TITLES, dataset_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DRAWN = ("auroc", "zfn_accuracy")
_EXPLANATION = (
    "Mean and, as a band, standard deviation over seeds. "
    "Thresholds of ZFN accuracy set on the test images (optimistic)"
)
_WIDTH, _HEIGHT, _LEGEND_LINE = 9.6, 3.3, 0.28  # inches: of the figure, a row, a line of the legend
# Okabe-Ito, distinguishable with any colour vision, without yellow, which is too light for a line.
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vP*"
_DASHES = ("--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))


def few_abnormal_figure(curves: Sequence[Curve]) -> Figure:
    """Draw AUROC and ZFN accuracy over the number of abnormal images, a row a dataset.

    Mean and, as a band, sample standard deviation over seeds. The horizontal lines are the means of
    the methods that train on normal images alone.

    Args:
        curves: At least one, of several scores of a method too.

    Raises:
        ValueError: If there is no curve.
    """
    from matplotlib.figure import Figure

    if not curves:
        raise ValueError("no curve to draw")
    datasets = list(dict.fromkeys(curve.dataset for curve in curves))
    names = list(dict.fromkeys(_name(curve) for curve in curves))
    height = _HEIGHT * len(datasets) + _LEGEND_LINE * ((len(names) + 1) // 2 + 1) + 0.2
    figure = Figure((_WIDTH, height), dpi=DPI, facecolor="white", layout="constrained")
    grid = figure.subplots(len(datasets), len(DRAWN), squeeze=False)
    for row, dataset in zip(grid, datasets, strict=True):
        here = [curve for curve in curves if curve.dataset == dataset]
        for axes, metric in zip(row, DRAWN, strict=True):
            _draw(axes, here, metric, names)
            axes.set_title(f"{dataset_title(dataset)}: {METRIC_TITLES[metric]}", fontsize=11)
    found = [axes.get_legend_handles_labels() for axes in grid[:, 0]]
    handles = {label: one for pair in found for one, label in zip(*pair, strict=True)}
    figure.legend(
        [handles[name] for name in names],
        names,
        loc="outside lower center",
        ncols=2,
        fontsize=9.5,
        frameon=False,
        title=_EXPLANATION,
        title_fontsize=9.5,
    )
    return figure


def _name(curve: Curve) -> str:
    kind = "" if curve.trains_on_abnormal else " (normal images only)"
    return f"{curve.method.title}, {curve.column.title}{kind}"


def _draw(axes: Axes, curves: Sequence[Curve], metric: str, names: Sequence[str]) -> None:
    ticks: dict[int, str] = {}
    for curve in curves:
        number = names.index(_name(curve))
        colour = _COLOURS[number % len(_COLOURS)]
        statistics = [point.statistics[metric] for point in curve.points]
        means = [100 * one.mean for one in statistics]
        if not curve.trains_on_abnormal:
            dash = _DASHES[number % len(_DASHES)]
            axes.axhline(means[0], color=colour, linestyle=dash, linewidth=1.4, label=_name(curve))
            continue
        numbers = [point.abnormal for point in curve.points]
        spread = [100 * (one.std or 0.0) for one in statistics]
        low = [mean - std for mean, std in zip(means, spread, strict=True)]
        high = [min(mean + std, 100.0) for mean, std in zip(means, spread, strict=True)]
        axes.fill_between(numbers, low, high, color=colour, alpha=0.15, linewidth=0)
        marker = _MARKERS[number % len(_MARKERS)]
        axes.plot(
            numbers, means, color=colour, marker=marker, markersize=5, linewidth=1.8,
            label=_name(curve),
        )  # fmt: skip
        for point in curve.points:
            last = " (all)" if point.limit is None else ""
            ticks[point.abnormal] = (
                f"{point.abnormal}{last}"
                if last
                else ticks.get(point.abnormal, str(point.abnormal))
            )
    axes.set_xscale("log")
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.set_xticks([], minor=True)
    axes.set_ylim(top=min(axes.get_ylim()[1], 100.5))
    axes.set_xlabel("abnormal training images", fontsize=10)
    axes.set_ylabel(f"{METRIC_TITLES[metric]}, %", fontsize=10)
    axes.grid(alpha=0.25)
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
