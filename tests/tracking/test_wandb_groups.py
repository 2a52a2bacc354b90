"""Means over the seeds of a sweep, in a W&B run of their own, offline."""

import os
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml
from tiny import settings

from cyclegan_ad.reporting.read.find_runs import find_runs
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import METRICS_FORMAT, write_metrics
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.tracking import wandb_groups
from cyclegan_ad.tracking.wandb_groups import log_groups


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("WANDB_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    wandb.teardown()  # a session keeps the environment it started in


@pytest.fixture
def summaries(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each started run has in its summary, and its identity."""
    found: list[dict[str, Any]] = []
    start = wandb_groups.start_wandb_run

    def note(*args: Any, **settings: Any) -> Any:
        run = start(*args, **settings)
        finish = run.finish

        def end() -> None:
            about = {"id": run.id, "name": run.name, "group": run.group}
            found.append(about | {"summary": dict(run.summary), "config": dict(run.config)})
            finish()

        run.finish = end
        return run

    monkeypatch.setattr(wandb_groups, "start_wandb_run", note)
    return found


def job(tmp_path: Path, seed: int, auroc: float, *words: str) -> Settings:
    """A finished run."""
    words = ("logger=wandb", f"seed={seed}", *words)
    chosen = settings(tmp_path / "data", tmp_path / "runs", *words)
    run = RunDirectory.of(chosen)
    run.path.mkdir(parents=True, exist_ok=True)
    metrics = {"scores": {"sse": {"auroc": auroc}}, "localisation": None, "protocols": {}}
    write_metrics(run.path, metrics | {"format": METRICS_FORMAT})
    run.config.write_text(yaml.safe_dump(chosen.as_dict()))
    return chosen


def test_each_group_has_one_run_that_a_repeated_sweep_continues(
    tmp_path: Path, summaries: list[dict[str, Any]]
) -> None:
    jobs = [job(tmp_path, seed, auroc) for seed, auroc in ((1, 1.0), (0, 0.5))]
    jobs += [job(tmp_path, seed, 0.25, "run_name=other") for seed in (0, 1)]
    jobs += [job(tmp_path, 0, 0.75, "run_name=single")]
    log_groups(jobs)
    assert [found["name"] for found in summaries] == [
        "cyclegan-32/folder/mean",
        "other/folder/mean",
    ]
    first = summaries[0]
    assert first["group"] == "cyclegan-32/folder"
    assert first["summary"] == {
        "mean/sse/auroc": 0.75,
        "std/sse/auroc": pytest.approx(0.5**1.5),
        "seeds": 2,
    }
    assert first["config"]["seeds"] == [0, 1] and "seed" not in first["config"]

    log_groups(jobs)
    assert len(summaries) == 2, "nothing has changed"
    log_groups([*jobs, job(tmp_path, 2, 0.75)])
    assert len(summaries) == 3
    assert summaries[2]["id"] == first["id"]
    assert summaries[2]["summary"]["seeds"] == 3
    # It is no run for a report.
    places, _ = find_runs(tmp_path / "runs" / "cyclegan-32")
    assert {place.name for place in places} == {"seed0", "seed1", "seed2"}


def test_runs_of_earlier_sweeps_count(tmp_path: Path, summaries: list[dict[str, Any]]) -> None:
    earlier = [job(tmp_path, seed, auroc) for seed, auroc in ((0, 0.25), (1, 0.5))]
    other = job(tmp_path, 7, 1.0, "method.lambda_cyc=3")  # another training
    assert RunDirectory.of(other).path.parent == RunDirectory.of(earlier[0]).path.parent
    log_groups([job(tmp_path, 2, 0.75)])
    [found] = summaries
    assert found["config"]["seeds"] == [0, 1, 2]
    assert found["summary"]["mean/sse/auroc"] == 0.5


def test_other_loggers_and_a_disabled_one_start_nothing(
    tmp_path: Path, summaries: list[dict[str, Any]]
) -> None:
    log_groups([job(tmp_path, seed, 0.5, "logger.mode=disabled") for seed in (0, 1)])
    others = [job(tmp_path, seed, 0.5) for seed in (0, 1)]
    log_groups([other.replaced({"logger": {"kind": "csv"}}) for other in others])
    assert summaries == []


def test_what_wandb_refuses_does_not_stop_a_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log_groups([job(tmp_path, seed, 0.5, "logger.mode=online") for seed in (0, 1)])
    out = capsys.readouterr().out
    assert out.startswith("W&B: no means over seeds") and out.count("\n") == 1
