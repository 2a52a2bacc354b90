"""Fewer than 30 abnormal test images: every table of the report says what they support."""

import io
import re
from pathlib import Path

import pytest
from reporting.fake_runs import make_run
from reporting.parsed_page import Page
from rich.console import Console

from cyclegan_ad.metrics.wording import few_images
from cyclegan_ad.reporting.build import write_report
from cyclegan_ad.reporting.compute.aggregate import Study, build_study
from cyclegan_ad.reporting.compute.seeds import print_means
from cyclegan_ad.reporting.read.choose_runs import choose_comparable, choose_consistent
from cyclegan_ad.reporting.read.find_runs import collect
from cyclegan_ad.reporting.show.notes import table2_notes
from cyclegan_ad.reporting.show.table2 import lay_out_table2
from cyclegan_ad.reporting.show.terminal_table import print_study

FEW, MANY = 12, 30
TABLES = ("headline", "passed", "table2", "extensions", "protocols")
SUPPORTED = (
    few_images(
        {
            "test_abnormal": FEW,
            "independent": {"abnormal": FEW},
            "protocol_settings": {"confidence": 0.95},
        }
    )
    or ""
)


def make_runs(root: Path, per_class: int) -> Path:
    """Two methods that are compared, one of them perfect, and an extension score."""
    for seed in range(2):
        usual = {"per_class": per_class, "examples": False}
        make_run(root, "cyclegan", 64, "screw", seed, columns=["sse", "peak_2px"], **usual)
        make_run(root, "padim", 256, "screw", seed, columns=["embedding"], separation=99, **usual)
    return root


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Test images of a class -> a report about such runs."""
    found = {}
    for per_class in (FEW, MANY):
        folder = tmp_path_factory.mktemp(f"of{per_class}")
        write_report(make_runs(folder / "runs", per_class), folder / "out", None)
        found[per_class] = folder / "out"
    return found


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("ending", ["md", "tex"])
def test_each_table_says_it(reports: dict[int, Path], table: str, ending: str) -> None:
    few, many = ((reports[n] / f"{table}.{ending}").read_text() for n in (FEW, MANY))
    said = SUPPORTED.replace("%", "\\%") if ending == "tex" else SUPPORTED
    assert f"(f) Fewer than 30 abnormal test images. Screw: {said}." in few
    assert "(f)" not in many and "Fewer than 30" not in many


def test_no_bold_100_stands_without_the_mark(reports: dict[int, Path]) -> None:
    for ending, bold in (("md", "**100.00"), ("tex", r"\textbf{100.00")):
        few, many = (
            [
                cell
                for line in (reports[n] / f"table2.{ending}").read_text("utf-8").splitlines()
                for cell in line.split("|" if ending == "md" else "&")
                if bold in cell
            ]
            for n in (FEW, MANY)
        )
        assert len(few) == len(many) == 6  # three metrics, and MEAN
        assert all(" (f)" in text for text in few)
        assert not any("(f)" in text for text in many)
    few, many = (
        [
            cell.text
            for section in Page(reports[n] / "index.html").sections.values()
            for row in section.rows
            for cell in row
            if "best" in cell.classes and "100.00" in cell.text
        ]
        for n in (FEW, MANY)
    )
    assert len(few) == len(many) == 6 + 4  # and the images passed
    assert all(text.endswith("f") for text in few)
    assert not any("f" in text for text in many)


def test_the_page_says_it_with_every_table_and_headline(reports: dict[int, Path]) -> None:
    few, many = (Page(reports[n] / "index.html") for n in (FEW, MANY))
    for part in ("headline", "table2", "passed", "held-out", "extensions", "critical"):
        assert SUPPORTED in few.sections[part].text, part
    assert SUPPORTED not in many.words and "abnormal test images: even" not in many.words
    figures = [cell for row in few.sections["headline"].rows for cell in row if "±" in cell.text]
    ours = [cell for cell in figures if cell.label != "Paper's CycleGAN %"]
    assert ours and all(cell.text.endswith("f") for cell in ours)


def study_of(runs: Path) -> Study:
    kept = choose_consistent(collect(runs)[0])[0]
    return build_study(kept, "paper", choose_comparable(kept))


@pytest.mark.parametrize("per_class", [FEW, MANY])
def test_the_terminal_says_it(tmp_path: Path, per_class: int) -> None:
    study = study_of(make_runs(tmp_path, per_class))
    table, out = lay_out_table2(study), io.StringIO()
    print_study(table, table2_notes(table, study), [], Console(file=out, width=200))
    text = out.getvalue()
    rows = [line for line in text.splitlines() if re.search(r"\d\.\d\d", line) and " px" in line]
    assert len(rows) == 4  # two methods, and MEAN
    assert all(("(f)" in row) is (per_class == FEW) for row in rows)
    assert (SUPPORTED in text) is (per_class == FEW)


def test_means_over_seeds_say_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = make_runs(tmp_path, FEW)
    print_means(sorted((runs / "padim-256" / "screw").iterdir()))
    text = " ".join(capsys.readouterr().out.split())
    assert SUPPORTED in text and "100.00" in text
