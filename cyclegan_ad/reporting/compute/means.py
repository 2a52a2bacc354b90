"""The MEAN row of Table 2: per metric, the mean over datasets of the better of SSE and FID."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from cyclegan_ad.reporting.compute.aggregate import Entry, Study, of_table2
from cyclegan_ad.reporting.labels import EMBEDDING_METHODS, FID, FID_SUBSTITUTE, Method, table2_row
from cyclegan_ad.runs.results import paper_figure


@dataclass(frozen=True, slots=True)
class Mean:
    """A figure of the MEAN row.

    Attributes:
        value: fraction in [0, 1].
        datasets: over which.
        paper: the paper's, over the same datasets; None where one of them has none.
        artefact: whether the paper's is flagged.
        unlike: whether runs behind it were made with other settings than the paper's.
        substituted: datasets where the substitute stood in for FID and was the better one.
        one_score: datasets with but one of SSE and FID (or its substitute).
    """

    value: float
    datasets: tuple[str, ...]
    paper: float | None
    artefact: bool
    unlike: bool
    substituted: tuple[str, ...]
    one_score: tuple[str, ...]


def mean_of_best(study: Study, method: Method, metric: str, datasets: Sequence[str]) -> Mean | None:
    """Average the better of SSE and FID over datasets.

    Args:
        study: all cells.
        method: column of Table 2.
        metric: ``zfn_accuracy``, ``max_accuracy`` or ``auroc``.
        datasets: over which; those that the method has no figures for are left away.

    Returns:
        The mean, or None if it has none of them.
    """
    best, paper, substituted, one_score, used = [], [], [], [], []
    artefact = unlike = False
    for dataset in datasets:
        entries = _candidates(of_table2(study, dataset, method), metric)
        if not entries:
            continue
        winner = max(entries, key=lambda entry: entry.statistics[metric].mean)
        used.append(dataset)
        best.append(winner.statistics[metric].mean)
        if winner.column == FID_SUBSTITUTE:
            substituted.append(dataset)
        if len(entries) < 2 and method.name not in EMBEDDING_METHODS:
            one_score.append(dataset)
        published = _published(dataset, method, metric)
        paper.append(None if not published else max(published))
        artefact = artefact or any(
            figure.artefact for entry in entries for figure in entry.paper.values()
        )
        unlike = unlike or any(entry.unlike_paper for entry in entries)
    if not best:
        return None
    theirs = [value for value in paper if value is not None]
    return Mean(
        value=fmean(best),
        datasets=tuple(used),
        paper=fmean(theirs) / 100 if len(theirs) == len(best) else None,
        artefact=artefact,
        unlike=unlike,
        substituted=tuple(substituted),
        one_score=tuple(one_score),
    )


def common_datasets(study: Study) -> list[str]:
    """Datasets that every method has figures for in Table 2."""
    return [
        dataset
        for dataset in study.datasets
        if all(of_table2(study, dataset, method) for method in study.methods)
    ]


def _candidates(entries: list[Entry], metric: str) -> list[Entry]:
    """SSE and FID; the substitute counts only where there is no FID."""
    known = {
        row: entry
        for entry in entries
        if metric in entry.statistics
        and (row := table2_row(entry.column, entry.method.name)) is not None
    }
    if FID in known:
        known.pop(FID_SUBSTITUTE, None)
    return list(known.values())


def _published(dataset: str, method: Method, metric: str) -> list[float]:
    """The paper's SSE and FID, in percent, also where our runs lack one of them."""
    figures = [paper_figure(dataset, method.in_paper, score, metric) for score in ("sse", "fid")]
    return [figure.mean_percent for figure in figures if figure is not None]
