"""Deployments that count whether the bounds are kept."""

from pathlib import Path

import numpy as np
import pytest
from errors import refuses

from cyclegan_ad.metrics.thresholds import auroc
from experiments.deployments import FITS, LEAVE_ONE_OUT, Rule, deploy
from experiments.populations import Population, principal_components, simulate
from experiments.promises import DEFAULTS, kept, plan_rules, promises, summarise


@pytest.fixture(scope="module")
def small() -> Population:
    rng = np.random.default_rng(0)
    normal, abnormal = rng.normal(0, 1, (60, 3)), rng.normal(1, 1, (80, 3))
    return Population("small", normal.astype(np.float32), abnormal.astype(np.float32))


@pytest.mark.parametrize(("folds", "fitted"), [(None, 10), (1, 0), (4, 9), (LEAVE_ONE_OUT, 11)])
@pytest.mark.parametrize("fit", FITS)
def test_a_deployment(small: Population, folds: int | str | None, fitted: int, fit: str) -> None:
    found = deploy(small, Rule("rule", 12, folds, fit), 0.9, [1, 2])
    assert (found["abnormal"], found["normal"]) == (68, 48)  # not drawn
    assert found["calibration_abnormal"] == (2 if folds is None else 12)
    # The images that the model was fitted to are none that it judges.
    assert found["population_miss_rate"] == found["misses"] / (80 - fitted)
    assert found == deploy(small, Rule("rule", 12, folds, fit), 0.9, [1, 2])
    fits = 12 if folds == LEAVE_ONE_OUT else folds or 1
    assert len(found["thresholds"]) == fits


@pytest.mark.parametrize("fit", FITS)
def test_fits_tell_the_classes_apart(small: Population, fit: str) -> None:
    score = FITS[fit](small.normal, small.abnormal)
    values = np.concatenate([score(small.normal), score(small.abnormal)])
    assert auroc(values, np.repeat([0, 1], [60, 80])) > 0.85


def row(missed: float, population: float) -> dict[str, float]:
    promised = {"calibration_abnormal": 19, "miss_rate_bound": 0.146}
    return promised | {
        "miss_rate": missed,
        "population_miss_rate": population,
        "false_alarm_rate": 0.5,
    }


def test_summary_by_hand() -> None:
    rows = [row(0.0, 0.0), row(0.1, 0.08), row(0.2, 0.15), row(0.1, 0.146)]
    found = summarise("p", Rule("rule", 20, None, "ridge"), rows)
    assert found["mean"] == pytest.approx(0.1)
    assert found["mean_error"] == pytest.approx(np.std([0, 0.1, 0.2, 0.1], ddof=1) / 2)
    assert (found["exceeded"], found["expected"]) == (0.25, 0.05)  # 0.146 does not exceed it
    assert found["guaranteed"] == 0.05
    assert kept(found, 0.95)  # within the error of four deployments
    assert not kept(found | {"mean_error": 0.01}, 0.95)
    assert not kept(found | {"exceeded_error": 0.05}, 0.95)


def test_a_broken_promise_is_found(small: Population) -> None:
    """A threshold on images that the probe was fitted to misses too many."""
    rule, found = Rule("rule", 12, None, "ridge"), []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        drawn = rng.permutation(80)
        score = FITS["ridge"](small.normal[:4], small.abnormal[drawn[:4]])
        low = score(small.abnormal[drawn[:4]]).min()
        missed = float((score(small.abnormal[drawn[4:]]) < low).mean())
        found.append(row(missed, missed) | {"calibration_abnormal": 4})
    assert not kept(summarise("p", rule, found), 0.95)


@pytest.mark.parametrize("name", ["gaussian", "heavy_tails", "ties"])
def test_simulated_populations(name: str) -> None:
    drawn = simulate(name, 3)
    assert (drawn.normal == simulate(name, 3).normal).all()
    assert (drawn.normal[:9] != simulate(name, 4).normal[:9]).any()
    assert drawn.abnormal.mean() > drawn.normal.mean() + 1
    whole = (drawn.abnormal == np.rint(drawn.abnormal)).all()
    assert whole == (name == "ties")
    assert (np.abs(drawn.normal).max() > 30) == (name == "heavy_tails")


def test_principal_components_are_those_of_the_covariance() -> None:
    features = np.random.default_rng(0).normal(size=(50, 6)) @ np.diag([5, 4, 3, 2, 1, 0])
    found = principal_components(features, 2)
    correlation = np.corrcoef(features[:, :5].T)
    largest = np.linalg.eigvalsh(correlation)[::-1][:2]
    np.testing.assert_allclose(found.var(axis=0), largest, rtol=1e-5)


def test_the_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = {"dataset": "ties", "deployments": "3", "images": "8", "folds": "2", "workers": "1"}
    assert promises(DEFAULTS | words | {"out": str(tmp_path)}) == []
    # A short trial does not replace the record of the defaults, and gives no verdict.
    [path] = tmp_path.glob("*_promises_ties_deployments-3_images-8_folds-2.md")
    text = path.read_text()
    assert "too few for a verdict" in text and "ontradicted" not in text
    assert text.count("| ties |") == 4 and "At commit" in text and "3 deployments" in text
    assert str(path) in capsys.readouterr().out.replace("\n", "")


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("folds", "30", "at most 25"),
        ("folds", "1", ">= 2"),
        ("fit", "tree", "ridge, logistic"),
        ("images", "3", ">= 4"),
    ],
)
def test_bad_settings(name: str, value: str, remedy: str) -> None:
    with refuses(setting=name, value=value, remedy=remedy):
        plan_rules(DEFAULTS | {name: value})


@pytest.mark.parametrize("images", ["5000", "100000"])
def test_too_many_images(tmp_path: Path, images: str) -> None:
    words = {"dataset": "ties", "images": images, "workers": "1", "out": str(tmp_path)}
    with refuses(setting="images", value=images, remedy="use fewer"):
        promises(DEFAULTS | words)


@pytest.mark.parametrize("value", ["1", "0", "x"])
def test_bad_confidence(value: str) -> None:
    with refuses(setting="confidence", value=value, remedy="> 0 and < 1"):
        promises(DEFAULTS | {"confidence": value})
