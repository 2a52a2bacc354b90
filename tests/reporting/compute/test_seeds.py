"""The table at the end of a sweep."""

from pathlib import Path

import pytest
from reporting.fake_runs import make_run

from cyclegan_ad.reporting.compute.seeds import print_means


def printed(capsys: pytest.CaptureFixture[str], places: list[Path]) -> str:
    print_means(places)
    return " ".join(capsys.readouterr().out.split())


def test_seeds_have_means_beside_the_papers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = printed(capsys, [make_run(tmp_path, seed=seed, examples=False) for seed in (0, 1)])
    assert "Mean over seeds" in out and "paper" in out and "±" in out
    assert "No setting" not in out and "no setting" not in out


def test_runs_of_one_seed_have_a_table_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = [make_run(tmp_path, dataset=name, examples=False) for name in ("screw", "tile")]
    out = printed(capsys, places)
    assert "Runs of this sweep" in out and "Screw" in out and "Tile" in out
    assert "Mean over seeds" not in out


def test_the_table_of_several_settings_warns_of_a_choice_by_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "method.lambda_cyc={}", "cyclegan-64-lambda_cyc-{}"
    places = [
        make_run(
            *(tmp_path, "cyclegan", 64, "screw", seed, words[0].format(value)),
            run=words[1].format(value),
            examples=False,
        )
        for value in (5, 7)
        for seed in (0, 1)
    ]
    out = printed(capsys, places)
    assert "no setting should be chosen by them" in out
    assert "Left out" not in out


def test_runs_of_an_ablation_are_compared_without_test_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = [
        make_run(
            *(tmp_path, "cyclegan_plus", 64, "screw", seed),
            columns=["fused_tta", "sse_tta"],
            run=f"ablation-{choice}",
            examples=False,
        )
        for choice in ("full", "paper")
        for seed in (0, 1)
    ]
    out = printed(capsys, places)
    assert "Images kept out of training" in out and "ablation-full, fused" in out
    assert "ZFN" not in out and "Best accuracy" not in out
