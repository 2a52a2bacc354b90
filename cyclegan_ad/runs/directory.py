"""A run on disk: its path, its files, and whether a command may resume it.

    <runs>/<run_name>/<dataset>/seed<k>/
        config.yaml  environment.json  split.csv  training.json
        checkpoints/last.ckpt
        scores.csv  calibration.csv  crossval.csv  tuning.csv  contributions.csv
        examples.npz  metrics.json  figures/  logs/
        detector/  weights.safetensors  detector.json

Every file is written atomically.
"""

import json
import secrets
import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import yaml

from cyclegan_ad.errors import UserError
from cyclegan_ad.runs.lock import locked_by_command
from cyclegan_ad.settings.train import Settings, training_differences
from cyclegan_ad.settings.types import read_settings
from cyclegan_ad.text import as_typed

State = Literal["new", "unfinished", "trained"]

JUDGED_BY_KEPT_OUT = ("ablation-", "search-")
"""Begin of the names of runs among which a choice is made: by images kept out of training, not by
test images, whose figures are then not shown."""


class RunDirectory:
    """The files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.environment = self.path / "environment.json"
        self.split = self.path / "split.csv"
        self.training = self.path / "training.json"
        self.checkpoint = self.path / "checkpoints" / "last.ckpt"
        self.scores = self.path / "scores.csv"
        self.calibration = self.path / "calibration.csv"
        self.crossval = self.path / "crossval.csv"
        self.tuning = self.path / "tuning.csv"
        self.contributions = self.path / "contributions.csv"
        self.metrics = self.path / "metrics.json"
        self.figures = self.path / "figures"
        self.detector = self.path / "detector"
        # Files, also under their temporary names, of a run that was interrupted at its start.
        first = (self.split.name, self.environment.name, self.config.name)
        self._written_first = (*first, *(f".{name}." for name in first))

    @classmethod
    def of(cls, settings: Settings) -> "RunDirectory":
        """Return the run directory for the settings of a job."""
        folder = settings.runs / run_name(settings) / settings.dataset.name
        return cls(folder / f"seed{settings.seed}")

    def read_config(self) -> Settings:
        """Read the settings of the run.

        Raises:
            UserError: If this is not a run directory or the settings cannot be read.
        """
        if not self.config.is_file():
            raise UserError(
                f"{self.path} is not a run directory: it has no config.yaml; expected a directory "
                "made by `python -m cyclegan_ad.train`, such as runs/cyclegan-64/brain_mri/seed0"
            )
        again = "train again with overwrite=true or use another run_name"
        try:
            content = yaml.safe_load(self.config.read_text(encoding="utf-8"))
            return read_settings(Settings, content)
        except UserError as error:
            raise UserError(f"{self.config} is damaged ({error}); {again}") from error
        except Exception as error:  # PyYAML raises many kinds of errors on invalid YAML
            raise UserError(f"{self.config} is damaged; {again}") from error

    def claim(self, settings: Settings) -> State:
        """Determine the state of the directory for a job with these settings; change nothing.

        Returns:
            ``new`` (no run yet, a run without a trained epoch and other settings, or
            ``overwrite``), ``unfinished`` or ``trained``.

        Raises:
            UserError: If the directory contains other files or a run with other training settings.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UserError(
                f"{self.path} is a file; use another path with runs=PATH or run_name=NAME"
            )
        if not self.path.exists():
            return "new"
        if not self.config.is_file():
            if all(entry.name.startswith(self._written_first) for entry in self.path.iterdir()):
                return "new"
            raise UserError(
                f"{self.path} contains files but no config.yaml, so it is not a run directory; "
                "use another path with runs=PATH or run_name=NAME"
            )
        if settings.overwrite:
            return "new"
        different = training_differences(self.read_config().training(), settings.training())
        if different and self.only_started():
            return "new"  # interrupted before its first epoch: no results are lost
        if different:
            listed = ", ".join(
                f"{key}={as_typed(old)} (now {as_typed(new)})" for key, old, new in different
            )
            raise UserError(
                f"{self.path} contains a run made with {listed}; keep both with run_name=NAME, or "
                "replace the old one with overwrite=true"
            )
        training, max_epochs = self.read_training(), settings.trainer.max_epochs
        epochs, finished = training["epochs"], training["finished"]
        if epochs > max_epochs or finished is not (epochs == max_epochs):
            raise UserError(
                f"{self.training} is damaged: epochs={epochs} of {max_epochs} contradicts finished="
                f"{str(finished).lower()}; delete it to resume from the last checkpoint, or train "
                "again with overwrite=true"
            )
        return "trained" if finished else "unfinished"

    def only_started(self) -> bool:
        """Whether the run was started but no epoch was trained yet."""
        later = (self.checkpoint, self.training, self.scores, self.metrics)
        started = self.split.is_file() and self.environment.is_file()
        return started and not any(path.exists() for path in later)

    def locked(self) -> AbstractContextManager[None]:
        """Lock the run against other commands; see :func:`.lock.locked_by_command`."""
        return locked_by_command(self.path)

    def clear(self) -> None:
        """Delete the run; an interrupted deletion leaves no part of it at its path."""
        if self.path.exists():
            doomed = self.path.with_name(f".{self.path.name}.deleted.{secrets.token_hex(4)}")
            self.path.rename(doomed)
        for leftover in self.path.parent.glob(f".{self.path.name}.deleted.*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def read_training(self) -> dict[str, Any]:
        """Read the progress of the training: ``epochs``, ``steps``, ``seconds``, ``finished``."""
        if not self.training.is_file():
            return {"epochs": 0, "steps": 0, "seconds": 0.0, "finished": False}
        try:
            state = json.loads(self.training.read_text(encoding="utf-8"))
            training = {name: state[name] for name in ("epochs", "steps", "seconds", "finished")}
            if not _is_progress(**training):
                raise ValueError("values of the wrong type or range")
            return training
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(
                f"{self.training} is damaged; delete it to resume from the last checkpoint, or "
                "train again with overwrite=true"
            ) from error


def run_name(settings: Settings) -> str:
    """Return the first folder of a run: ``run_name``, or ``<method>-<resolution>``.

    With calibration images, the default is ``<method>-<resolution>-calibrated``; without abnormal
    images, ``<method>-<resolution>-quantile``. With ``dataset.max_abnormal=N``, it begins with
    ``few-N-``.
    """
    if settings.run_name is not None:
        return str(settings.run_name)
    most = settings.dataset.max_abnormal
    few = "" if most is None else f"few-{most}-"
    name = f"{few}{settings.method.name}-{settings.resolution}"
    if settings.protocol.normal_only:
        return f"{name}-quantile"
    return f"{name}-calibrated" if settings.protocol.calibration_fraction > 0 else name


def judged_by_kept_out(name: str) -> bool:
    """Whether the runs of a name are compared by images kept out of training only.

    >>> judged_by_kept_out("ablation-no_ema"), judged_by_kept_out("cyclegan-64")
    (True, False)
    """
    return name.startswith(JUDGED_BY_KEPT_OUT)


def _is_progress(epochs: object, steps: object, seconds: object, finished: object) -> bool:
    # A century is the limit for seconds, within which floats are precise.
    return (
        all(type(count) is int and count >= 0 for count in (epochs, steps))
        and isinstance(seconds, int | float)
        and 0 <= seconds < 3.2e9
        and isinstance(finished, bool)
    )
