"""Write the tables of the report as CSV (every digit), Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cyclegan_ad.files import write_rows, write_text
from cyclegan_ad.reference.table2 import PAPER_METRICS
from cyclegan_ad.reporting.compute.aggregate import Statistic, Study
from cyclegan_ad.reporting.compute.held_out import HeldOut
from cyclegan_ad.reporting.compute.normal_only import NormalOnly
from cyclegan_ad.reporting.compute.passed import Passed
from cyclegan_ad.reporting.compute.significance import Comparison
from cyclegan_ad.reporting.compute.table2_parts import part_of
from cyclegan_ad.reporting.labels import Method, table2_row
from cyclegan_ad.reporting.read.read_run import LeftOut
from cyclegan_ad.reporting.show.latex_table import to_latex
from cyclegan_ad.reporting.show.text_tables import TextTable
from cyclegan_ad.text import printable

_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\`*_[]|<>$~"} | {"&": "&amp;"})

Numbers = tuple[list[str], list[list[Any]]]
"""Names of the columns, and the rows."""

STUDY_HEADER = [
    *("dataset", "run", "method", "resolution", "score", "in_table2", "metric", "protocol"),
    *("seeds", "mean_percent", "std_percent"),
    *("paper_mean_percent", "paper_std_percent", "paper_artefact", "difference_points"),
    *("unlike_paper", "part"),
]
_DECIDED = (
    *("misses", "abnormal", "miss_rate", "miss_rate_bound", "calibration_abnormal"),
    *("false_alarms", "normal", "false_alarm_rate", "margin", "confidence"),
)
_QUANTILE = (
    *("normal", "different", "rank", "false_alarm_rate_target", "false_alarm_rate_expected"),
    *("false_alarm_rate_bound", "confidence"),
)


def write_documents(folder: Path, tables: Sequence[TextTable]) -> list[Path]:
    """Write each table as ``<name>.md`` and ``<name>.tex``; return the files."""
    written = []
    for table in tables:
        for ending, text in (("md", to_markdown(table)), ("tex", to_latex(table))):
            written.append(folder / f"{table.name}.{ending}")
            write_text(written[-1], text)
    return written


def to_markdown(table: TextTable) -> str:
    """Format a table as Markdown; headings of groups are put into the header."""
    heads = [head for head, width in table.groups for _ in range(width)] or [""] * len(table.header)
    header = [
        f"{_markdown(head)}: {_markdown(name)}" if head else _markdown(name)
        for head, name in zip(heads, table.header, strict=True)
    ]
    rule = [":--" if i < table.text_columns else "--:" for i in range(len(header))]
    lines = [header, rule]
    for row in table.rows:
        lines.append([f"**{_markdown(c.text)}**" if c.bold else _markdown(c.text) for c in row])
    body = [f"| {' | '.join(cells)} |" for cells in lines]
    notes = [f"- {_markdown(note)}" for note in table.notes]
    return "\n".join([f"## {_markdown(table.title)}", "", *body, "", *notes, ""])


def _markdown(text: str) -> str:
    return text.translate(_MARKDOWN)


def write_numbers(
    folder: Path,
    study: Study,
    held_out: Sequence[HeldOut],
    passed: Sequence[Passed],
    normal_only: Sequence[NormalOnly],
    comparisons: Sequence[Comparison],
    others: Mapping[str, Numbers],
    left_out: Sequence[LeftOut],
) -> list[Path]:
    """Write the numbers of the tables as CSV files, one figure a row; return the files.

    Args:
        folder: Folder to write to.
        study: All cells.
        held_out: Decisions at held-out thresholds.
        passed: Normal images passed.
        normal_only: Thresholds set on normal images alone.
        comparisons: Comparisons of methods.
        others: Name of a further file, without its ending -> its numbers.
        left_out: What is missing, with the reasons.
    """
    contents: dict[str, Numbers] = {
        "table2": (STUDY_HEADER, _study_rows(study, in_table2=True)),
        "extensions": (STUDY_HEADER, _study_rows(study, in_table2=False)),
        "protocols": (
            [
                *("protocol", "dataset", "run", "method", "resolution", "score", "seeds"),
                *_DECIDED,
                *("miss_rate_expected", "miss_rate_guaranteed", "folds"),
                *("accuracy_mean", "accuracy_std", "max_accuracy_mean", "max_accuracy_std"),
            ],
            [_held_out_row(row) for row in held_out],
        ),
        "passed": (
            [
                *("dataset", "run", "method", "resolution", "score", "metric", "seeds"),
                *("mean_percent", "std_percent"),
            ],
            [
                [
                    *(row.dataset, *_named(row.method), row.column.column, metric),
                    *(_seeds(row.seeds), *map(_100, _mean_std(statistic))),
                ]
                for row in passed
                for metric, statistic in row.statistics.items()
            ],
        ),
        "normal_only": (
            [*("dataset", "run", "method", "resolution", "score", "seed", "threshold"), *_QUANTILE],
            [_normal_only_row(row) for row in normal_only],
        ),
        "significance": (
            [
                *("metric", "first_run", "first_score", "second_run", "second_score"),
                *("difference_points", "pairs", "datasets", "datasets_ahead", "p", "p_holm"),
            ],
            [_comparison_row(row) for row in comparisons],
        ),
        **others,
        "left_out": (["what", "reason"], [[row.what, row.reason] for row in left_out]),
    }
    written = []
    for name, (header, rows) in contents.items():
        written.append(folder / f"{name}.csv")
        write_rows(written[-1], header, [[_plain(value) for value in row] for row in rows])
    return written


def _study_rows(study: Study, *, in_table2: bool) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for entry in study.entries.values():
        if (table2_row(entry.column, entry.method.name) is not None) is not in_table2:
            continue
        cell = [entry.dataset, *_named(entry.method), entry.column.column, in_table2]
        for metric in PAPER_METRICS:
            paper = entry.paper.get(metric)
            published: list[Any] = [None] * 3
            if paper is not None:
                published = [paper.mean_percent, paper.std_percent, paper.artefact]
            rows.append(
                [
                    *(*cell, metric, study.protocol, _seeds(entry.seeds)),
                    *map(_100, _mean_std(entry.statistics.get(metric))),
                    *published,
                    _100(entry.difference(metric)),
                    None if paper is None else "; ".join(entry.unlike_paper),
                    part_of(entry),
                ]
            )
    return rows


def _held_out_row(row: HeldOut) -> list[Any]:
    return [
        *(row.protocol, row.dataset, *_named(row.method), row.column.column, _seeds(row.seeds)),
        *(row.decisions[name] for name in _DECIDED),
        *(row.expected, row.guaranteed, row.decisions.get("folds")),
        *_mean_std(row.accuracy),
        *_mean_std(row.max_accuracy),
    ]


def _normal_only_row(row: NormalOnly) -> list[Any]:
    named = (row.run.dataset, *_named(row.run.method), row.column.column, row.run.seed)
    return [*named, row.decisions["thresholds"][0], *(row.decisions[name] for name in _QUANTILE)]


def _comparison_row(row: Comparison) -> list[Any]:
    (first, one), (second, other) = row.first, row.second
    found = [_100(row.difference), row.pairs, row.datasets, row.datasets_ahead, row.p, row.p_holm]
    return [row.metric, first.run, one.column, second.run, other.column, *found]


def _named(method: Method) -> tuple[str, str, int]:
    return method.run, method.name, method.resolution


def _seeds(seeds: Sequence[int]) -> str:
    return " ".join(map(str, seeds))


def _mean_std(statistic: Statistic | None) -> tuple[float | None, float | None]:
    return (None, None) if statistic is None else (statistic.mean, statistic.std)


def _100(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return ""
    return printable(value) if isinstance(value, str) else value
