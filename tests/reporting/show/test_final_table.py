"""The final table, the ablation and what decided, as a person reads them."""

import csv
from pathlib import Path

import pytest
from reporting.browser import find_chromium, look_at
from reporting.fake_runs import make_run
from reporting.parsed_page import Page

from cyclegan_ad.reporting.build import write_report

TABLES = ("final", "final_without_copies", "final_differences", "decided", "ablation")
SECTIONS = ("final", "without-copies", "against-the-probe", "decided", "ablation")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs, out = tmp_path_factory.mktemp("final") / "runs", tmp_path_factory.mktemp("out")
    fused = ["fused_tta", "fused_signals_tta", "sse_tta"]
    for seed in (0, 1):
        shared = {"copies": 8, "per_class": 16}
        for method, columns in (
            ("cyclegan", ["sse", "fid_efficientnet_lite0"]),
            ("cyclegan_plus", fused),
            ("linear_probe", ["probe_tta", "probe_peak_tta"]),
        ):
            make_run(runs, method, 64, "brain_mri", seed, columns=columns, **shared)
        make_run(
            runs, "cyclegan_plus", 64, "brain_mri", seed, columns=fused, run="ablation-full",
            examples=False, **shared,
        )  # fmt: skip
    write_report(runs, out, None)
    return out


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_written_in_all_formats(report: Path, name: str) -> None:
    lines = [ln for ln in (report / f"{name}.md").read_text("utf-8").splitlines() if ln[:1] == "|"]
    assert len(lines) > 2
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert (report / f"{name}.tex").is_file()


def test_the_numbers_of_the_table_are_those_of_the_csv_file(report: Path) -> None:
    with (report / "final.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    keys = [
        (r["source"], r["run"], r["method"], r["score"], r["test_images"], r["metric"])
        for r in rows
    ]
    assert len(set(keys)) == len(keys)
    found = dict(zip(keys, rows, strict=True))
    line = next(
        line
        for line in (report / "final.md").read_text("utf-8").splitlines()
        if "CycleGAN+ 64 px | fused, 8" in line
    )
    for metric in ("auroc", "zfn_accuracy", "max_accuracy", "pg0"):
        row = found["ours", "cyclegan_plus-64", "cyclegan_plus", "fused_tta", "all", metric]
        assert f"{float(row['mean_percent']):.2f} ± {float(row['std_percent']):.2f}" in line
    paper = found["paper", "", "cyclegan-64", "sse", "all", "auroc"]
    assert (paper["mean_percent"], paper["artefact"]) == ("91.96", "false")
    better = [key for key in found if key[3] == "better_of_sse_and_fid"]
    assert {key[4] for key in better} == {"all", "without_copies"}


def test_copies_are_left_out_of_missed_and_passed_too(report: Path) -> None:
    header, line = (
        next(
            line
            for line in (report / "final_without_copies.md").read_text("utf-8").splitlines()
            if found in line
        )
        for found in ("| Dataset", "64 px | SSE |")
    )
    cells = dict(zip(header.split(" | "), line.split(" | "), strict=True))
    assert cells["Missed, crossfit"].endswith("of 32")  # of 16 in two splits; no defect is a copy
    assert cells["Also by"] == "-"


def test_choices_by_the_test_result_are_named_so(report: Path) -> None:
    text = (report / "final.md").read_text("utf-8")
    assert "CycleGAN 64 px | better of SSE and FID, by test result" in text
    assert "Paper: CycleGAN | best score and size, by test result" in text
    assert "**" not in text  # and no figure is singled out


def test_what_it_says(report: Path) -> None:
    page = Page(report / "index.html")
    assert set(SECTIONS) <= {attributes.get("id") for _, attributes in page.found}
    reasons = [tag for tag, attributes in page.found if attributes.get("class") == "reason"]
    assert len(reasons) == 12  # two scores, six critical images
    decided = page.sections["decided"]
    assert decided.row("linear probe (probe)") and decided.row("total: the score")
    final = page.sections["final"].text
    assert "Optimistic" in final and "Brain MRI" in final and "ablation" not in final


@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium on this machine")
@pytest.mark.parametrize("width_px", [390, 1280])
def test_a_browser_shows_method_and_first_figure_at_any_width(
    report: Path, tmp_path: Path, width_px: int
) -> None:
    seen = look_at(
        report / "index.html",
        tmp_path / "profile",
        width_px,
        {
            "width": "document.documentElement.scrollWidth",
            "room": "document.documentElement.clientWidth",
            "figure": "document.querySelector('#final ~ details td').getBoundingClientRect().right",
            "bars": "document.querySelector('.reason > img').getBoundingClientRect().width",
        },
    )
    assert seen.errors == []
    assert seen.values["width"] <= seen.values["room"]
    assert seen.values["figure"] <= seen.values["room"]
    assert 300 < seen.values["bars"] <= seen.values["room"]
