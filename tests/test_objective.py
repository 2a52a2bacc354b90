"""What a search maximises follows from images kept out of training alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from errors import refuses
from sklearn.metrics import roc_auc_score
from tiny import draw_folder, settings

from cyclegan_ad import objective
from cyclegan_ad.evaluation.fingerprints import fingerprints
from cyclegan_ad.evaluation.kept_out import describe_kept_out
from cyclegan_ad.files import write_json, write_rows
from cyclegan_ad.methods.folds import assign_folds
from cyclegan_ad.methods.probe_fit import fit_probe
from cyclegan_ad.objective import objective_of_run
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import METRICS_FORMAT, read_metrics, read_scores
from cyclegan_ad.settings.train import Settings


def cyclegan(
    tmp_path: Path, rows: list[tuple[str, int, float]], fused: float | None = None
) -> Settings:
    """Settings of a run with these tuning images: path, label, score; it may be a fused one."""
    job = settings(tmp_path, tmp_path / "runs", "method.tuning_fraction=0.3")
    run = RunDirectory.of(job)
    run.path.mkdir(parents=True)
    column = "sse" if fused is None else "fused"
    write_rows(run.tuning, ["path", "label", column], [list(row) for row in rows])
    tuned = read_scores(run.path, run.tuning.name)
    metrics: dict[str, Any] = {
        "format": METRICS_FORMAT,
        "run": "search-a",
        "scores": {column: {}},
        "fingerprints": {run.tuning.name: fingerprints(tuned)},
    }
    if fused is not None:
        metrics["fusions"] = {column: {"auroc": {"fused": fused, "sse": 0.5}}}
    write_json(run.metrics, metrics)
    return job


def test_a_cyclegan_is_judged_by_its_tuning_images(tmp_path: Path) -> None:
    # Of the four pairs of a normal and an abnormal image, three are in order.
    rows = [("a", 0, 1.0), ("b", 0, 3.0), ("c", 1, 2.0), ("d", 1, 4.0)]
    job = cyclegan(tmp_path, rows)
    assert objective_of_run(job) == 0.75
    run = RunDirectory.of(job)
    line = describe_kept_out(run, read_metrics(run.path))
    assert "4 images kept out of training: sse 75.00 %" in line
    # A table that was edited is no evidence.
    run.tuning.write_text(run.tuning.read_text().replace("3.0", "1.5"))
    with refuses(facts=("sse", "tuning.csv"), remedy="evaluate"):
        objective_of_run(job)
    assert "sse was changed" in describe_kept_out(run, read_metrics(run.path))


def test_a_fused_score_is_judged_within_its_folds(tmp_path: Path) -> None:
    """Its scores in tuning.csv are of several fits, whose scales differ."""
    job = cyclegan(tmp_path, [("a", 0, 1.0), ("b", 0, 3.0), ("c", 1, 2.0)], fused=0.875)
    run = RunDirectory.of(job)
    assert "fused 87.50 %" in describe_kept_out(run, read_metrics(run.path))


@pytest.mark.parametrize("rows", [[("a", 0, 1.0)], [("c", 1, 2.0), ("d", 1, 4.0)]])
def test_both_classes_are_needed(tmp_path: Path, rows: list[tuple[str, int, float]]) -> None:
    with refuses(facts="tuning.csv", remedy="method.tuning_fraction"):
        objective_of_run(cyclegan(tmp_path, rows))


def test_a_probe_is_judged_by_fits_without_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = draw_folder(tmp_path / "data", normal=14, abnormal=12)
    words = ("method.strengths=[0.01]", "method.folds=3")
    job = settings(root, tmp_path / "runs", *words, method="linear_probe")
    seen = []
    describe = objective.describe_training_images

    def note(method, data, given) -> None:  # type: ignore[no-untyped-def]
        describe(method, data, given)
        chosen = [i for i in data.split.train]
        assert len(method.described.labels) == len(chosen) and not set(chosen) & set(
            data.split.test
        )
        seen.append((method, method.described))

    monkeypatch.setattr(objective, "describe_training_images", note)
    found = objective_of_run(job)
    [(method, images)] = seen
    labels = np.array(images.labels)
    fold_of = assign_folds(images.labels, images.groups, 3, job.seed)
    values = np.zeros(len(labels))
    for fold in range(3):
        kept = fold_of != fold
        fit = fit_probe(
            images.features[kept],
            labels[kept].tolist(),
            list(np.array(images.groups)[kept]),
            strengths=(0.01,),
            folds=3,
            seed=job.seed,
            parts=method.model.parts(),
        )
        values[~kept] = images.features[~kept].mean(axis=1) @ fit.weight + fit.intercept
    assert found == pytest.approx(roc_auc_score(labels, values))


def test_runs_of_a_choice_do_not_show_their_test_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from cyclegan_ad.evaluation.evaluate_run import print_outcome

    job = cyclegan(tmp_path, [("a", 0, 1.0), ("c", 1, 2.0)])
    run = RunDirectory.of(job)
    for name in ("ablation-no_ema", "search-cyclegan-32-lambda_cyc-5"):
        print_outcome(run, read_metrics(run.path) | {"run": name})
        out = capsys.readouterr().out
        assert "AUROC on 2 images kept out of training: sse 100.00 %" in out
        assert "ZFN" not in out and str(run.path) in out
    assert json.dumps(name) not in out
