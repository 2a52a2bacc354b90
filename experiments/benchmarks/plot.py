"""Figure of a record: cost of a training step by batch and image size."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cyclegan_ad.display.drawing import CLASS_COLOURS, DPI, save_figure
from experiments.benchmarks.row import spread

# Colours of the Okabe-Ito palette, as CLASS_COLOURS.
_WAYS = {
    "reference": ("reference, float32", CLASS_COLOURS[1]),
    "float32": ("ours, float32", "#56B4E9"),
    "bf16": ("ours, bf16", CLASS_COLOURS[0]),
}


def cost_figure(cases: Mapping[str, Any], heading: str, path: Path) -> Path:
    """Draw seconds a pair by batch size and by image size into a PNG file; return its path."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 4.2), dpi=DPI, facecolor="white", layout="constrained")
    by_batch, by_size = panels = figure.subplots(1, 2)
    for way, (name, colour) in _WAYS.items():
        points = step_points(cases, way)
        for size_px, style in ((64, "o-"), (256, "o--")):
            line = {batch: s for (size, batch), s in points.items() if size == size_px}
            _draw(by_batch, line, style, label=f"{name}, {size_px} px", color=colour)
        line = {size: s for (size, batch), s in points.items() if batch == 1}
        _draw(by_size, line, "o-", label=name, color=colour)
    for axes, title, x, ticks in zip(
        panels,
        ("Training step by batch size", "Training step by image size, batch 1"),
        ("pairs a step", "image size, px"),
        ((1, 4, 16), (32, 64, 128, 256)),
        strict=True,
    ):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.set_xlim(ticks[0] / 1.5, ticks[-1] * 1.3)
        axes.set_ylim(top=20 * axes.get_ylim()[1])  # room for the legend
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_xlabel(x)
        axes.set_ylabel("seconds a pair")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="0.92", linewidth=0.8)
        if axes.get_lines():
            axes.legend(fontsize=8.5, frameon=False, loc="upper left")
    figure.suptitle(heading, fontsize=10, x=0.01, horizontalalignment="left")
    return save_figure(figure, path)


def step_points(cases: Mapping[str, Any], way: str) -> dict[tuple[int, int], float]:
    """Return seconds a pair of one way, by image size in pixels and batch size."""
    points: dict[tuple[int, int], float] = {}
    for case in cases.values():
        if case["kind"] == "training" and case["samples"].get(way):
            size_px, batch_size = (case["settings"][name] for name in ("size_px", "batch_size"))
            seconds = spread(case["samples"][way]).median / batch_size
            points.setdefault((size_px, batch_size), seconds)
    return points


def _draw(axes: Any, points: Mapping[int, float], style: str, **look: str) -> None:
    if points:
        axes.plot(*zip(*sorted(points.items()), strict=True), style, markersize=4, **look)
