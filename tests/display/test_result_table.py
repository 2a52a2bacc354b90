"""The result table as a user sees it."""

import io
from itertools import pairwise
from typing import Any

import pytest
from rich.console import Console

from cyclegan_ad.display.result_table import print_result
from cyclegan_ad.metrics.quantile import quantile
from cyclegan_ad.metrics.thresholds import undefined_summary
from cyclegan_ad.metrics.wording import explain


def one_score(**changes: Any) -> dict[str, Any]:
    row = {
        "zfn_threshold": 12345.678,
        "zfn_accuracy": 0.8061,
        "max_accuracy": 0.91837,
        "max_accuracy_threshold": 23456.7,
        "auroc": 0.9472,
        "pg0": 0.6122,
        "pg2": 0.6327,
        "pg5": 1.0,
    }
    return row | changes


CROSSFIT = {
    "thresholds": [1.5, 5.0],
    "margin": 0.0,
    "confidence": 0.95,
    "calibration_abnormal": 2,
    "calibration_images": 2,
    "abnormal": 4,
    "normal": 5,
    "misses": 1,
    "false_alarms": 2,
    "independent": {"abnormal": 4, "normal": 5, "misses": 1, "false_alarms": 2},
    "miss_rate": 0.25,
    "false_alarm_rate": 0.4,
    "accuracy": 2 / 3,
    "miss_rate_bound": 1 - 0.05**0.5,
    "max_accuracy": 0.5,
}
CALIBRATED = CROSSFIT | {
    "thresholds": [12.5],
    "calibration_abnormal": 35,
    "calibration_images": 35,
    "max_accuracy": None,
}


def metrics_of(dataset: str, method: str = "cyclegan", **scores: Any) -> dict[str, Any]:
    return {
        "format": 2,
        "method": method,
        "dataset": dataset,
        "resolution": 64,
        "seed": 0,
        "run": f"{method}-64",
        "epochs": 100,
        "test_normal": 49,
        "test_abnormal": 50,
        "independent": {"normal": 49, "abnormal": 50},
        "protocol": "paper",
        "protocol_settings": {"folds": 5, "margin": 0.0, "confidence": 0.95},
        "protocols": {"crossfit": {score: CROSSFIT for score in scores}},
        "localisation": None,
        "scores": scores,
    }


def printed(metrics: dict[str, Any], width: int = 80) -> str:
    out = io.StringIO()
    print_result(metrics, (), Console(file=out, width=width, highlight=False))
    return out.getvalue()


def test_run_and_paper_stand_in_one_row() -> None:
    text = printed(metrics_of("brain_mri", sse=one_score()))
    lines = text.splitlines()
    run = next(line for line in lines if line.strip().startswith("sse"))
    assert run.split() == ["sse", "80.61", "91.84", "94.72", "61.22", "63.27", "100.00"]
    paper = lines[lines.index(run) + 1]
    assert paper.split() == ["paper", "84.08±4.81", "88.37±3.63", "91.96±3.16"]
    heads = [line.split() for line in lines]
    assert ["Score", "accuracy", "%", "accuracy", "%", "AUROC", "%", *PG] in heads
    assert ["Score", "threshold", "threshold"] in heads
    assert ["sse", "12345.7", "23456.7"] in heads


PG = ["PG0", "%", "PG2", "%", "PG5", "%"]


def test_each_number_has_its_cell_and_long_names_one_line_in_100_columns() -> None:
    columns = ["critic_abnormal_peak_tta", "fid_spatial_efficientnet_lite0_tta", "sse"]
    rows: dict[str, Any] = {name: one_score() for name in columns}
    text = printed(metrics_of("demo", **rows), width=100)
    lines = [line.split() for line in text.splitlines()]
    assert max(map(len, text.splitlines())) <= 100
    for name in columns:
        assert [name, "80.61", "91.84", "94.72", "61.22", "63.27", "100.00"] in lines
        assert [name, "12345.7", "23456.7"] in lines
    # A row a score: none is stretched by an empty line for the paper.
    starts = [i for i, words in enumerate(lines) if words[:1] and words[0] in columns]
    assert [b - a for a, b in pairwise(starts[:3])] == [1, 1]


def test_the_caption_counts_the_images_and_says_that_thresholds_are_optimistic() -> None:
    text = " ".join(printed(metrics_of("demo", sse=one_score())).split())
    assert "99 test images: 49 normal, 50 abnormal." in text
    assert "set on the same test images" in text
    assert "optimistic" in text
    assert "PG0, PG2, PG5: normal images passed if 0, 2, 5 % of the abnormal ones" in text
    assert "Paper: mean" not in text


def test_the_papers_protocol_alone_says_nothing_below_the_table() -> None:
    text = printed(metrics_of("demo", sse=one_score()))
    assert "optimistic" in text
    assert "protocol=" not in text and "folds" not in text


@pytest.mark.parametrize(
    ("protocol", "decisions", "threshold"),
    [("crossfit", CROSSFIT, "(1.5 to 5)"), ("calibrated", CALIBRATED, "Threshold 12.5 was set")],
)
def test_a_protocol_is_told_in_words_for_each_score_below_the_table(
    protocol: str, decisions: dict[str, Any], threshold: str
) -> None:
    metrics = metrics_of("demo", sse=one_score(), fid=one_score())
    metrics["protocol"] = protocol
    metrics["protocols"][protocol] = {"sse": decisions, "fid": decisions}
    lines = printed(metrics, width=2000).splitlines()
    told = [f"protocol={protocol}, {score}: {explain(decisions)}" for score in ("sse", "fid")]
    assert lines[-3:-1] == told
    assert lines[-1].startswith("Each bound is valid for one score chosen in advance")
    assert threshold in told[0] and "25.0 %" in told[0]
    # The table above is still judged on the images that its thresholds were set on.
    assert "optimistic" in " ".join(lines[:-3])
    narrow = printed(metrics)
    assert max(map(len, narrow.splitlines())) <= 80
    assert " ".join(told) in " ".join(narrow.split())


def test_a_score_that_the_protocol_has_not_judged_is_left_out() -> None:
    metrics = metrics_of("demo", sse=one_score(), fid=one_score()) | {"protocol": "calibrated"}
    metrics["protocols"]["calibrated"] = {"sse": CALIBRATED}  # fid was computed without
    text = printed(metrics)
    assert "chosen in advance" not in text  # there is but one bound
    assert "protocol=calibrated, sse:" in text and "protocol=calibrated, fid" not in text
    del metrics["protocols"]["calibrated"]
    assert "protocol=calibrated" not in printed(metrics)


def test_an_extractor_of_ones_own_has_no_paper_figures() -> None:
    text = printed(metrics_of("hazelnut", fid_efficientnet_lite0=one_score()))
    assert "±" not in text


@pytest.mark.parametrize("method", ["padim", "patchcore"])
def test_figures_that_say_nothing_are_marked(method: str) -> None:
    text = printed(metrics_of("hazelnut", method, embedding=one_score()))
    assert "†" in text
    assert "come from an error" in " ".join(text.split())


def test_what_is_not_as_in_the_paper_stands_below_its_figures() -> None:
    metrics = metrics_of("brain_mri", sse=one_score())
    unlike = ["method.lambda_cyc=0 (paper: 10)", "12 + 12 test images (paper: 49 + 49)"]
    out = io.StringIO()
    print_result(metrics, unlike, Console(file=out, width=80, highlight=False))
    text = " ".join(out.getvalue().split())
    assert "paper‡ 84.08±4.81" in text
    assert f"‡ Different from the paper: {', '.join(unlike)}." in text
    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert "‡" not in printed(metrics)


def test_what_looks_like_markup_or_cannot_be_printed_is_shown() -> None:
    metrics = metrics_of("demo", **{"s[bold]\x1b[31m[/x]": one_score()})
    metrics |= {"run": "[/red]\x1b[0m\udce8", "dataset": "[x", "protocol": "crossfit"}
    text = printed(metrics, width=200)
    assert r"[/red]\x1b[0m\udce8 on [x, seed 0" in text
    assert r"protocol=crossfit, s[bold]\x1b[31m[/x]: Each" in " ".join(text.split())
    text.encode("utf-8")


def test_localisation_only_where_there_are_masks() -> None:
    metrics = metrics_of("screw", sse=one_score())
    assert "AUPRO" not in printed(metrics)
    metrics["localisation"] = {"pixel_auroc": 0.98111, "aupro": 0.8765, "masked_images": 14}
    for tta, precision, words in (
        ("none", "float32", "Anomaly maps against the"),
        ("dihedral", "float32", "Anomaly maps, averaged over 8 symmetries, against the"),
        ("none", "bf16", "Anomaly maps in bf16 against the"),
    ):
        metrics["localisation_by"] = {"tta": tta, "precision": precision}
        text = " ".join(printed(metrics).split())
        assert f"{words} masks of 14 images: pixel AUROC 98.11 %, AUPRO 87.65 %." in text


def test_the_fullest_table_fits_80_columns_without_losing_a_digit() -> None:
    row = one_score(
        zfn_threshold=0.0123456789,
        max_accuracy=1.0,
    )
    metrics = metrics_of(
        "hazelnut", sse=row, fid=row, fid_spatial=row, fid_spatial_efficientnet_lite0_tta=row
    )
    text = printed(metrics)
    assert max(len(line) for line in text.splitlines()) <= 80
    for whole in ("74.86±12.89", "0.0123457", "fid_spatial", " 100.00 "):
        assert whole in text
    assert "…" not in text


def test_a_terminal_without_unicode_gets_ascii() -> None:
    binary = io.BytesIO()
    out = io.TextIOWrapper(binary, encoding="ascii")
    metrics = metrics_of("hazelnut", "patchcore", embedding=one_score())
    print_result(metrics, (), Console(file=out, width=80))
    out.flush()
    assert "54.29+-0.00*" in binary.getvalue().decode("ascii")


def test_a_pipe_is_taken_as_80_columns_wide(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_result(metrics_of("brain_mri", sse=one_score()), ())
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["sse", "80.61", "91.84", "94.72", "61.22", "63.27", "100.00"] in lines


@pytest.mark.parametrize(("abnormal", "bound"), [(1, "95.0 %"), (12, "22.1 %"), (29, "9.8 %")])
def test_few_abnormal_images_are_told_with_what_they_support(abnormal: int, bound: str) -> None:
    perfect = one_score(zfn_accuracy=1.0, max_accuracy=1.0, auroc=1.0)

    def of(images: int) -> dict[str, Any]:
        counts = {"normal": 49, "abnormal": images}
        changed = {"test_abnormal": images, "independent": counts}
        return metrics_of("demo", sse=perfect) | changed

    few = of(abnormal)
    text = " ".join(printed(few).split())
    assert "100.00" in text
    assert f"{abnormal} abnormal test image" in text
    assert f"may be up to {bound} (95 % confidence)" in text
    assert "may be up to" not in printed(of(30))


def test_without_abnormal_images_dashes_stand_for_figures() -> None:
    decided = quantile([float(i) for i in range(40)], [str(i) for i in range(40)], **RATE)
    row = undefined_summary()
    metrics = metrics_of("folder", "padim", embedding=row) | {
        "test_normal": 40,
        "test_abnormal": 0,
        "protocol": "quantile",
        "protocols": {"quantile": {"embedding": decided}},
    }
    lines = printed(metrics).splitlines()
    rows = [line.split() for line in lines if line.strip().startswith("embedding")]
    assert rows == [["embedding", *6 * ["-"]], ["embedding", "38"]]
    assert ["quantile"] in [line.split() for line in lines]
    text = " ".join(" ".join(lines).split())
    assert "40 normal images kept out of training, no abnormal images" in text
    assert explain(decided) in text
    assert "optimistic" not in text


RATE = {"false_alarm_rate": 0.05, "confidence": 0.95}
