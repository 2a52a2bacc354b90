"""The MEAN row of Table 2: per metric, the mean over datasets of the better of SSE and FID."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from cyclegan_ad.reference.table2 import paper_figure
from cyclegan_ad.reporting.compute.aggregate import Entry, Study, of_table2
from cyclegan_ad.reporting.labels import EMBEDDING_METHODS, FID, FID_SUBSTITUTE, Method


@dataclass(frozen=True, slots=True)
class Mean:
    """A figure of the MEAN row.

    Attributes:
        value: Fraction in [0, 1].
        datasets: Datasets averaged over.
        paper: The paper's, over the same datasets; None where one of them has none.
        artefact: Whether the paper's is flagged.
        unlike: Whether a run was made with other settings than the paper's.
        substituted: Datasets where the substitute for FID was the better score.
        one_score: Datasets with only one of SSE and FID (or its substitute).
        few: Whether a dataset has few abnormal test images.
    """

    value: float
    datasets: tuple[str, ...]
    paper: float | None
    artefact: bool
    unlike: bool
    substituted: tuple[str, ...]
    one_score: tuple[str, ...]
    few: bool


def mean_of_best(study: Study, method: Method, metric: str, datasets: Sequence[str]) -> Mean | None:
    """Average the better of SSE and FID over datasets.

    Args:
        study: All cells.
        method: Column of Table 2.
        metric: ``zfn_accuracy``, ``max_accuracy`` or ``auroc``.
        datasets: Datasets to average over; those without a figure of the method are skipped.

    Returns:
        The mean, or None if no dataset has a figure.
    """
    candidates = {name: _candidates(of_table2(study, name, method), metric) for name in datasets}
    found = {name: entries for name, entries in candidates.items() if entries}
    if not found:
        return None
    winners = {
        name: max(entries, key=lambda entry: entry.statistics[metric].mean)
        for name, entries in found.items()
    }
    used = [entry for entries in found.values() for entry in entries]
    paper = [_published(name, method, metric) for name in found]
    theirs = [value for value in paper if value is not None]
    single = () if method.name in EMBEDDING_METHODS else found
    return Mean(
        value=fmean(entry.statistics[metric].mean for entry in winners.values()),
        datasets=tuple(found),
        paper=fmean(theirs) / 100 if len(theirs) == len(paper) else None,
        artefact=any(figure.artefact for entry in used for figure in entry.paper.values()),
        unlike=any(entry.unlike_paper for entry in used),
        substituted=tuple(n for n, entry in winners.items() if entry.column == FID_SUBSTITUTE),
        one_score=tuple(name for name in single if len(found[name]) < 2),
        few=any(entry.few for entry in used),
    )


def common_datasets(study: Study) -> list[str]:
    """List the datasets that every method has figures for in Table 2."""
    return [
        dataset
        for dataset in study.datasets
        if all(of_table2(study, dataset, method) for method in study.methods)
    ]


def _candidates(entries: list[Entry], metric: str) -> list[Entry]:
    """Take SSE and FID; the substitute only where there is no FID."""
    known = [entry for entry in entries if metric in entry.statistics]
    has_fid = any(entry.column == FID for entry in known)
    return [entry for entry in known if not (has_fid and entry.column == FID_SUBSTITUTE)]


def _published(dataset: str, method: Method, metric: str) -> float | None:
    """Take the better of the paper's SSE and FID, in percent, even if our runs lack one."""
    figures = [paper_figure(dataset, method.in_paper, score, metric) for score in ("sse", "fid")]
    return max((figure.mean_percent for figure in figures if figure is not None), default=None)
