"""Names of the runs of a sweep."""

from pathlib import Path

import pytest
from errors import refuses
from tiny import settings

from cyclegan_ad.cli.search import check_search, name_trial
from cyclegan_ad.cli.sweep_places import as_folder, join_name, name_runs
from cyclegan_ad.settings.paths import check_folder_name

VALUES = [
    *(None, True, 5, 5.5, -0.5, 1e-12, 2.0e-4, "", "a", "a-", "-a", "a/b", "a b", "a, b", "ä"),
    *("..", "\udce8", "x" * 300, [], [1, 2], [-1, 2], ["a", "b"], [[1], [2]], "${x}", "a\n"),
]


def test_each_value_is_another_name_of_a_folder() -> None:
    names = [f"run-{as_folder(value)}" for value in VALUES]
    assert len(set(names)) == len(VALUES)
    for name in names:
        assert check_folder_name(name) == name
        assert len(name.encode()) < 80


def test_settings_of_one_last_name_are_told_apart() -> None:
    named = {"method.base_channels": 8, "method.generator.base_channels": 4}
    assert join_name("a", named) == ("a-method.base_channels-8-method.generator.base_channels-4")


def test_long_names_are_cut_and_stay_different() -> None:
    names = {join_name("a" * 90, {"method.lambda_cyc": value}) for value in (5, 10)}
    assert len(names) == 2
    assert {len(name) for name in names} == {96}


def test_a_value_has_the_same_name_in_another_sweep(tmp_path: Path) -> None:
    def names(*values: str, seeds: tuple[int, ...] = (0,)) -> list[str | None]:
        jobs = [[f"method.lambda_cyc={v}", f"seed={seed}"] for v in values for seed in seeds]
        return name_runs(jobs, [settings(tmp_path, tmp_path, *job) for job in jobs])

    first, second = names("5", "10"), names("2", "5.0", seeds=(0, 1))
    assert first == ["cyclegan-32-lambda_cyc-5", "cyclegan-32-lambda_cyc-10"]
    assert second == ["cyclegan-32-lambda_cyc-2"] * 2 + ["cyclegan-32-lambda_cyc-5"] * 2
    assert names("5", seeds=(0, 1)) == [None, None]


def test_a_trial_is_named_after_what_is_searched(tmp_path: Path) -> None:
    words = ("method.lambda_cyc=7.123456789", "method.tuning_fraction=0.3")
    trial = settings(tmp_path, tmp_path, *words)
    check_search(trial, ["method.lambda_cyc"])
    assert name_trial(trial, ["method.lambda_cyc"]) == "search-cyclegan-32-lambda_cyc-7.12346"
    again = trial.replaced({"run_name": "search-mine"})
    assert name_trial(again, ["method.lambda_cyc"]) == "search-mine-lambda_cyc-7.12346"


@pytest.mark.parametrize(
    ("words", "method", "searched", "remedy"),
    [
        ((), "cyclegan", "method.lambda_cyc", "method.tuning_fraction=0.25"),
        ((), "ganomaly", "method.lambda_adv", "method=linear_probe"),
        (("method.tuning_fraction=0.3", "overwrite=true"), "cyclegan", "seed", "remove it"),
        # The objective of a probe is that of `probe` over the 8 symmetries.
        (("score.names=[probe_peak]",), "linear_probe", "method.strengths", "name it first"),
        ((), "linear_probe", "method.peak_fraction", "score probe"),
        ((), "linear_probe", "score.tta", "score probe"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    tmp_path: Path, words: tuple[str, ...], method: str, searched: str, remedy: str
) -> None:
    with refuses(facts="hydra/sweeper=optuna", remedy=remedy):
        check_search(settings(tmp_path, tmp_path, *words, method=method), [searched])
