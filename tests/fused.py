"""A tiny CycleGAN+ with images kept out for fused scores."""

import shutil
from pathlib import Path
from typing import Any

from tiny import draw_folder, settings

from cyclegan_ad import evaluate as evaluate_command
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.commands import EvaluateSettings
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.settings.types import read_settings

WORDS = ("method=cyclegan_plus", "trainer.max_epochs=1", "score=fused", "score.tta=none")


def draw_images(root: Path) -> Path:
    """12 test images, 4 tuning images, of which 2 are abnormal, and 10 training images.

    A normal tuning image has a copy among them.
    """
    return draw_folder(root, normal=14, abnormal=12)


def fused_settings(folder: Path, *more: str) -> Settings:
    return settings(folder / "data", folder / "runs", *WORDS, *more)


def copied(run: RunDirectory, tmp_path: Path) -> RunDirectory:
    """A copy of the run of ``fused_run`` that may be changed, with its data and cache."""
    folder = run.path.parents[3]
    for name in ("data", "runs"):
        shutil.copytree(folder / name, tmp_path / name)
    return RunDirectory(tmp_path / run.path.relative_to(folder))


def evaluate(run: RunDirectory, *scores: str, **more: Any) -> dict[str, Any]:
    """What the command ``evaluate`` does with a run of ``fused_settings``."""
    from tiny import compose_settings

    words = [f"run={run.path}", f"score.names=[{','.join(scores)}]", "score.tta=none"]
    raw = compose_settings("evaluate", words) | more
    return evaluate_command.evaluate(read_settings(EvaluateSettings, raw))
