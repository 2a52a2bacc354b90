"""Writes the tables of the report as CSV (every digit), Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclegan_ad.files import write_rows, write_text
from cyclegan_ad.reporting.compute.aggregate import Study
from cyclegan_ad.reporting.compute.honest_protocols import Honest
from cyclegan_ad.reporting.compute.significance import Comparison
from cyclegan_ad.reporting.labels import Method, table2_row
from cyclegan_ad.reporting.read.read_run import LeftOut
from cyclegan_ad.reporting.show.text_tables import Text, TextTable
from cyclegan_ad.runs.results import PAPER_METRICS
from cyclegan_ad.text import printable

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
}

STUDY_HEADER = [
    *("dataset", "run", "method", "resolution", "score", "in_table2", "metric", "protocol"),
    *("seeds", "mean_percent", "std_percent"),
    *("paper_mean_percent", "paper_std_percent", "paper_artefact", "difference_points"),
    "unlike_paper",
]
_COUNTED = ("misses", "abnormal", "miss_rate", "miss_rate_bound", "calibration_abnormal")
_ALARMS = ("false_alarms", "normal", "false_alarm_rate", "margin", "confidence")


def write_documents(folder: Path, tables: Sequence[TextTable]) -> list[Path]:
    """Write each table as ``<name>.md`` and ``<name>.tex``; gives the files."""
    written = []
    for table in tables:
        for ending, text in (("md", to_markdown(table)), ("tex", to_latex(table))):
            written.append(folder / f"{table.name}.{ending}")
            write_text(written[-1], text)
    return written


def to_markdown(table: TextTable) -> str:
    """Write a table as a Markdown table; headings of groups go into the header."""
    header = [_escape(name) for name in table.header]
    start = 0
    for heading, width in table.groups:
        for i in range(start, start + width):
            header[i] = f"{_escape(heading)}: {header[i]}" if heading else header[i]
        start += width
    rule = [":--" if i < table.text_columns else "--:" for i in range(len(header))]
    lines = [f"## {_escape(table.title)}", "", _line(header), _line(rule)]
    for row in table.rows:
        lines.append(_line([f"**{_plain(cell)}**" if cell.bold else _plain(cell) for cell in row]))
    lines += ["", *(f"- {_escape(note)}" for note in table.notes), ""]
    return "\n".join(lines)


def to_latex(table: TextTable) -> str:
    """Write a table as a LaTeX ``tabular`` that needs no packages."""
    columns = "l" * table.text_columns + "r" * (len(table.header) - table.text_columns)
    lines = [f"% {_ascii(table.title)}", rf"\begin{{tabular}}{{{columns}}}", r"\hline"]
    if table.groups:
        heads = [rf"\multicolumn{{{n}}}{{l}}{{{latex(head)}}}" for head, n in table.groups]
        lines.append(" & ".join(heads) + r" \\")
    lines += [" & ".join(latex(name) for name in table.header) + r" \\", r"\hline"]
    for row in table.rows:
        cells = [
            rf"\textbf{{{latex(cell.text)}}}" if cell.bold else latex(cell.text) for cell in row
        ]
        lines.append(" & ".join(cells) + r" \\")
    lines += [r"\hline", r"\end{tabular}", ""]
    for note in table.notes:
        lines += [r"\par\noindent " + latex(note)]
    return "\n".join(lines) + "\n"


def latex(text: str) -> str:
    r"""Escape what LaTeX would take for its own.

    >>> latex("a_b & 5 %")
    'a\\_b \\& 5 \\%'
    """
    return "".join(_LATEX.get(character, character) for character in text)


def _plain(cell: Text) -> str:
    return _escape(cell.text)


def _escape(text: str) -> str:
    for sign in "\\`*_[]|<>$~":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("&", "&amp;")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()


def write_numbers(
    folder: Path,
    study: Study,
    honest: Sequence[Honest],
    comparisons: Sequence[Comparison],
    left_out: Sequence[LeftOut],
) -> list[Path]:
    """Write the numbers behind the tables as CSV files, one figure a row; gives the files."""
    contents: dict[str, tuple[list[str], list[list[Any]]]] = {
        "table2": (STUDY_HEADER, _study_rows(study, in_table2=True)),
        "extensions": (STUDY_HEADER, _study_rows(study, in_table2=False)),
        "protocols": (
            [
                *("protocol", "dataset", "run", "method", "resolution", "score", "seeds"),
                *(*_COUNTED, *_ALARMS),
                *("accuracy_mean", "accuracy_std", "max_accuracy_mean", "max_accuracy_std"),
            ],
            [_honest_row(row) for row in honest],
        ),
        "significance": (
            [
                *("metric", "first_run", "first_score", "second_run", "second_score"),
                *("difference_points", "pairs", "datasets", "datasets_ahead", "p", "p_holm"),
            ],
            [_comparison_row(row) for row in comparisons],
        ),
        "left_out": (["what", "reason"], [[row.what, row.reason] for row in left_out]),
    }
    written = []
    for name, (header, rows) in contents.items():
        written.append(folder / f"{name}.csv")
        write_rows(written[-1], header, [[_fit(value) for value in row] for row in rows])
    return written


def _study_rows(study: Study, *, in_table2: bool) -> list[list[Any]]:
    rows = []
    for dataset in study.datasets:
        for method in study.methods:
            for column in study.columns(dataset):
                entry = study.entries.get((dataset, method, column))
                shown = table2_row(column, method.name) is not None
                if entry is None or shown is not in_table2:
                    continue
                for metric in PAPER_METRICS:
                    ours, paper = entry.statistics.get(metric), entry.paper.get(metric)
                    row = [dataset, *_named(method), column.column, shown, metric, study.protocol]
                    row.append(" ".join(str(seed) for seed in entry.seeds))
                    row += [None, None] if ours is None else [_100(ours.mean), _100(ours.std)]
                    row += (
                        [None, None, None]
                        if paper is None
                        else [paper.mean_percent, paper.std_percent, paper.artefact]
                    )
                    unlike = "; ".join(entry.unlike_paper) if paper is not None else None
                    rows.append([*row, _100(entry.difference(metric)), unlike])
    return rows


def _honest_row(row: Honest) -> list[Any]:
    best = row.max_accuracy
    return [
        row.protocol,
        row.dataset,
        *_named(row.method),
        row.column.column,
        " ".join(str(seed) for seed in row.seeds),
        *(row.decisions[name] for name in (*_COUNTED, *_ALARMS)),
        row.accuracy.mean,
        row.accuracy.std,
        None if best is None else best.mean,
        None if best is None else best.std,
    ]


def _comparison_row(row: Comparison) -> list[Any]:
    (first, one), (second, other) = row.first, row.second
    found = [_100(row.difference), row.pairs, row.datasets, row.datasets_ahead, row.p, row.p_holm]
    return [row.metric, first.run, one.column, second.run, other.column, *found]


def _named(method: Method) -> tuple[str, str, int]:
    return method.run, method.name, method.resolution


def _100(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def _fit(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return ""
    return printable(value) if isinstance(value, str) else value
