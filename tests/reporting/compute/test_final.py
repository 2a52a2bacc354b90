"""The final table: its figures, without copies, against the probe; and the paper's rows."""

from pathlib import Path

import numpy as np
import pytest
from reporting.fake_runs import make_run
from sklearn.metrics import roc_auc_score

from cyclegan_ad.reference.table2 import paper_figure
from cyclegan_ad.reporting.compute.aggregate import build_study
from cyclegan_ad.reporting.compute.final import METRICS, Result, gather_final
from cyclegan_ad.reporting.compute.held_out import gather_held_out
from cyclegan_ad.reporting.compute.paper_results import gather_paper
from cyclegan_ad.reporting.read.choose_runs import choose_comparable, choose_consistent
from cyclegan_ad.reporting.read.find_runs import collect
from cyclegan_ad.runs.results import read_metrics, read_scores, read_split

FID = "fid_efficientnet_lite0"


def make(
    runs: Path, method: str, seed: int, columns: list[str], *words: str, **more: object
) -> Path:
    given = {"examples": False, "dataset": "brain_mri"} | more
    dataset = str(given.pop("dataset"))
    return make_run(runs, method, 64, dataset, seed, *words, columns=columns, **given)


def results_of(runs: Path) -> list[Result]:
    kept, left_out = choose_consistent(collect(runs)[0])
    assert not left_out
    comparable = choose_comparable(kept)
    return gather_final(build_study(kept, "paper", comparable), gather_held_out(comparable))


def test_figures_are_those_of_the_runs(tmp_path: Path) -> None:
    paths = [make(tmp_path, "padim", seed, ["embedding"]) for seed in (0, 1)]
    [row] = results_of(tmp_path)
    for metric in METRICS:
        assert row.statistics[metric].values == tuple(
            read_metrics(path)["scores"]["embedding"][metric] for path in paths
        )
    assert (row.seeds, row.copies, row.without_copies) == ((0, 1), (0, 0), None)
    assert row.differences == {}
    assert row.held_out is not None and row.held_out.protocol == "crossfit"


def test_the_best_supported_protocol_is_shown(tmp_path: Path) -> None:
    make(tmp_path, "cyclegan", 0, ["sse"], "protocol=calibrated")
    [row] = results_of(tmp_path)
    assert row.held_out is not None and row.held_out.protocol == "calibrated"


def test_test_images_with_a_copy_in_training_are_left_out(tmp_path: Path) -> None:
    paths = [make(tmp_path, "padim", seed, ["embedding"], copies=8) for seed in (0, 1)]
    [row] = results_of(tmp_path)
    assert row.without_copies is not None
    for number, path in enumerate(paths):
        split = read_split(path)
        trained = {one.sha256 for one in split if one.subset == "train"}
        copied = {one.path for one in split if one.subset == "test" and one.sha256 in trained}
        assert row.copies[number] == len(copied) > 0
        kept = [one for one in read_scores(path) if one["path"] not in copied]
        expected = roc_auc_score([r["label"] for r in kept], [r["embedding"] for r in kept])
        assert row.without_copies["auroc"].values[number] == pytest.approx(expected)
        lowest = min(r["embedding"] for r in kept if r["label"])
        normal = [r["embedding"] for r in kept if not r["label"]]
        passed = np.mean([value < lowest for value in normal])
        assert row.without_copies["pg0"].values[number] == pytest.approx(passed)
    assert row.without_copies["pg0"] != row.statistics["pg0"]
    assert row.crossfit is not None
    counts = row.crossfit.decisions
    assert counts["independent"]["normal"] <= counts["normal"] - sum(row.copies)
    assert counts["independent"]["abnormal"] == counts["abnormal"]


def test_without_a_class_that_is_left_there_are_no_figures(tmp_path: Path) -> None:
    make(tmp_path, "padim", 0, ["embedding"], copies=12, per_class=12)
    [run], _ = collect(tmp_path)
    run.copied[:] = run.labels == 0
    comparable = choose_comparable([run])
    [row] = gather_final(build_study([run], "paper", comparable), [])
    assert row.without_copies == {} and row.copies == (12,)


def test_differences_are_paired_by_split(tmp_path: Path) -> None:
    probes, others = (
        [make(tmp_path, method, seed, columns, **more) for seed in seeds]
        for method, columns, seeds, more in (
            ("linear_probe", ["probe_peak_tta", "probe_tta"], (0, 1, 2), {"separation": 2.0}),
            ("padim", ["embedding"], (1, 2, 3), {"separation": 1.9}),
        )
    )
    rows = {row.column.column: row for row in results_of(tmp_path) if row.column is not None}
    # The first score that the probe was asked for, not the first of its file.
    assert rows["probe_tta"].differences == {} and rows["probe_peak_tta"].differences
    found = rows["embedding"].differences
    for metric in METRICS:
        each = [
            read_metrics(one)["scores"]["embedding"][metric]
            - read_metrics(two)["scores"]["probe_tta"][metric]
            for one, two in zip(others[:2], probes[1:], strict=True)
        ]
        assert found[metric].mean == pytest.approx(np.mean(each))
        assert (found[metric].at_least, found[metric].splits) == (sum(d >= 0 for d in each), 2)


def test_other_test_images_are_not_a_pair(tmp_path: Path) -> None:
    make(tmp_path, "linear_probe", 0, ["probe_tta"])
    make(tmp_path, "padim", 0, ["embedding"], per_class=13)
    assert all(row.differences == {} for row in results_of(tmp_path))


def test_the_better_of_sse_and_fid_is_a_row_of_its_own(tmp_path: Path) -> None:
    for seed in (0, 1):
        make(tmp_path, "cyclegan", seed, ["sse", FID])
        make(tmp_path, "ganomaly", seed, ["sse"])
    rows = results_of(tmp_path)
    assert [row.column is None for row in rows] == [False, False, True, False]
    sse, fid, better, _ = rows
    for metric in METRICS:
        highest = max(sse.statistics[metric].mean, fid.statistics[metric].mean)
        assert better.statistics[metric].mean == highest
    assert better.held_out is None and better.differences == {}


def test_single_signals_are_not_in_it(tmp_path: Path) -> None:
    make(tmp_path, "cyclegan_plus", 0, ["critics_tta", "fused_tta", "sse_tta"])
    names = [row.column.name for row in results_of(tmp_path) if row.column is not None]
    assert sorted(names) == ["fused", "sse"]


def test_the_papers_rows_and_their_best() -> None:
    rows = gather_paper("brain_mri")
    best = next(row for row in rows if row.score is None)
    figures = best.figures
    # ../shared/reference/paper_table2.csv, each figure at its best score and size.
    assert [figures[name].mean_percent for name in ("auroc", "zfn_accuracy", "max_accuracy")] == [
        93.19, 84.49, 88.37
    ]  # fmt: skip
    for row in rows:
        zfn = row.figures["zfn_accuracy"]
        assert row.figures["pg0"].mean_percent == pytest.approx(2 * zfn.mean_percent - 100)
        if row.score is not None:
            found = paper_figure("brain_mri", row.method, row.score, "zfn_accuracy")
            assert found == zfn
    assert gather_paper("elpv") == []
