"""CSV, Markdown and LaTeX."""

import csv
import re
from pathlib import Path

import pytest
from reporting.fake_runs import make_run

from cyclegan_ad.reporting.build import write_report
from cyclegan_ad.reporting.show.text_tables import Text, TextTable
from cyclegan_ad.reporting.show.write_tables import latex, to_latex, to_markdown


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("report")
    for seed in range(2):
        columns = ["sse", "peak_2px"]
        make_run(root / "runs", seed=seed, columns=columns, examples=False, as_in_paper=True)
    apart = {"separation": 9, "examples": False, "as_in_paper": True}
    make_run(root / "runs", "patchcore", columns=["embedding"], **apart)
    write_report(root / "runs", root / "out", None)
    return root / "out"


TABLE = TextTable(
    name="x",
    title="Title 5 %",
    groups=(("", 1), ("A_b", 2)),
    header=("Name", "p", "q"),
    rows=((Text("a|b & <i>"), Text("1.00 ± 0.10", bold=True), Text("2†")),),
    notes=("50 % of $x_1$",),
    text_columns=1,
)


def test_markdown_escapes_and_marks_the_best() -> None:
    lines = to_markdown(TABLE).splitlines()
    assert lines[0] == "## Title 5 %"
    assert lines[2] == r"| Name | A\_b: p | A\_b: q |"
    assert lines[3] == "| :-- | --: | --: |"
    assert lines[4] == r"| a\|b &amp; \<i\> | **1.00 ± 0.10** | 2† |"
    assert lines[6] == r"- 50 % of \$x\_1\$"


def test_latex_escapes_and_marks_the_best() -> None:
    text = to_latex(TABLE)
    assert r"\multicolumn{1}{l}{} & \multicolumn{2}{l}{A\_b} \\" in text
    assert r"a|b \& \textless{}i\textgreater{} & \textbf{1.00 $\pm$ 0.10} & 2$^\dagger$ \\" in text
    assert r"50 \% of \$x\_1\$" in text
    assert latex("\\{~^#}") == r"\textbackslash{}\{\textasciitilde{}\textasciicircum{}\#\}"


def test_numbers_have_every_digit_and_the_papers_beside(report: Path) -> None:
    rows = rows_of(report / "table2.csv")
    assert len(rows) == 6  # two methods with one score of the paper's and three metrics
    ours = next(r for r in rows if r["run"] == "cyclegan-64" and r["metric"] == "auroc")
    assert ours["seeds"] == "0 1"
    assert ours["paper_mean_percent"] == "51.31"
    assert ours["paper_artefact"] == "false"
    difference = float(ours["mean_percent"]) - 51.31
    assert float(ours["difference_points"]) == pytest.approx(difference)
    alone = next(r for r in rows if r["method"] == "patchcore" and r["metric"] == "zfn_accuracy")
    assert (alone["std_percent"], alone["paper_artefact"]) == ("", "true")
    assert alone["difference_points"] == ""
    assert (alone["unlike_paper"], ours["unlike_paper"]) == ("resolution=64 (paper: 256)", "")
    assert {row["score"] for row in rows_of(report / "extensions.csv")} == {"peak_2px"}
    assert {row["protocol"] for row in rows_of(report / "protocols.csv")} == {"crossfit"}
    assert [row["pairs"] for row in rows_of(report / "significance.csv")] == ["1", "1"]
    passed = [row for row in rows_of(report / "passed.csv") if row["run"] == "patchcore-64"]
    assert [row["metric"] for row in passed] == ["pg0", "pg2", "pg5", "auroc"]
    # The test set is balanced.
    assert float(alone["mean_percent"]) == pytest.approx(50 + float(passed[0]["mean_percent"]) / 2)


@pytest.mark.parametrize("name", ["table2", "passed", "extensions", "protocols", "significance"])
def test_every_table_is_regular_in_both_formats(report: Path, name: str) -> None:
    markdown = [
        line for line in (report / f"{name}.md").read_text("utf-8").splitlines() if line[:1] == "|"
    ]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in markdown}
    assert len(markdown) > 2
    assert len(widths) == 1
    text = (report / f"{name}.tex").read_text("utf-8")
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    body = [
        line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line
    ]
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in body}) == 1
    columns = re.search(r"\\begin\{tabular\}\{(\w+)\}", text)
    assert columns is not None
    assert len(columns[1]) == len(re.findall(r"(?<!\\)&", body[0])) + 1


def test_the_paper_stands_in_rows_below_ours(report: Path) -> None:
    lines = (report / "table2.md").read_text("utf-8").splitlines()
    ours = next(i for i, line in enumerate(lines) if line.startswith("| Screw | SSE | ours |"))
    assert "100.00 (e)" in lines[ours]
    assert "| paper | 52.03 ± 3.24 |" in lines[ours + 1]
    assert "59.32 ± 0.00†‡" in lines[ours + 1]
    assert "| difference |" in lines[ours + 2]
    assert "40.68" not in lines[ours + 2]  # none from an artefact
