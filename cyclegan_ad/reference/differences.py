"""Differences of a run from the paper: settings and images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cyclegan_ad.reference.paper import paper_settings, paper_table1
from cyclegan_ad.reference.table2 import PAPER_METRICS, paper_figure, paper_method_name
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import SUBSETS, SplitRow, read_split
from cyclegan_ad.settings.train import Settings, training_differences
from cyclegan_ad.text import as_typed, counted, printable, shown_name

# The paper averages over splits; unreadable files are counted; weights_path is reported instead.
_NOT_A_DIFFERENCE = ("seed", "dataset.skip_unreadable", "method.weights_sha256")
_LONGEST = 40


def differences_from_paper(config: Settings, split: Iterable[SplitRow]) -> tuple[str, ...]:
    """List the differences of a run from the paper's training and test.

    Compares the training settings (`training_differences`) with the paper's, and the images with
    its Table 1.

    Args:
        config: Settings of the run.
        split: Rows of its ``split.csv``.

    Returns:
        E.g. ``("method.lambda_cyc=0 (paper: 10)", "12 + 12 test images (paper: 59 + 59)")``; empty
        for a dataset that is not in the paper.
    """
    dataset = config.dataset.name
    if dataset not in paper_table1():
        return ()
    theirs = paper_settings(config.method.name, dataset, config.resolution)
    found = [
        f"{shown_name(name)}={_short(ours)} (paper: {_short(paper)})"
        for name, paper, ours in training_differences(theirs.training(), config.training())
        if name not in _NOT_A_DIFFERENCE
    ]
    return (*found, *_of_images(dataset, split))


def differences_of_run(run_dir: Path, metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """List the differences of a run on disk; empty if the paper has no figures for it.

    Args:
        run_dir: Directory of the run.
        metrics: Content of its ``metrics.json``.

    Raises:
        UserError: If its settings or its list of images cannot be read.
    """
    method = paper_method_name(metrics["method"], metrics["resolution"])
    if not any(
        paper_figure(metrics["dataset"], method, score, metric)
        for score in metrics["scores"]
        for metric in PAPER_METRICS
    ):
        return ()
    return differences_from_paper(RunDirectory(run_dir).read_config(), read_split(run_dir))


def _of_images(dataset: str, split: Iterable[SplitRow]) -> list[str]:
    paper = paper_table1()[dataset]
    subsets = Counter((row.subset, row.label) for row in split)
    images = [sum(subsets[subset, label] for subset in SUBSETS) for label in (0, 1)]
    theirs = [
        paper.train_normal + paper.test_normal,
        paper.train_abnormal + paper.test_abnormal,
    ]
    found = []
    if images != theirs:
        found.append(
            f"{images[0]} normal and {images[1]} abnormal images (paper: {theirs[0]} and "
            f"{theirs[1]})"
        )
    test, of_class = [subsets["test", label] for label in (0, 1)], paper.behind_table2
    if test != [of_class, of_class]:
        found.append(f"{test[0]} + {test[1]} test images (paper: {of_class} + {of_class})")
    if unreadable := sum(n for (subset, _), n in subsets.items() if subset == "unreadable"):
        found.append(f"{counted(unreadable, 'unreadable file')} left out")
    return found


def _short(value: object) -> str:
    """Write a value as it is typed, shortened."""
    text = printable(as_typed(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
