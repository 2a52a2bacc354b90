"""Figure 4: distributions of the scores of both classes, with the ZFN and ACC thresholds.

  python -m cyclegan_ad.train +experiment=figure4            trains what the figure shows
  python -m experiments.figure4
  python -m experiments.figure4 score=fid run_name=cyclegan-64 dataset=screw,brain_mri

Writes figure4_<run_name>_<score>.png. Datasets without a run are left out, with the command that
trains it.

Settings (change with name=value):
  runs=runs               folder of the runs
  run_name=cyclegan-256   which runs
  seed=0                  which split
  dataset=A,B,...         which datasets; default: the paper's seven
  score=sse               a column of scores.csv
  out=figures             folder that the figure is written to
"""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cyclegan_ad.display.drawing import CLASS_COLOURS, CLASS_NAMES, DPI, save_figure
from cyclegan_ad.display.histogram import draw_scores
from cyclegan_ad.display.thresholds import draw_key
from cyclegan_ad.errors import UserError
from cyclegan_ad.metrics.thresholds import summarise
from cyclegan_ad.reporting.labels import dataset_title
from cyclegan_ad.runs.results import read_scores
from experiments.driver import FIGURE_DEFAULTS, Settings, draw_runs, run_driver

DEFAULTS = FIGURE_DEFAULTS | {"score": "sse"}
_FONT_SIZE = 9.0


@dataclass(frozen=True)
class Distribution:
    """Scores of the test set of one run.

    Attributes:
        title: Name of the dataset.
        scores: N scores, raw units.
        labels: N labels, 0 normal, 1 abnormal.
    """

    title: str
    scores: list[float]
    labels: list[int]


def read_distribution(run_dir: Path, dataset: str, score: str) -> Distribution:
    """Read the scores of a run.

    Raises:
        UserError: If they are missing or damaged, or there is no such score.
    """
    rows, path = read_scores(run_dir), run_dir / "scores.csv"
    columns = [name for name in rows[0] if name not in ("path", "label")]
    if score not in columns:
        raise UserError(
            f"invalid score={score}: expected one of {', '.join(columns)} in {path}; to add a "
            f"score: python -m cyclegan_ad.evaluate run={run_dir} score=NAME"
        )
    found = Distribution(
        dataset_title(dataset), [row[score] for row in rows], [row["label"] for row in rows]
    )
    if len(set(found.labels)) < 2:
        raise UserError(f"{path} has images of one class only; evaluate the run again")
    return found


def draw_distributions(found: list[Distribution], source: str, path: Path, score: str) -> Path:
    """Draw one histogram a dataset into a PNG file."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    columns = min(2, len(found))
    rows = math.ceil(len(found) / columns)
    size = (5.2 * columns, 3.2 * rows + 0.9)
    figure = Figure(figsize=size, dpi=DPI, facecolor="white", layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes, distribution in zip(panels, found, strict=False):
        _draw(axes, distribution)
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    classes = zip(CLASS_NAMES, CLASS_COLOURS, strict=True)
    handles = [Patch(facecolor=colour, alpha=0.6, label=name) for name, colour in classes]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False)
    figure.supxlabel(
        f"{score} (higher: more abnormal)\n"
        f"{source}. Both thresholds are set on the images shown: the accuracies are optimistic.",
        fontsize=10,
    )
    figure.supylabel("test images", fontsize=10)
    return save_figure(figure, path)


def _draw(axes: Any, found: Distribution) -> None:
    # The thresholds are set on the images themselves, as in the paper.
    summary = summarise(found.scores, found.labels)
    thresholds = {"ZFN": summary["zfn_threshold"], "ACC": summary["max_accuracy_threshold"]}
    axis, marks = draw_scores(axes, found.scores, found.labels, thresholds, font_size=_FONT_SIZE)
    draw_key(axes, marks, tested=True, font_size=_FONT_SIZE)
    axes.set_xlabel(axis.words, fontsize=_FONT_SIZE)
    figures = {"ZFN": "zfn_accuracy", "ACC": "max_accuracy", "AUROC": "auroc"}
    text = ", ".join(f"{title} {100 * summary[name]:.1f} %" for title, name in figures.items())
    above = (1.5 * len(marks) + 2.5) * _FONT_SIZE  # the key, and the signs
    axes.set_title(found.title, loc="left", fontsize=11, fontweight="bold", pad=above)
    axes.set_title(text, loc="right", fontsize=_FONT_SIZE, pad=above)


def figure4(settings: Settings) -> list[UserError]:
    """Draw the figure from the runs that exist; return an error for each missing run."""
    read = partial(read_distribution, score=settings["score"])
    draw = partial(draw_distributions, score=settings["score"])
    return draw_runs(settings, "figure4", read, draw, f"_{settings['score']}")


if __name__ == "__main__":
    run_driver(figure4, DEFAULTS, __doc__)
