"""A search of settings, from the command to its best trial."""

import re
from pathlib import Path

import pytest
import yaml
from errors import assert_error
from started import LIMIT_S, start_training
from states import COMPLETE
from tiny import draw_folder, overrides

from cyclegan_ad.cli.hydra_errors import explain
from cyclegan_ad.cli.search import describe_trials

pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="extra 'launchers'")

SEARCH = ("-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "method.tuning_fraction=0.3")


def search(tmp_path: Path, *words: str) -> tuple[int, str, str]:
    root, runs = tmp_path / "data", tmp_path / "runs"
    command = start_training(overrides(root, runs, "trainer.max_epochs=1", *SEARCH, *words))
    try:
        out, err = command.communicate(timeout=LIMIT_S)
    finally:
        command.kill()
    return command.returncode, out, err


@pytest.mark.slow
def test_a_search_is_judged_without_test_images_and_can_be_repeated(tmp_path: Path) -> None:
    draw_folder(tmp_path / "data", normal=14, abnormal=12)
    space = "method.lambda_cyc=interval(1.0,20.0)"
    code, out, err = search(tmp_path, space)
    assert code == 0, err
    runs = sorted((tmp_path / "runs").glob("search-*"))
    assert len(runs) == 2
    for run in runs:
        assert re.fullmatch(r"search-cyclegan-32-lambda_cyc-[\d.]+", run.name)
        assert (run / "folder" / "seed0" / "metrics.json").is_file()
    objectives = [float(found) / 100 for found in re.findall(r"objective: AUROC ([\d.]+)", out)]
    assert len(objectives) == 2
    [file] = (tmp_path / "runs" / ".sweeps").glob("*/optimization_results.yaml")
    best = yaml.safe_load(file.read_text())
    assert best["best_value"] == pytest.approx(max(objectives), abs=1e-4)
    assert "AUROC % on images kept out of training, of 2 trials" in out
    assert "The best: python -m cyclegan_ad.train " in out
    # No figure of a test image is printed.
    assert "ZFN" not in out and "Best\naccuracy" not in out

    # The same command proposes the same trials, here at once, and takes the finished ones.
    at_once = ("hydra.sweeper.n_jobs=2", "hydra/launcher=local_parallel", "hydra.launcher.n_jobs=2")
    before = {run: (run / "folder/seed0/metrics.json").stat().st_mtime_ns for run in runs}
    code, out, err = search(tmp_path, space, *at_once)
    assert code == 0, err
    logs = "".join(path.read_text() for path in (tmp_path / "runs" / ".sweeps").glob("*/*.log"))
    assert COMPLETE in logs
    assert "of 2 trials" in out
    for run, written in before.items():
        assert (run / "folder/seed0/metrics.json").stat().st_mtime_ns == written


@pytest.mark.parametrize(
    "said",
    [
        "Unknown plugin class : 'hydra_plugins.cyclegan_ad_sweeper.SearchingSweeper'",
        "In 'hydra/sweeper/search': Could not find 'hydra/sweeper/optuna'",
    ],
)
def test_a_missing_package_is_told_with_the_remedy(said: str) -> None:
    message = str(explain(RuntimeError(said)))
    assert message == (
        "hydra/sweeper=optuna needs optional packages: pip install 'cyclegan-ad[launchers]'"
    )


def test_a_short_list_says_that_it_is_short() -> None:
    lines = describe_trials([(f"a={n}", n / 100) for n in range(12)])
    assert "12 trials (the best 10 are shown)" in lines[0]
    assert lines[1:3] == ["  11.00  a=11", "  10.00  a=10"] and len(lines) == 11


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "facts", "remedy"),
    [
        ((), "nothing to search", "interval"),
        (("seed=0,1",), "seed", "one seed"),
        (("method.lambda_cyc=5,10", "method.tuning_fraction=0"), "method=cyclegan", "0.25"),
    ],
)
def test_what_cannot_be_searched_is_one_line(
    tmp_path: Path, words: tuple[str, ...], facts: str, remedy: str
) -> None:
    draw_folder(tmp_path / "data", normal=4, abnormal=4)
    code, _, err = search(tmp_path, *words)
    assert code == 1
    assert_error(err, facts=facts, remedy=remedy)
