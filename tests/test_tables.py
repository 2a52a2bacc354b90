"""The result table as a user sees it."""

import io
from typing import Any

import pytest
from rich.console import Console

from cyclegan_ad.tables import print_result


def one_score(**changes: Any) -> dict[str, Any]:
    row = {
        "zfn_threshold": 12345.678,
        "zfn_accuracy": 0.8061,
        "max_accuracy": 0.91837,
        "max_accuracy_threshold": 23456.7,
        "auroc": 0.9472,
    }
    return row | changes


def metrics_of(dataset: str, method: str = "cyclegan", **scores: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "method": method,
        "dataset": dataset,
        "resolution": 64,
        "seed": 0,
        "run": f"{method}-64",
        "epochs": 100,
        "test_normal": 49,
        "test_abnormal": 50,
        "threshold_protocol": "paper",
        "localisation": None,
        "scores": scores,
    }


def printed(metrics: dict[str, Any], width: int = 80) -> str:
    out = io.StringIO()
    print_result(metrics, Console(file=out, width=width, highlight=False))
    return out.getvalue()


def test_run_and_paper_stand_in_one_row() -> None:
    text = printed(metrics_of("brain_mri", sse=one_score()))
    lines = text.splitlines()
    run = next(line for line in lines if line.strip().startswith("sse"))
    assert run.split() == ["sse", "80.61", "91.84", "94.72", "ZFN", "12345.7"]
    paper = lines[lines.index(run) + 1]
    assert paper.split() == ["paper", "84.08±4.81", "88.37±3.63", "91.96±3.16", "ACC", "23456.7"]


def test_the_caption_counts_the_images_and_says_that_thresholds_are_optimistic() -> None:
    text = " ".join(printed(metrics_of("demo", sse=one_score())).split())
    assert "99 test images: 49 normal, 50 abnormal." in text
    assert "set on these same test images" in text
    assert "optimistic" in text
    assert "Paper: mean" not in text


def test_another_protocol_is_not_called_optimistic() -> None:
    text = printed(metrics_of("demo", sse=one_score()) | {"threshold_protocol": "crossfit"})
    assert "crossfit" in text
    assert "optimistic" not in text


def test_an_extractor_of_ones_own_has_no_paper_figures() -> None:
    text = printed(metrics_of("hazelnut", fid_efficientnet_lite0=one_score()))
    assert "±" not in text


@pytest.mark.parametrize("method", ["padim", "patchcore"])
def test_figures_that_say_nothing_are_marked(method: str) -> None:
    text = printed(metrics_of("hazelnut", method, sse=one_score()))
    assert "†" in text
    assert "come from an error" in " ".join(text.split())


def test_localisation_only_where_there_are_masks() -> None:
    metrics = metrics_of("screw", sse=one_score())
    assert "AUPRO" not in printed(metrics)
    metrics["localisation"] = {"pixel_auroc": 0.98111, "aupro": 0.8765, "masked_images": 14}
    text = " ".join(printed(metrics).split())
    assert "masks of 14 images: pixel AUROC 98.11 %, AUPRO 87.65 %." in text


def test_the_fullest_table_fits_80_columns_without_losing_a_digit() -> None:
    row = one_score(
        zfn_threshold=0.0123456789,
        max_accuracy=1.0,
    )
    metrics = metrics_of("hazelnut", sse=row, fid=row, fid_spatial=row, fid_efficientnet_lite0=row)
    text = printed(metrics)
    assert max(len(line) for line in text.splitlines()) <= 80
    for whole in ("74.86±12.89", "ZFN 0.0123457", "fid_spatial", "100.00"):
        assert whole in text
    assert "…" not in text


def test_a_terminal_without_unicode_gets_ascii() -> None:
    binary = io.BytesIO()
    out = io.TextIOWrapper(binary, encoding="ascii")
    metrics = metrics_of("hazelnut", "patchcore", sse=one_score())
    print_result(metrics, Console(file=out, width=80))
    out.flush()
    assert "54.29+-0.00*" in binary.getvalue().decode("ascii")


def test_a_pipe_is_taken_as_80_columns_wide(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_result(metrics_of("brain_mri", sse=one_score()))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["sse", "80.61", "91.84", "94.72", "ZFN", "12345.7"] in lines
