"""How cost grows with batch, pixels and images: one figure a record."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cyclegan_ad.display.drawing import CLASS_COLOURS, DPI, save_figure
from experiments.benchmarks.table import heading
from experiments.benchmarks.timing import spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Of the Okabe-Ito palette, as CLASS_COLOURS.
_SKY, _GREEN, _ORANGE, _PURPLE = "#56B4E9", "#009E73", "#E69F00", "#CC79A7"
_COLOURS = {"textbook": CLASS_COLOURS[1], "float32": _SKY, "bf16": CLASS_COLOURS[0]}
_NAMES = {"textbook": "textbook, float32", "float32": "ours, float32", "bf16": "ours, bf16"}

Points = Sequence[tuple[float, float]]


def growth_figure(record: Mapping[str, Any], path: Path) -> Path:
    """Draw seconds a pair against batch and pixels, and seconds against images.

    Args:
        record: Of a machine.
        path: The PNG file to write.

    Returns:
        ``path``.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 4.2), dpi=DPI, facecolor="white", layout="constrained")
    by_batch, by_pixels, by_images = figure.subplots(1, 3)
    for axes, title, x, y, ticks in (
        (by_batch, "Training step, by batch", "pairs a step", "seconds a pair", (1, 4, 16)),
        (
            *(by_pixels, "Training step, by pixels (batch 1)", "side of the images, px"),
            *("seconds a pair", (32, 64, 128, 256)),
        ),
        (by_images, "By images", "images", "seconds", (2, 4, 8, 16, 32, 64, 128, 256)),
    ):
        _prepare(axes, title, x, y, ticks)
    cases = record["cases"]
    _draw_batches(by_batch, cases)
    _draw_pixels(by_pixels, cases)
    _draw_images(by_images, cases)
    for axes in (by_batch, by_pixels, by_images):
        _show_whole_decades(axes)
    if by_pixels.has_data():
        figure.legend(
            *by_pixels.get_legend_handles_labels(),
            loc="outside lower left",
            ncols=len(_NAMES),
            fontsize=9,
            frameon=False,
        )
    if by_images.has_data():
        by_images.legend(fontsize=8.5, frameon=False, loc="upper left")
    figure.suptitle(heading(record), fontsize=10, x=0.01, horizontalalignment="left")
    return save_figure(figure, path)


def step_points(cases: Mapping[str, Any], way: str) -> dict[tuple[int, int], float]:
    """Seconds a pair of a way to make a step, by size in pixels and batch."""
    points: dict[tuple[int, int], float] = {}
    for case in cases.values():
        if case["kind"] == "training" and case["samples"].get(way):
            settings = case["settings"]
            key = (settings["size_px"], settings["batch_size"])
            seconds = spread(case["samples"][way]).median / settings["batch_size"]
            points.setdefault(key, seconds)
    return points


def _prepare(axes: "Axes", title: str, x: str, y: str, ticks: Sequence[int]) -> None:
    """Label empty axes, both logarithmic and with plain numbers."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(ticks, [str(value) for value in ticks])
    axes.set_xlim(ticks[0] / 1.3, ticks[-1] * 1.3)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(x, fontsize=10)
    axes.set_ylabel(y, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9)


def _draw_batches(axes: "Axes", cases: Mapping[str, Any]) -> None:
    """Draw the ways in the colours that the legend beside names; sizes are named at the lines."""
    highest: dict[int, tuple[float, float]] = {}
    for way in _NAMES:
        points = step_points(cases, way)
        for size_px in sorted({size for size, _ in points} & {64, 256}):
            line = sorted((batch, s) for (size, batch), s in points.items() if size == size_px)
            _draw(axes, line, "", _COLOURS[way])
            top = highest.get(size_px, (1.0, 0.0))
            highest[size_px] = max(top, line[0], key=lambda point: point[1])
    for size_px, (x, y) in highest.items():
        axes.annotate(
            f"{size_px} px", (x, y), xytext=(0, 7), textcoords="offset points", fontsize=9
        )


def _draw_pixels(axes: "Axes", cases: Mapping[str, Any]) -> None:
    for way, name in _NAMES.items():
        points = step_points(cases, way)
        line = [(size, seconds) for (size, batch), seconds in points.items() if batch == 1]
        _draw(axes, line, name, _COLOURS[way])


def _draw_images(axes: "Axes", cases: Mapping[str, Any]) -> None:
    """Draw what was measured over numbers of images, and an epoch's steps, which follow."""
    best = step_points(cases, "float32") | step_points(cases, "bf16")
    pair_s = best.get((64, 4), best.get((64, 16)))
    if pair_s is not None:
        line = [(count, count * pair_s) for count in (4, 256)]
        _draw(axes, line, "an epoch of so many pairs, 64 px", "0.45", style=":", marker="")
    for case, fact, name, colour in (
        ("scoring_fid", "growth", "scoring by fid, 64 px", _PURPLE),
        ("scoring_sse", "growth", "scoring by sse, 64 px", _ORANGE),
        ("input", "decoding", "decoding once, 1024 px PNG", _GREEN),
    ):
        if case in cases:
            seconds = cases[case]["facts"][fact]
            _draw(axes, [(int(count), s) for count, s in seconds.items()], name, colour)


def _show_whole_decades(axes: "Axes") -> None:
    """From a power of ten to another, so that there are numbers beside the axis."""
    seconds = [value for line in axes.get_lines() for value in np.asarray(line.get_ydata())]
    if seconds:
        low, high = (
            math.floor(math.log10(0.9 * min(seconds))),
            math.ceil(math.log10(1.4 * max(seconds))),
        )
        room = 1 if axes.get_legend_handles_labels()[1][3:] else 0  # for a legend of four lines
        axes.set_ylim(10.0**low, 10.0 ** (high + room))


def _draw(
    axes: "Axes", points: Points, name: str, colour: str, style: str = "-", marker: str = "o"
) -> None:
    if points:
        x, y = zip(*sorted(points), strict=True)
        axes.plot(x, y, style, marker=marker, markersize=4, color=colour, label=name)
