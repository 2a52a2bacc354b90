"""The sweepers of ``python -m cyclegan_ad.train -m``; Hydra discovers them in this folder only.

That of Optuna is not defined if its package is not installed, which the command line reports.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from cyclegan_ad.cli.command_line import Job
from cyclegan_ad.cli.search import (
    check_search,
    describe_best,
    describe_trials,
    name_trial,
    objective_of_job,
)
from cyclegan_ad.cli.sweep import Outcome, label_jobs, log_means, print_sweep, with_run_name
from cyclegan_ad.cli.sweep_places import check_places, name_runs
from cyclegan_ad.errors import UserError
from cyclegan_ad.settings.composing import resolve
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.settings.types import read_settings


class CheckingSweeper(BasicSweeper):
    """Basic sweeper of Hydra that checks all jobs first and prints one table of them at the end.

    A job with an invalid setting is reported before the first job starts, and skipped. Jobs that
    would train differently in one run directory get names of their own.
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
        assert self.hydra_context is not None and self.config is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        parsed = parser.parse_overrides([*self._parse_config(), *arguments])
        [jobs] = super().split_arguments(parsed, None)
        if not jobs:
            raise UserError("the sweep has no jobs: a setting has no values")
        composed: list[Settings | None] = []
        self.job.labels = label_jobs(jobs)
        for number, words in enumerate(jobs):
            try:
                composed.append(_compose(self.hydra_context, self.config, words))
            except UserError as error:
                self.job.fail(str(error), number)
                composed.append(None)
        self._kept: list[list[str]] = []
        settings: list[Settings] = []
        for words, job, name in zip(jobs, composed, name_runs(jobs, composed), strict=True):
            if job is not None:
                self._kept.append(with_run_name(words, name))
                settings.append(job if name is None else job.replaced({"run_name": name}))
        if not settings:
            return []
        self.job.labels = label_jobs(self._kept)
        check_places(settings, self.job.labels)
        left_out = len(self.job.failures)
        returned = super().sweep(arguments)
        failed = self.job.failures[left_out:]
        finished = [job for number, job in enumerate(settings) if number not in failed]
        print_sweep(finished)
        log_means(finished)
        return returned

    def split_arguments(  # type: ignore[override]
        self, overrides: Any, max_batch_size: int | None
    ) -> list[list[list[str]]]:
        """Return the valid jobs in batches."""
        return list(self.split_overrides_to_chunks(self._kept, max_batch_size))

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Do nothing, as :meth:`sweep` composes all jobs."""


def _compose(context: HydraContext, config: DictConfig, words: Sequence[str]) -> Settings:
    cfg = context.config_loader.load_sweep_config(config, list(words))
    names = [str(name) for name in cfg if name != "hydra"]
    return read_settings(Settings, resolve(OmegaConf.masked_copy(cfg, names)))


try:
    from hydra_plugins.hydra_optuna_sweeper.optuna_sweeper import OptunaSweeper
except ImportError:
    pass
else:
    for library in ("alembic", "optuna"):  # they announce their parts when imported
        logging.getLogger(library).setLevel(logging.WARNING)

    class SearchingSweeper(OptunaSweeper):
        """Search settings with Optuna, by an AUROC on images kept out of training.

        Each trial is a run of its own, named after its values; the search is repeated with the
        same command, which takes finished trials from their runs. Settings in ``search.yaml``.
        """

        def setup(
            self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
        ) -> None:
            """Store the arguments of Hydra; jobs return the objective from now on."""
            assert isinstance(task_function, Job)
            task_function.objective = objective_of_job
            super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
            self.job, self.context, self.composed = task_function, hydra_context, config
            self.launcher: Any = self.sweeper.launcher
            self.sweeper.launcher = cast(Launcher, self)
            self.sweeper.direction = "maximize"
            self.trials: list[tuple[str, float | None]] = []

        def sweep(self, arguments: list[str]) -> None:
            """Run the trials and print the best one.

            Raises:
                UserError: If trials cannot be judged, nothing is searched, or all trials failed.
            """
            import optuna

            optuna.logging.set_verbosity(optuna.logging.WARNING)  # it announces each trial
            parser = OverridesParser.create(config_loader=self.context.config_loader)
            words = [*self.sweeper._parse_sweeper_params_config(), *arguments]
            parsed = parser.parse_overrides(words)
            self.searched = [one.get_key_element() for one in parsed if one.is_sweep_override()]
            if not self.searched:
                raise UserError(
                    "hydra/sweeper=optuna has nothing to search: give a setting several values, "
                    "such as 'method.lambda_cyc=interval(1,20)'"
                )
            if "seed" in self.searched:
                raise UserError(
                    "hydra/sweeper=optuna would choose the seed with the easiest images; give one "
                    "seed, and train the best settings with several seeds afterwards"
                )
            folder = Path(str(self.composed.hydra.sweep.dir))
            folder.mkdir(parents=True, exist_ok=True)
            try:
                super().sweep(arguments)
            except ValueError as error:
                if len(self.job.failures) < len(self.job.labels):
                    raise
                raise UserError("all trials of the search failed, for the reasons above") from error
            found = OmegaConf.load(folder / "optimization_results.yaml")
            fixed = [one.input_line or "" for one in parsed if not one.is_sweep_override()]
            best = cast(dict[str, Any], OmegaConf.to_container(found.best_params))
            lines = [*describe_trials(self.trials), describe_best(best, fixed)]
            print("\n".join(lines), flush=True)

        def launch(
            self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
        ) -> Sequence[JobReturn]:
            """Launch some trials in run directories of their own, in place of the launcher."""
            named = [self._named(words) for words in job_overrides]
            labels = [" ".join(self._values(words)) for words in named]
            self.job.labels = [*(label for label, _ in self.trials), *labels]
            results = list(self.launcher.launch(named, initial_job_idx))
            objectives = [Outcome.of(result).objective for result in results]
            self.trials += zip(labels, objectives, strict=True)
            return results

        def _named(self, words: Sequence[str]) -> list[str]:
            try:
                settings = _compose(self.context, self.composed, words)
            except UserError:
                return list(words)  # the job reports it
            check_search(settings, self.searched)
            return with_run_name(words, name_trial(settings, self.searched))

        def _values(self, words: Sequence[str]) -> list[str]:
            return [word for word in words if word.partition("=")[0] in self.searched]
