r"""Tables as LaTeX: a ``table`` in booktabs form with a caption, made smaller to fit a page.

A document needs ``\usepackage{booktabs,graphicx}`` and ``\input{table2}``.
"""

from __future__ import annotations

from collections.abc import Iterable

from cyclegan_ad.reporting.show.text_tables import Text, TextTable, sections_of

_LATEX = str.maketrans(
    {character: rf"\{character}" for character in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': "''",
        "±": r"$\pm$",
        "†": r"$^\dagger$",
        "‡": r"$^\ddagger$",
        "“": "``",
        "”": "''",
        "é": r"\'e",
    }
)
# Above the numbers of a table that is wider or higher than the page: scaled as one box, so that no
# line is cut off. The page keeps a tenth of its height for the caption.
_BEGIN = r"""\begin{table}[htbp]
\centering
\caption{%CAPTION%}
\label{tab:%NAME%}
\begingroup
\scriptsize
\setlength{\tabcolsep}{2.5pt}
\sbox0{%"""
_END = r"""}%
\ifdim\wd0>\linewidth \sbox0{\resizebox{\linewidth}{!}{\usebox0}}\fi
\sbox2{\begin{minipage}{\linewidth}
\centering\usebox0\par\medskip
\raggedright
%NOTES%
\end{minipage}}%
\dimen0=\ht2 \advance\dimen0 by \dp2
\ifdim\dimen0>0.9\textheight \resizebox*{!}{0.9\textheight}{\usebox2}\else\usebox2\fi
\endgroup
\end{table}
"""


def to_latex(table: TextTable) -> str:
    """Format a table as a floating ``table`` that fits a page."""
    words = table.text_columns - table.sections
    numbers = len(table.header) - table.text_columns
    lines = [rf"\begin{{tabular}}{{@{{}}{'l' * words}{'r' * numbers}@{{}}}}", r"\toprule"]
    if table.groups:
        lines += _heads(table)
    lines += [_row(map(latex, table.header[table.sections :])), r"\midrule"]
    for number, (heading, rows) in enumerate(sections_of(table)):
        if table.sections:
            lines += [r"\addlinespace"] if number else []
            lines.append(
                rf"\multicolumn{{{words + numbers}}}{{@{{}}l}}{{\textit{{{latex(heading)}}}}} \\"
            )
        lines += [_row(map(_cell, row)) for row in rows]
    lines += [r"\bottomrule", r"\end{tabular}"]
    head = _BEGIN.replace("%CAPTION%", latex(table.caption)).replace("%NAME%", table.name)
    notes = "\n".join(rf"{latex(note)}\par" for note in table.notes)
    return "\n".join([head, *lines]) + _END.replace("%NOTES%", notes)


def _heads(table: TextTable) -> list[str]:
    """Write the headings of groups of columns, each of several columns with a line below."""
    cells, rules, column = [], [], 1
    for heading, width in _without_sections(table):
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{latex(heading)}}}")
        if heading:
            rules.append(rf"\cmidrule(lr){{{column}-{column + width - 1}}}")
        column += width
    return [_row(cells), " ".join(rules)]


def _without_sections(table: TextTable) -> list[tuple[str, int]]:
    (heading, width), *others = table.groups
    return [(heading, width - table.sections), *others]


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: Text) -> str:
    number, deviation, rest = latex(cell.text).partition(r" $\pm$ ")
    number = rf"\textbf{{{number}}}" if cell.bold else number
    if not deviation:
        return number
    amount, space, marks = rest.partition(" ")
    return rf"{number}{{\tiny$\,\pm${amount}}}{space}{marks}"


def latex(text: str) -> str:
    r"""Escape the special characters of LaTeX; what its basic fonts lack becomes a question mark.

    >>> latex("a_b & 5 %"), latex("±†"), latex("ひ")
    ('a\\_b \\& 5 \\%', '$\\pm$$^\\dagger$', '?')
    """
    return text.translate(_LATEX).encode("ascii", "replace").decode()
