"""What decided about the critical images: a figure of horizontal bars for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cyclegan_ad.display.drawing import CLASS_COLOURS, CLASS_NAMES, DPI
from cyclegan_ad.errors import UserError
from cyclegan_ad.metrics.thresholds import zfn_threshold
from cyclegan_ad.reporting.compute.decided import Explained, explain_critical, fused_columns
from cyclegan_ad.reporting.labels import dataset_title
from cyclegan_ad.reporting.read.read_run import Run
from cyclegan_ad.reporting.show.data_uris import figure_uri, image_uri
from cyclegan_ad.reporting.show.decided_table import TITLES
from cyclegan_ad.runs.examples import SavedExamples, read_examples
from cyclegan_ad.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _BAR, _REST = 4.8, 0.24, 0.62  # inches: of the figure, a bar, and axis with its label
_THUMBNAIL_PX = 96


def decided_figure(image: Explained) -> Figure:
    """Draw what each term adds to the score of an image, the constant last.

    Bars to the right speak for abnormal, those to the left for normal.

    Args:
        image: The image.
    """
    from matplotlib.figure import Figure

    names = list(image.added)
    values = [image.added[name] for name in names]
    figure = Figure(
        (_WIDTH, _BAR * len(names) + _REST), dpi=DPI, facecolor="white", layout="constrained"
    )
    axes = figure.add_subplot()
    axes.barh(
        range(len(names)), values, color=[CLASS_COLOURS[value > 0] for value in values], height=0.7
    )
    for place, value in enumerate(values):
        axes.annotate(
            f"{value:+.2f}",
            (value, place),
            xytext=(3 if value > 0 else -3, 0),
            textcoords="offset points",
            horizontalalignment="left" if value > 0 else "right",
            verticalalignment="center",
            fontsize=8.5,
        )
    axes.set_yticks(range(len(names)), [TITLES[name] for name in names], fontsize=9)
    axes.invert_yaxis()
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.margins(x=0.28)  # room for the values
    axes.set_xlabel("adds to the score (right: speaks for abnormal)", fontsize=9)
    axes.xaxis.label.set(horizontalalignment="right", x=1.0)
    axes.tick_params(axis="x", labelsize=8.5)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


def gather_explained(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Prepare the figures of each dataset, method and fused score, from its lowest seed.

    Returns:
        Values for the template of the page.
    """
    found: dict[tuple[object, ...], dict[str, Any]] = {}
    for run in sorted(runs, key=lambda run: run.order):
        columns = [one for one in fused_columns(run) if (run.dataset, run.method, one) not in found]
        if not columns:
            continue
        examples = _read_examples(run)
        for column in columns:
            found[run.dataset, run.method, column] = {
                "dataset": dataset_title(run.dataset),
                "title": f"{run.method.title}, {column.title}",
                "seed": run.seed,
                "threshold": f"{zfn_threshold(run.scores[column], run.labels):.2f}",
                "images": [_shown(image, examples) for image in explain_critical(run, column)],
            }
    return list(found.values())


def _read_examples(run: Run) -> SavedExamples | None:
    try:
        return read_examples(run.path, run.metrics)
    except UserError:  # listed under Left out with the other pictures
        return None


def _shown(image: Explained, examples: SavedExamples | None) -> dict[str, Any]:
    picture = None
    if examples is not None and image.path in examples.paths:
        picture = image_uri(examples.images[list(examples.paths).index(image.path)], _THUMBNAIL_PX)
    kind = CLASS_NAMES[image.label]
    added = ", ".join(f"{TITLES[name]} {value:+.2f}" for name, value in image.added.items())
    return {
        "path": printable(image.path),
        "label": kind,
        "score": f"{image.score:.2f}",
        "image": picture,
        "uri": figure_uri(decided_figure(image)),
        "alt": f"What decided about {printable(image.path)}, {kind}: {added}",
    }
