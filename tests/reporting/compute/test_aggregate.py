"""Means, deviations and the rows of Table 2."""

import itertools
import statistics
from pathlib import Path

import pytest
from reporting.fake_runs import change_metrics, decide_again, make_run

from cyclegan_ad.reference.table2 import paper_figure
from cyclegan_ad.reporting.compute.aggregate import (
    Statistic,
    Study,
    best_of,
    build_study,
    choose_protocol,
)
from cyclegan_ad.reporting.compute.means import common_datasets, mean_of_best
from cyclegan_ad.reporting.labels import FID, Method
from cyclegan_ad.reporting.read.choose_runs import choose_comparable, choose_consistent
from cyclegan_ad.reporting.read.find_runs import collect
from cyclegan_ad.reporting.show.notes import protocol_notes
from cyclegan_ad.reporting.show.table2 import lay_out_extensions, lay_out_table2
from cyclegan_ad.scoring.names import ScoreColumn

CYCLEGAN = Method("cyclegan-64", "cyclegan", 64)
SSE = ScoreColumn("sse")


def study_of(runs: Path, protocol: str = "paper") -> Study:
    kept = choose_consistent(collect(runs)[0])[0]
    return build_study(kept, protocol, choose_comparable(kept))


def test_one_value_has_no_deviation_and_several_have_the_sample_one() -> None:
    assert Statistic((0.4,)).std is None
    values = (0.4, 0.7, 0.55)
    assert Statistic(values).std == pytest.approx(statistics.stdev(values))


@pytest.mark.parametrize(
    ("dataset", "method", "images"),
    [("brain_mri", "padim", 98), ("breast_ultrasound", "padim", 130)],
)
def test_the_paper_divided_by_n(dataset: str, method: str, images: int) -> None:
    """Of all 5 accuracies that give its mean, only deviations divided by n can be the printed."""
    figure = paper_figure(dataset, method, "embedding", "zfn_accuracy")
    assert figure is not None
    # ZFN accuracy is at least 50 %; near it, so few steps above that all can be tried.
    steps = [50 + 100 * k / images for k in range(4)]
    fitting = [
        five
        for five in itertools.combinations_with_replacement(steps, 5)
        if abs(statistics.fmean(five) - figure.mean_percent) <= 0.0051
    ]
    assert any(abs(statistics.pstdev(five) - figure.std_percent) <= 0.0051 for five in fitting)
    assert not any(abs(statistics.stdev(five) - figure.std_percent) <= 0.0051 for five in fitting)


def test_a_cell_holds_the_values_of_its_seeds(tmp_path: Path) -> None:
    for seed in (2, 0):
        make_run(tmp_path, seed=seed)
    study = study_of(tmp_path)
    entry = study.entries["screw", CYCLEGAN, SSE]
    values = {run.seed: run.metrics["scores"]["sse"]["auroc"] for run in study.runs}
    assert entry.seeds == (0, 2)
    assert entry.statistics["auroc"].values == (values[0], values[2])
    assert entry.paper["auroc"].mean_percent == 51.31
    difference = entry.difference("auroc")
    assert difference == pytest.approx((values[0] + values[2]) / 2 - 0.5131)


def test_held_out_accuracies_replace_the_papers_if_asked_for(tmp_path: Path) -> None:
    make_run(tmp_path, "cyclegan", 64, "screw", 0, "protocol=calibrated", run="kept")
    run = collect(tmp_path)[0][0]
    decided = run.metrics["protocols"]
    crossfit = study_of(tmp_path, "crossfit").entries["screw", run.method, SSE].statistics
    assert crossfit["zfn_accuracy"].mean == decided["crossfit"]["sse"]["accuracy"]
    assert crossfit["max_accuracy"].mean == decided["crossfit"]["sse"]["max_accuracy"]
    assert crossfit["auroc"].mean == run.metrics["scores"]["sse"]["auroc"]
    calibrated = study_of(tmp_path, "calibrated").entries["screw", run.method, SSE].statistics
    assert calibrated["zfn_accuracy"].mean == decided["calibrated"]["sse"]["accuracy"]
    assert "max_accuracy" not in calibrated


@pytest.mark.parametrize("setting", [{"margin": 0.5}, {"confidence": 0.5}, {"folds": 3}])
def test_decisions_made_otherwise_are_in_no_mean_of_the_protocol(
    tmp_path: Path, setting: dict[str, float]
) -> None:
    for seed in range(3):
        path = make_run(tmp_path, seed=seed, columns=["sse", "peak_2px"])
    decide_again(path, **setting)
    study = study_of(tmp_path, "crossfit")
    decided = {run.seed: run.metrics["protocols"]["crossfit"] for run in study.runs}
    for score in (SSE, ScoreColumn("peak", peak_sigma_px=2.0)):
        column = score.column
        entry = study.entries["screw", CYCLEGAN, score]
        assert entry.seeds == (0, 1)
        expected = tuple(decided[seed][column]["accuracy"] for seed in (0, 1))
        assert entry.statistics["zfn_accuracy"].values == expected
        assert len(entry.statistics["auroc"].values) == 2
    assert study.without_protocol == []
    assert study_of(tmp_path).entries["screw", CYCLEGAN, SSE].seeds == (0, 1, 2)


def test_margins_that_differ_between_cells_are_told(tmp_path: Path) -> None:
    for dataset, margin in (("screw", 0.0), ("tile", 0.05)):
        path = make_run(tmp_path, dataset=dataset, columns=["sse"])
        decide_again(path, margin=margin)
    _, told = protocol_notes(study_of(tmp_path, "crossfit"))
    assert told.endswith("0 % (Screw, CycleGAN 64 px); 5 % (Tile, CycleGAN 64 px).")
    assert len(protocol_notes(study_of(tmp_path))) == 1


def test_the_protocol_is_the_one_all_runs_were_evaluated_with(tmp_path: Path) -> None:
    change_metrics(make_run(tmp_path, seed=0), protocol="crossfit")
    change_metrics(make_run(tmp_path, seed=1), protocol="crossfit")
    assert choose_protocol(collect(tmp_path)[0], None) == "crossfit"
    make_run(tmp_path, seed=2)
    runs = collect(tmp_path)[0]
    assert choose_protocol(runs, None) == "paper"
    assert choose_protocol(runs, "calibrated") == "calibrated"


def test_mean_takes_the_better_of_sse_and_fid(tmp_path: Path) -> None:
    make_run(
        tmp_path, dataset="screw", columns=["sse", "fid", "fid_efficientnet_lite0", "peak_2px"]
    )
    make_run(tmp_path, dataset="tile", columns=["sse", "fid_efficientnet_lite0"])
    study = study_of(tmp_path)
    found = {run.dataset: run.metrics["scores"] for run in study.runs}
    screw = max(found["screw"][name]["auroc"] for name in ("sse", "fid"))
    tile = max(found["tile"][name]["auroc"] for name in ("sse", "fid_efficientnet_lite0"))
    mean = mean_of_best(study, CYCLEGAN, "auroc", study.datasets)
    assert mean is not None
    assert mean.value == pytest.approx((screw + tile) / 2)
    assert mean.datasets == ("screw", "tile")
    assert mean.paper == pytest.approx((0.5308 + 0.8353) / 2)  # FID, the better on both
    assert mean.one_score == ()
    substituted = found["tile"]["fid_efficientnet_lite0"]["auroc"] > found["tile"]["sse"]["auroc"]
    assert mean.substituted == (("tile",) if substituted else ())


def test_mean_of_a_method_with_one_distance_is_flagged(tmp_path: Path) -> None:
    make_run(tmp_path, "padim", 64, "screw", columns=["embedding"])
    make_run(
        tmp_path, "padim", 64, "own", 0, "dataset=folder", "dataset.name=own", columns=["embedding"]
    )
    study = study_of(tmp_path)
    method = study.methods[0]
    mean = mean_of_best(study, method, "auroc", ["screw"])
    assert mean is not None
    assert (mean.artefact, mean.one_score) == (True, ())
    assert mean.paper == pytest.approx(0.5402)
    both = mean_of_best(study, method, "auroc", study.datasets)
    assert both is not None
    assert (both.datasets, both.paper) == (("screw", "own"), None)
    assert mean_of_best(study, method, "auroc", ["tile"]) is None


def test_means_over_different_datasets_are_not_compared(tmp_path: Path) -> None:
    make_run(tmp_path, dataset="screw")
    make_run(tmp_path, dataset="tile")
    make_run(tmp_path, "patchcore", dataset="screw", columns=["embedding"], separation=9)
    study = study_of(tmp_path)
    assert common_datasets(study) == ["screw"]
    own, common = lay_out_table2(study).rows[-2:]
    assert (own.dataset, common.dataset) == (
        "MEAN, all datasets of each method",
        "MEAN, common datasets",
    )
    assert [block.behind for block in own.blocks if block] == ["2 datasets", "1 dataset"]
    assert not any(cell.best for block in own.blocks if block for cell in block.cells)
    assert [block.cells[2].best for block in common.blocks if block] == [False, True]


def test_table_2_is_laid_out_as_in_the_paper(tmp_path: Path) -> None:
    make_run(tmp_path, "patchcore", 64, "tile", columns=["embedding"], separation=9)
    make_run(tmp_path, "ganomaly", 64, "tile", columns=["sse", "embedding"])
    make_run(tmp_path, "cyclegan", 64, "tile", run="mine")
    for resolution in (64, 256):
        make_run(tmp_path, "cyclegan", resolution, "brain_mri")
        columns = ["fid", "sse", "sse_tta"]
        make_run(tmp_path, "cyclegan", resolution, "tile", columns=columns, as_in_paper=True)
    table = lay_out_table2(study_of(tmp_path))
    assert [method.run for method in table.methods] == [
        "cyclegan-256",
        "cyclegan-64",
        "ganomaly-64",
        "patchcore-64",
        "mine",
    ]
    assert [(row.dataset, row.score) for row in table.rows if not row.mean] == [
        ("Tile", "SSE"),
        ("Tile", "FID"),
        ("Brain MRI", "SSE"),
        ("Brain MRI", "FID"),
    ]
    patchcore = table.rows[0].blocks[3]
    assert patchcore is not None
    assert patchcore.embedding
    assert [cell.best for cell in patchcore.cells] == [True, True, True]
    assert patchcore.cells[0].paper == "61.90 ± 0.00"
    assert patchcore.cells[0].flagged
    assert patchcore.cells[0].difference == ""  # from a figure that means nothing
    assert patchcore.cells[0].unlike  # 64 px, the paper's 256
    cyclegan = table.rows[0].blocks[1]
    assert cyclegan is not None
    assert cyclegan.cells[0].difference[0] in "+-"
    assert not cyclegan.cells[0].unlike
    assert patchcore.cells[2].paper == ""  # the paper has none
    assert patchcore.behind == "1 seed"
    assert patchcore.cells[0].ours == "100.00"
    assert table.rows[1].blocks[3] is None


def test_extensions_stand_beside_the_papers_scores_and_not_in_table_2(tmp_path: Path) -> None:
    make_run(tmp_path, columns=["sse", "fid", "peak_2px", "sse_tta"])
    make_run(tmp_path, "patchcore", columns=["embedding"])
    study = study_of(tmp_path)
    assert {row.score for row in lay_out_table2(study).rows} == {
        "SSE",
        "FID",
        "better of SSE and FID",
    }
    extensions = lay_out_extensions(study)
    assert extensions is not None
    assert [method.name for method in extensions.methods] == ["cyclegan"]
    assert [row.score for row in extensions.rows] == [
        "SSE",
        "FID",
        "peak 2 px",
        "SSE, 8 symmetries",
    ]
    assert all(cell.paper == "" for r in extensions.rows for b in r.blocks if b for cell in b.cells)


def test_no_extension_no_table(tmp_path: Path) -> None:
    make_run(tmp_path)
    assert lay_out_extensions(study_of(tmp_path)) is None


def test_the_best_are_all_that_look_alike_and_none_if_alone(tmp_path: Path) -> None:
    make_run(tmp_path, columns=["sse", "fid"], separation=99)
    entries = list(study_of(tmp_path).entries.values())
    assert best_of(entries, "auroc") == {(CYCLEGAN, SSE), (CYCLEGAN, FID)}
    assert best_of(entries[:1], "auroc") == set()
