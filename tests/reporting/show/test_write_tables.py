"""CSV, Markdown and LaTeX."""

import csv
import re
from pathlib import Path

import pytest
from reporting.fake_runs import make_run

from cyclegan_ad.reporting.build import write_report
from cyclegan_ad.reporting.show.text_tables import Text, TextTable
from cyclegan_ad.reporting.show.write_tables import to_markdown


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
    make_run(root / "runs", "patchcore", 256, columns=["embedding"], **apart)
    make_run(root / "runs", "padim", 64, columns=["embedding"], **apart)
    own = ("dataset=folder", "dataset.name=own")
    make_run(root / "runs", "cyclegan", 64, "own", 0, *own, columns=["sse"], examples=False)
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


def test_numbers_have_every_digit_and_the_papers_beside(report: Path) -> None:
    rows = rows_of(report / "table2.csv")
    assert len(rows) == 12  # four cells with one score of the paper's and three metrics
    parts = {(row["run"], row["dataset"]): row["part"] for row in rows}
    assert parts == {
        ("cyclegan-64", "screw"): "paper",
        ("patchcore-256", "screw"): "paper",
        ("padim-64", "screw"): "other",
        ("cyclegan-64", "own"): "own",
    }
    ours = next(
        r
        for r in rows
        if (r["run"], r["dataset"], r["metric"]) == ("cyclegan-64", "screw", "auroc")
    )
    assert ours["seeds"] == "0 1"
    assert ours["paper_mean_percent"] == "51.31"
    assert ours["paper_artefact"] == "false"
    difference = float(ours["mean_percent"]) - 51.31
    assert float(ours["difference_points"]) == pytest.approx(difference)
    alone = next(r for r in rows if r["method"] == "patchcore" and r["metric"] == "zfn_accuracy")
    assert (alone["std_percent"], alone["paper_artefact"]) == ("", "true")
    assert alone["difference_points"] == ""
    assert (alone["unlike_paper"], ours["unlike_paper"]) == ("", "")
    other = next(row for row in rows if row["run"] == "padim-64")
    assert other["unlike_paper"] == "resolution=64 (paper: 256)"
    assert {row["score"] for row in rows_of(report / "extensions.csv")} == {"peak_2px"}
    assert {row["protocol"] for row in rows_of(report / "protocols.csv")} == {"crossfit"}
    assert {row["pairs"] for row in rows_of(report / "significance.csv")} == {"1"}
    passed = [row for row in rows_of(report / "passed.csv") if row["run"] == "patchcore-256"]
    assert [row["metric"] for row in passed] == ["pg0", "pg2", "pg5", "auroc"]
    # The test set is balanced.
    assert float(alone["mean_percent"]) == pytest.approx(50 + float(passed[0]["mean_percent"]) / 2)


TABLES = ("headline", "table2", "table2_other", "table2_own", "passed", "extensions", "protocols")


@pytest.mark.parametrize("name", TABLES)
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
    columns = re.search(r"\\begin\{tabular\}\{@\{\}(\w+)@\{\}\}", text)
    assert columns is not None
    assert len(columns[1]) == len(re.findall(r"(?<!\\)&", body[0])) + 1


def rows_in(path: Path) -> list[list[str]]:
    lines = [line for line in path.read_text("utf-8").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_papers_figures_stand_beside_ours_one_a_cell(report: Path) -> None:
    header, _, *rows = rows_in(report / "table2.md")
    assert header[3:5] == ["ZFN accuracy %: ours", "ZFN accuracy %: paper"]
    assert [(row[0], row[1], row[2]) for row in rows[:2]] == [
        ("Screw", "CycleGAN 64 px", "SSE"),
        ("Screw", "PatchCore 256 px", "SSE (e)"),
    ]
    cyclegan, patchcore = rows[:2]
    assert cyclegan[4] == "52.03 ± 3.24" and cyclegan[-1] == "2 seeds"
    assert (patchcore[3], patchcore[4]) == ("**100.00**", "59.32 ± 0.00†")
    assert patchcore[-2] == "-"  # the paper has none
    assert {row[0] for row in rows[2:]} == {"MEAN"}
    for row in rows:
        assert all(len(re.findall(r"\d+\.\d+", cell)) <= 2 for cell in row[3:])  # and deviation


def test_other_sizes_and_own_datasets_stand_apart(report: Path) -> None:
    _, _, *other = rows_in(report / "table2_other.md")
    assert [(row[0], row[1]) for row in other] == [("Screw", "PaDiM 64 px ‡")]
    header, _, *own = rows_in(report / "table2_own.md")
    assert [(row[0], row[1]) for row in own] == [("own", "CycleGAN 64 px")]
    assert not any("paper" in name for name in header)  # which has not the dataset
