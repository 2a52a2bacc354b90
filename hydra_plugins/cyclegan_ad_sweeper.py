"""The sweeper of ``python -m cyclegan_ad.train -m``; Hydra discovers it in this folder only."""

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from cyclegan_ad.cli.command_line import Job
from cyclegan_ad.cli.sweep import check_places, label_jobs, print_seeds
from cyclegan_ad.errors import UserError
from cyclegan_ad.settings.composing import resolve
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.settings.types import read_settings


class CheckingSweeper(BasicSweeper):
    """Basic sweeper of Hydra that checks all jobs first and prints the means over seeds at the end.

    A job with an invalid setting is reported before the first job starts, and skipped.
    """

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Store the arguments of Hydra."""
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        assert isinstance(task_function, Job)
        self.job = task_function

    def sweep(self, arguments: list[str]) -> Any:
        """Run the jobs.

        Raises:
            UserError: If there is no job, or if two different trainings share a run directory.
        """
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        parsed = parser.parse_overrides([*self._parse_config(), *arguments])
        [jobs] = super().split_arguments(parsed, None)
        if not jobs:
            raise UserError("the sweep has no jobs: a setting has no values")
        self._kept: list[list[str]] = []
        settings: list[Settings] = []
        self.job.labels = label_jobs(jobs)
        for number, words in enumerate(jobs):
            try:
                composed = self._compose(words)
            except UserError as error:
                self.job.fail(str(error), number)
            else:
                self._kept.append(words)
                settings.append(composed)
        if not self._kept:
            return []
        self.job.labels = label_jobs(self._kept)
        check_places(settings, self.job.labels)
        left_out = len(self.job.failures)
        returned = super().sweep(arguments)
        failed = self.job.failures[left_out:]
        print_seeds([job for number, job in enumerate(settings) if number not in failed])
        return returned

    def split_arguments(  # type: ignore[override]
        self, overrides: Any, max_batch_size: int | None
    ) -> list[list[list[str]]]:
        """Return the valid jobs in batches."""
        return list(self.split_overrides_to_chunks(self._kept, max_batch_size))

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Do nothing, as :meth:`sweep` composes all jobs."""

    def _compose(self, words: Sequence[str]) -> Settings:
        assert self.config is not None and self.hydra_context is not None
        loader = self.hydra_context.config_loader
        cfg = loader.load_sweep_config(self.config, list(words))
        names = [str(name) for name in cfg if name != "hydra"]
        return read_settings(Settings, resolve(OmegaConf.masked_copy(cfg, names)))
