"""The headline: who is ahead, how surely, and what it means."""

from pathlib import Path

import numpy as np
import pytest
from reporting.fake_runs import make_run

from cyclegan_ad.reporting.compute.aggregate import build_study
from cyclegan_ad.reporting.compute.final import gather_final
from cyclegan_ad.reporting.compute.headline import Headline, gather_headline
from cyclegan_ad.reporting.compute.held_out import gather_held_out
from cyclegan_ad.reporting.read.choose_runs import choose_comparable, choose_consistent
from cyclegan_ad.reporting.read.find_runs import collect
from cyclegan_ad.reporting.show.headline import (
    HEADER,
    headline_rows,
    headline_sentences,
    headline_text,
)
from cyclegan_ad.reporting.show.headline_plot import headline_plot

USUAL = {"examples": False, "per_class": 30}


def headline_of(runs: Path) -> Headline | None:
    kept = choose_consistent(collect(runs)[0])[0]
    comparable = choose_comparable(kept)
    study = build_study(kept, "paper", comparable)
    return gather_headline(study, gather_final(study, gather_held_out(comparable)))


def found_in(runs: Path) -> Headline:
    found = headline_of(runs)
    assert found is not None
    return found


def make(runs: Path, method: str, dataset: str, seeds: int, separation: float) -> list[Path]:
    columns = ["sse"] if method == "cyclegan" else ["embedding"]
    return [
        make_run(runs, method, 64, dataset, seed, columns=columns, separation=separation, **USUAL)
        for seed in range(seeds)
    ]


def test_the_leader_wins_on_the_most_datasets(tmp_path: Path) -> None:
    for dataset, better in (("screw", "padim"), ("tile", "padim"), ("wood", "cyclegan")):
        for method in ("padim", "cyclegan"):
            make(tmp_path, method, dataset, 2, 9.0 if method == better else 0.5)
    found = found_in(tmp_path)
    assert found.wins == {"PaDiM": ("screw", "tile"), "CycleGAN": ("wood",)}
    assert {one.method.name for one in found.leader} == {"padim"}
    screw = found.standings[0]
    assert [one.method.name for one in screw.results] == ["padim", "cyclegan"]
    pair, next_one = screw.against_next, screw.next
    assert pair is not None and next_one is not None
    values = [one.statistics["zfn_accuracy"].values for one in screw.results]
    assert pair.difference == pytest.approx(np.mean(np.subtract(values[0], values[1])))
    assert (pair.ahead, pair.splits) == (2, 2)
    # The best of the two scores and sizes of the paper's CycleGAN.
    assert screw.paper is not None and screw.paper.mean_percent == 52.37
    [compared] = found.comparisons.values()
    assert (compared.pairs, compared.datasets, compared.datasets_ahead) == (6, 3, 2)
    who, surely, means = headline_sentences(found)
    assert who.startswith("PaDiM has the highest mean ZFN accuracy on 2 of 3 datasets")
    assert "CycleGAN on 1 (Wood)" in who
    assert "on 3 datasets no difference" in surely
    assert "crossfit" in means


def test_few_datasets_are_said_to_be_too_few(tmp_path: Path) -> None:
    make(tmp_path, "padim", "screw", 5, 9.0)
    make(tmp_path, "cyclegan", "screw", 5, 0.5)
    found = found_in(tmp_path)
    assert all(one.too_few for one in found.comparisons.values())
    _, surely, _ = headline_sentences(found)
    assert "on 1 dataset no difference" in surely and "is not known" in surely
    assert "better" not in surely


def test_enough_datasets_are_significant_with_their_p_value(tmp_path: Path) -> None:
    for dataset in ("hazelnut", "screw", "tile", "wood", "brain_mri", "breast_ultrasound"):
        make(tmp_path, "padim", dataset, 1, 9.0)
        make(tmp_path, "cyclegan", dataset, 1, 0.5)
    found = found_in(tmp_path)
    [compared] = found.comparisons.values()
    assert compared.p_holm == 2 / 2**6
    _, surely, means = headline_sentences(found)
    points = f"{100 * compared.difference:+.1f} points on 6 splits"
    assert f"is better than CycleGAN ({points})" in surely
    assert "p at most 0.03" in surely
    decided = [one.held_out.decisions for one in found.leader if one.held_out is not None]
    assert len(decided) == 6
    misses = sum(row["misses"] for row in decided)
    assert f"misses {misses} of {sum(row['abnormal'] for row in decided)} abnormal" in means


def test_one_method_wins_nothing(tmp_path: Path) -> None:
    make(tmp_path, "padim", "screw", 2, 9.0)
    found = found_in(tmp_path)
    assert (found.names, found.comparisons) == (1, {})
    who, surely, _ = headline_sentences(found)
    assert "only method" in who and "no winner" in who
    assert "above the paper's best CycleGAN on 1 of 1 dataset" in who
    assert "2 seeds" in surely
    table = headline_text(found)
    assert not {"Next method", "Splits ahead"} & set(table.header)
    assert "Paper's CycleGAN %" in table.header


def test_an_own_dataset_has_no_column_of_the_paper(tmp_path: Path) -> None:
    for method, columns in (("padim", ["embedding"]), ("cyclegan", ["sse"])):
        own = ("dataset=folder", "dataset.name=own")
        more = {"columns": columns, "separation": 2.0 + 7 * (method == "padim"), **USUAL}
        make_run(tmp_path, method, 64, "own", 0, *own, **more)
    found = found_in(tmp_path)
    table = headline_text(found)
    assert "Paper's CycleGAN %" not in table.header
    assert len(table.header) == len(table.rows[0])
    assert headline_sentences(found)[0] == "PaDiM has the highest mean ZFN accuracy on own."


def test_equal_methods_are_not_ranked(tmp_path: Path) -> None:
    make(tmp_path, "padim", "screw", 2, 99.0)
    make(tmp_path, "cyclegan", "screw", 2, 99.0)
    found = found_in(tmp_path)
    assert len(found.standings[0].best) == 2 and found.standings[0].next is None
    assert "No method is ahead" in headline_sentences(found)[0]


def test_an_order_that_shared_splits_turn_round_is_no_win(tmp_path: Path) -> None:
    # On the only shared split CycleGAN is ahead; PaDiM has easier splits beside it.
    for seed, separation in ((0, 0.5), (1, 99.0), (2, 99.0)):
        make_run(
            tmp_path, "padim", 64, "screw", seed,
            columns=["embedding"], separation=separation, **USUAL,
        )  # fmt: skip
    make_run(tmp_path, "cyclegan", 64, "screw", 0, columns=["sse"], separation=2.0, **USUAL)
    found = found_in(tmp_path)
    [standing] = found.standings
    assert standing.best[0].method.name == "padim" and not standing.is_clear
    assert not any(found.wins.values())
    who = headline_sentences(found)[0]
    assert who.startswith("No method is ahead") and "Screw" in who


def test_other_names_and_sizes_are_methods_only_if_there_is_no_other(tmp_path: Path) -> None:
    make_run(tmp_path, "cyclegan", 64, run="mine", columns=["sse"], separation=9, **USUAL)
    make_run(tmp_path, "cyclegan", 64, columns=["sse"], separation=0.5, **USUAL)
    make_run(tmp_path, "cyclegan", 128, columns=["sse"], separation=0.5, **USUAL)
    alone = found_in(tmp_path)
    assert (alone.names, alone.further) == (3, 0)
    assert list(alone.wins) == ["mine (CycleGAN 64 px)"]
    make_run(tmp_path, "padim", 64, columns=["embedding"], separation=2, **USUAL)
    found = found_in(tmp_path)
    assert (found.names, found.further) == (2, 2)
    shown = {one.method.run for standing in found.standings for one in standing.results}
    assert shown == {"cyclegan-128", "padim-64"}  # the usual name at the largest size


def test_a_method_stands_for_its_first_score(tmp_path: Path) -> None:
    words = ("score.names=[fid,sse]", "score.extractor=efficientnet_lite0")
    columns = ["sse", "fid_efficientnet_lite0"]
    make_run(tmp_path, "cyclegan", 64, "screw", 0, *words, columns=columns, **USUAL)
    [standing] = found_in(tmp_path).standings
    [one] = standing.results
    assert one.column is not None and one.column.column == "fid_efficientnet_lite0"


def test_places_of_the_plot_and_numbers_of_the_file(tmp_path: Path) -> None:
    make(tmp_path, "padim", "screw", 2, 9.0)
    found = found_in(tmp_path)
    [panel] = headline_plot(found)
    assert panel["ticks"] == [("0.00", 50), ("50.00", 75), ("100.00", 100)]
    assert panel["paper"] == f"{2 * (52.37 - 50):.2f}"
    [strip] = panel["rows"]
    values = found.leader[0].statistics["zfn_accuracy"].values
    assert [float(x) for x in strip["seeds"]] == pytest.approx([200 * v - 100 for v in values])
    rows = [dict(zip(HEADER, row, strict=True)) for row in headline_rows(found)]
    assert [row["metric"] for row in rows] == ["zfn_accuracy", "auroc", "pg0"]
    assert rows[0]["mean_percent"] == 100 * np.mean(values) and rows[0]["best"] is True


def test_without_a_test_nothing_is_said() -> None:
    assert len(headline_sentences(None)) == 1
    assert headline_text(None).rows == () and headline_plot(None) == []
