"""What later commands add to a run reaches its W&B run, offline."""

import os
import time
from pathlib import Path

import pytest
import wandb
from tiny import compose_settings, draw_folder, settings

from cyclegan_ad.evaluate import evaluate
from cyclegan_ad.job import run_job
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.commands import EvaluateSettings
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.settings.types import read_settings


def part(run: RunDirectory, number: int, *texts: bytes) -> bytes:
    """The last of some offline parts of a W&B run, which holds these texts."""
    name = (run.path / "wandb" / "run_id").read_text()
    deadline = time.monotonic() + 60
    while True:  # W&B's own process writes the end of a part after the run is finished
        folders = sorted(run.path.glob("wandb/offline-run-*"))  # named by their time
        assert len(folders) == number
        assert all(folder.name.endswith(f"-{name}") for folder in folders)
        content = (folders[-1] / f"run-{name}.wandb").read_bytes()
        if all(text in content for text in texts):
            return content
        assert time.monotonic() < deadline, [text for text in texts if text not in content]
        time.sleep(0.1)


@pytest.mark.slow
def test_scores_and_thresholds_that_come_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name.startswith("WANDB_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    wandb.teardown()  # a session keeps the environment it started in
    root = draw_folder(tmp_path / "data", normal=12, abnormal=12)

    def job(*words: str, logger: str = "wandb") -> Settings:
        of_wandb = ("logger.log_detector=true",) if logger == "wandb" else ()
        chosen = (f"logger={logger}", *of_wandb, "trainer.max_epochs=1", *words)
        return settings(root, tmp_path / "runs", *chosen)

    run = RunDirectory.of(job())
    run_job(job())
    detector = b"detector-cyclegan-32-folder-seed0"
    assert b"peak_2px" not in part(run, 1, b"roc/sse", detector)

    words = [f"run={run.path}", "score.names=[peak]"]
    evaluate(read_settings(EvaluateSettings, compose_settings("evaluate", words)))
    part(run, 2, b"peak_2px/auroc", b"roc/peak_2px", detector)

    run_job(job("protocol=crossfit", "protocol.folds=2"))
    part(run, 3, b"sse/crossfit/miss_rate")

    # Nothing is added: nothing is logged; nor by a command without W&B.
    run_job(job("protocol=crossfit", "protocol.folds=2"))
    run_job(job("protocol=crossfit", "protocol.folds=3", logger="csv"))
    part(run, 3)
