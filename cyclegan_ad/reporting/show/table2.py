"""Lay out Table 2 and the extension scores as in the paper: datasets down, methods across.

Cells hold text, ready for the page, Markdown, LaTeX and the terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cyclegan_ad.display.numbers import NOTHING, percent
from cyclegan_ad.reference.table2 import PAPER_METRICS
from cyclegan_ad.reporting.compute.aggregate import Entry, Study, best_of
from cyclegan_ad.reporting.compute.means import Mean, common_datasets, mean_of_best
from cyclegan_ad.reporting.labels import (
    FID_SUBSTITUTE,
    TABLE2_ROWS,
    Method,
    dataset_title,
    mean_and_std,
    score_order,
    signed,
    table2_row,
)
from cyclegan_ad.scoring.names import EMBEDDING, ScoreColumn
from cyclegan_ad.text import counted


@dataclass(frozen=True, slots=True)
class Cell:
    """One metric of one method.

    Attributes:
        ours: Mean and, for two seeds or more, standard deviation, in percent.
        best: Whether it is the highest of its dataset and metric.
        paper: The paper's figure in percent; empty where it has none.
        flagged: Whether the paper's figure comes from the error in its code.
        unlike: Whether ours was made with other settings than the paper's.
        difference: Ours minus the paper's in percentage points, with sign.
    """

    ours: str
    best: bool = False
    paper: str = ""
    flagged: bool = False
    unlike: bool = False
    difference: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """The three metrics of one method in a row.

    Attributes:
        cells: ZFN accuracy, best accuracy, AUROC.
        behind: Number of seeds or, in a MEAN row, of datasets averaged over.
        embedding: Whether the score is a distance of embeddings.
        few: Whether there are few abnormal test images, see `few_images`.
    """

    cells: tuple[Cell, ...]
    behind: str
    embedding: bool = False
    few: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row: a dataset and a score, or a mean.

    Attributes:
        dataset: Title of the dataset.
        score: Title of the score.
        blocks: One a method; None without a result.
        substitute: Whether the score replaces FID.
        mean: Whether it is a MEAN row.
    """

    dataset: str
    score: str
    blocks: tuple[Block | None, ...]
    substitute: bool = False
    mean: bool = False


@dataclass(frozen=True, slots=True)
class Table2:
    """A table with the methods side by side, and the means in it."""

    methods: tuple[Method, ...]
    rows: tuple[Row, ...]
    means: tuple[Mean, ...] = field(default=())


def lay_out_table2(study: Study) -> Table2:
    """Lay out the paper's table: SSE and FID, and MEAN; an embedding distance is in SSE's row."""
    rows = _rows(study, table2_row, TABLE2_ROWS, study.methods, paper=True)
    means: list[Mean] = []
    if not rows:
        return Table2(tuple(study.methods), tuple(rows))
    own = {
        method: mean_of_best(study, method, "zfn_accuracy", study.datasets)
        or mean_of_best(study, method, "auroc", study.datasets)
        for method in study.methods
    }
    common = common_datasets(study)
    same_datasets = len({mean.datasets for mean in own.values() if mean is not None}) <= 1
    which = "" if same_datasets else ", all datasets of each method"
    rows.append(_mean_row(study, which, study.datasets, same_datasets, means))
    if not same_datasets and common:
        rows.append(_mean_row(study, ", common datasets", common, True, means))
    return Table2(tuple(study.methods), tuple(rows), tuple(means))


def lay_out_beside(study: Study) -> Table2:
    """Lay out what stands beside the paper's table: the same rows, then other scores."""
    others = {c for _, m, c in study.entries if table2_row(c, m.name) is None}
    rows = _rows(
        study,
        lambda column, method: table2_row(column, method) or column,
        [*TABLE2_ROWS, *sorted(others, key=score_order)],
        study.methods,
        paper=True,
    )
    return Table2(tuple(study.methods), tuple(rows))


def lay_out_extensions(study: Study) -> Table2 | None:
    """Lay out all scores of the methods that have an extension score; None if there are none."""
    extended = [
        method
        for method in study.methods
        if any(m == method and table2_row(c, m.name) is None for _, m, c in study.entries)
    ]
    if not extended:
        return None
    columns = sorted({c for _, m, c in study.entries if m in extended}, key=score_order)
    rows = _rows(study, lambda column, _: column, columns, extended, paper=False)
    return Table2(tuple(extended), tuple(rows))


def lay_out_sweep(study: Study) -> Table2:
    """Lay out all scores of the runs of a sweep, beside the paper's figures."""
    columns = sorted({column for _, _, column in study.entries}, key=score_order)
    rows = _rows(study, lambda column, _: column, columns, study.methods, paper=True)
    return Table2(tuple(study.methods), tuple(rows))


def _rows(
    study: Study,
    row_of: Callable[[ScoreColumn, str], ScoreColumn | None],
    names: Sequence[ScoreColumn],
    methods: Sequence[Method],
    *,
    paper: bool,
) -> list[Row]:
    rows = []
    for dataset in study.datasets:
        here = {
            (row_of(entry.column, entry.method.name), entry.method): entry
            for entry in study.entries.values()
            if entry.dataset == dataset and entry.method in methods
        }
        shown = [entry for (row, _), entry in here.items() if row is not None]
        best = {metric: best_of(shown, metric) for metric in PAPER_METRICS}
        for name in names:
            entries = [here.get((name, method)) for method in methods]
            if any(entries):
                blocks = tuple(None if e is None else _block(e, best, paper) for e in entries)
                substitute = name == FID_SUBSTITUTE and paper
                rows.append(Row(dataset_title(dataset), name.title, blocks, substitute))
    return rows


def _block(entry: Entry, best: dict[str, set[tuple[Method, ScoreColumn]]], paper: bool) -> Block:
    cells = []
    for metric in PAPER_METRICS:
        statistic = entry.statistics.get(metric)
        figure = entry.paper.get(metric) if paper else None
        cells.append(
            Cell(
                ours=NOTHING if statistic is None else mean_and_std(statistic.mean, statistic.std),
                best=(entry.method, entry.column) in best[metric],
                paper=""
                if figure is None
                else f"{figure.mean_percent:.2f} ± {figure.std_percent:.2f}",
                flagged=figure is not None and figure.artefact,
                unlike=figure is not None and bool(entry.unlike_paper),
                difference=signed(entry.difference(metric)) if paper else "",
            )
        )
    return Block(
        tuple(cells),
        behind=counted(len(entry.seeds), "seed"),
        embedding=paper and entry.column.name == EMBEDDING,
        few=entry.few is not None,
    )


def _mean_row(
    study: Study, which: str, datasets: Sequence[str], compared: bool, means: list[Mean]
) -> Row:
    columns = []
    for metric in PAPER_METRICS:
        column = [mean_of_best(study, method, metric, datasets) for method in study.methods]
        values = [round(100 * mean.value, 2) for mean in column if mean is not None]
        highest = max(values) if compared and len(values) > 1 else None
        columns.append([(mean, _mean_cell(mean, highest)) for mean in column])
    blocks: list[Block | None] = []
    for of_method in zip(*columns, strict=True):
        known = [mean for mean, _ in of_method if mean is not None]
        means += known
        cells = tuple(cell for _, cell in of_method)
        behind = counted(len(known[0].datasets), "dataset") if known else ""
        few = any(mean.few for mean in known)
        blocks.append(Block(cells, behind, few=few) if known else None)
    return Row(f"MEAN{which}", "better of SSE and FID", tuple(blocks), mean=True)


def _mean_cell(mean: Mean | None, highest: float | None) -> Cell:
    if mean is None:
        return Cell(NOTHING)
    return Cell(
        ours=percent(mean.value),
        best=round(100 * mean.value, 2) == highest,
        paper="" if mean.paper is None else percent(mean.paper),
        flagged=mean.artefact and mean.paper is not None,
        unlike=mean.unlike and mean.paper is not None,
        difference=signed(None if mean.paper is None or mean.artefact else mean.value - mean.paper),
    )
