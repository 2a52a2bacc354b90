"""Paired comparisons over shared splits."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from reporting.fake_runs import make_run
from scipy import stats

from cyclegan_ad.reporting.compute.aggregate import build_study
from cyclegan_ad.reporting.compute.significance import (
    Comparison,
    compare_methods,
    compare_pairs,
    correct,
    holm,
    is_shown,
    sign_flip_p_value,
)
from cyclegan_ad.reporting.labels import Method
from cyclegan_ad.reporting.read.choose_runs import choose_comparable
from cyclegan_ad.reporting.read.find_runs import collect
from cyclegan_ad.scoring.names import ScoreColumn


def test_few_pairs_worked_out_by_hand() -> None:
    assert sign_flip_p_value([0.3]) == 1.0
    assert sign_flip_p_value([1.0, 1.0, 1.0, 1.0, 1.0]) == 0.0625  # 2 of 32
    assert sign_flip_p_value([1.0] * 6) == 0.03125
    assert sign_flip_p_value([1.0, -1.0]) == 1.0
    assert sign_flip_p_value([0.0, 0.0]) == 1.0
    # |sum| >= 4: the patterns +++, ++- of 1 (5-1=4), and their opposites.
    assert sign_flip_p_value([-1.0, 2.0, 3.0]) == 0.5


def test_rounding_does_not_break_ties() -> None:
    # All sums of +-0.1 +-0.2 +-0.3 as far as 0 + 0.6: two patterns; as far as 0.4: four.
    assert sign_flip_p_value([0.1, 0.2, 0.3]) == 0.25
    assert sign_flip_p_value([-0.1, 0.2, 0.3]) == 0.5


@pytest.mark.parametrize("pairs", [7, 12])
def test_against_all_patterns_and_scipy(pairs: int) -> None:
    values = np.random.default_rng(pairs).normal(0.4, 1, pairs)
    patterns = itertools.product((-1, 1), repeat=pairs)
    sums = np.array([abs(np.dot(signs, values)) for signs in patterns])
    expected = float(np.mean(sums >= abs(values.sum()) - 1e-12))
    assert sign_flip_p_value(values) == expected
    scipy_value = stats.permutation_test(
        (values,), np.sum, permutation_type="samples", n_resamples=2**pairs
    ).pvalue
    assert sign_flip_p_value(values) == pytest.approx(scipy_value)


def test_many_pairs_are_sampled_and_close_to_the_normal_limit() -> None:
    values = np.random.default_rng(5).normal(0.3, 1, 40)
    z = values.sum() / np.sqrt((values**2).sum())
    assert sign_flip_p_value(values) == pytest.approx(2 * stats.norm.sf(abs(z)), abs=0.01)
    assert sign_flip_p_value(values) == sign_flip_p_value(values)
    assert 0 < sign_flip_p_value(np.ones(40)) < 1e-4


@pytest.mark.parametrize("values", [[], [np.nan, 1.0], [[1.0]]])
def test_what_is_no_list_of_differences_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="n >= 1"):
        sign_flip_p_value(values)


def test_holm_keeps_the_order_and_stops_at_1() -> None:
    assert holm([0.5, 0.001, 0.7]) == [1.0, 0.003, 1.0]
    assert holm([]) == []


def test_methods_are_paired_over_identical_test_sets(tmp_path: Path) -> None:
    for seed in range(3):
        for dataset in ("screw", "tile"):
            make_run(tmp_path, "cyclegan", 64, dataset, seed, columns=["sse"], separation=0.5)
            make_run(tmp_path, "patchcore", 64, dataset, seed, columns=["embedding"], separation=9)
    make_run(tmp_path, "cyclegan", 64, "screw", 5, columns=["sse"])  # no partner
    make_run(tmp_path, "cyclegan", 64, "screw", 6, columns=["sse"], per_class=12)
    make_run(tmp_path, "patchcore", 64, "screw", 6, columns=["embedding"], odd_names=True)
    runs, left_out = collect(tmp_path)
    assert not left_out
    comparisons, others = compare_methods(build_study(runs, "paper", choose_comparable(runs)))
    auroc, zfn = comparisons
    assert (auroc.metric, auroc.pairs, auroc.datasets) == ("auroc", 6, 2)
    by_place = {(run.dataset, run.seed, run.method.name): run for run in runs}
    differences = [
        by_place[dataset, seed, "cyclegan"].metrics["scores"]["sse"]["auroc"]
        - by_place[dataset, seed, "patchcore"].metrics["scores"]["embedding"]["auroc"]
        for dataset in ("screw", "tile")
        for seed in range(3)
    ]
    assert auroc.difference == pytest.approx(np.mean(differences))
    assert auroc.datasets_ahead == 0
    # PatchCore separates perfectly, so both datasets point the same way: 2 of 4 patterns.
    assert auroc.p == zfn.p == 0.5
    assert auroc.too_few and auroc.p_holm is None
    assert [row.what for row in others] == ["patchcore-64/screw/seed6, pairs"]
    assert "cyclegan-64/screw/seed6" in others[0].reason


def test_five_datasets_are_too_few_and_do_not_count_for_holm(tmp_path: Path) -> None:
    datasets = ("hazelnut", "screw", "tile", "wood", "brain_mri", "breast_ultrasound")
    for dataset in datasets:
        make_run(tmp_path, "cyclegan", 64, dataset, 0, columns=["sse"], separation=0.5)
        make_run(tmp_path, "patchcore", 64, dataset, 0, columns=["embedding"], separation=9)
        if dataset != "screw":
            make_run(tmp_path, "padim", 64, dataset, 0, columns=["embedding"], separation=9)
    runs = collect(tmp_path)[0]
    comparisons, _ = compare_methods(build_study(runs, "paper", choose_comparable(runs)))
    of_auroc = {(c.first[0].name, c.second[0].name): c for c in comparisons if c.metric == "auroc"}
    padim = of_auroc["cyclegan", "padim"]
    assert (padim.datasets, padim.p, padim.p_holm, padim.too_few) == (5, 0.0625, None, True)
    patchcore = of_auroc["cyclegan", "patchcore"]
    assert (patchcore.p, patchcore.p_holm, patchcore.too_few) == (0.03125, 0.03125, False)


def test_splits_of_one_dataset_are_no_new_evidence() -> None:
    """Methods that are equal on average: on each dataset one is better, on all of its splits.

    At most 5 % of such comparisons may be significant; with signs flipped split by split, far more
    would be.
    """
    rng = np.random.default_rng(0)
    sse = Method("cyclegan-64", "cyclegan", 64), ScoreColumn("sse")
    rejected = by_split = 0
    for _ in range(400):
        effects = rng.normal(size=6)
        found = [
            (str(dataset), effect + rng.normal(0, 0.3))
            for dataset, effect in enumerate(effects)
            for _ in range(2)
        ]
        one = compare_pairs("auroc", sse, sse, found)
        rejected += one.p <= 0.05
        by_split += sign_flip_p_value([value for _, value in found]) <= 0.05
    assert rejected / 400 <= 0.05 + 2 * 0.011
    assert by_split / 400 > 0.1


def test_a_significant_difference_on_fewer_datasets_is_not_called_too_few() -> None:
    """Of three comparisons, the two that are significant leave the third a factor of one."""
    method = Method("cyclegan-64", "cyclegan", 64)
    sse, fid = (method, ScoreColumn("sse")), (method, ScoreColumn("fid"))

    def compared(ahead: int, behind: int = 0) -> Comparison:
        signs = enumerate([1] * ahead + [-1] * behind)
        return compare_pairs("auroc", sse, fid, [(str(i), 0.1 * sign) for i, sign in signs])

    many, other, six = correct([compared(20), compared(20), compared(6)])
    assert (six.p, six.p_holm, six.too_few) == (0.03125, 0.03125, False)
    assert is_shown(six) and not many.too_few and not other.too_few
    # Beside a comparison that is not significant, six datasets cannot be.
    *_, six = correct([compared(20), compared(10, 10), compared(6)])
    assert six.too_few and not is_shown(six)
