"""A W&B run for the seeds of one training: mean and deviation of their metrics."""

import json
from collections.abc import Sequence
from pathlib import Path

from cyclegan_ad.errors import UserError
from cyclegan_ad.files import write_text
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import read_metrics
from cyclegan_ad.settings.train import Settings, WandbLogger, training_differences
from cyclegan_ad.tracking.loggers import flatten_metrics, printable_config
from cyclegan_ad.tracking.wandb_checks import labels_of_run
from cyclegan_ad.tracking.wandb_results import means_over_seeds
from cyclegan_ad.tracking.wandb_run import choose_mode, start_wandb_run

_FOLDER = ".mean"  # hidden, so that no report takes it for a run
_LOGGED = "logged.json"


def log_groups(jobs: Sequence[Settings]) -> None:
    """Log mean and deviation over the seeds of each group of finished runs with W&B.

    Each group, the runs of one name and dataset, has one such run, which any sweep of them
    continues: it is over all finished runs of that training, those of earlier sweeps as well.
    Nothing is logged if nothing has changed.

    Args:
        jobs: Settings of the finished jobs of a sweep.
    """
    groups: dict[Path, dict[int, Settings]] = {}
    for job in jobs:
        if isinstance(job.logger, WandbLogger):
            groups.setdefault(RunDirectory.of(job).path.parent, {})[job.seed] = job
    for folder, members in groups.items():
        members = _earlier(folder, next(iter(members.values()))) | members
        if len(members) < 2:
            continue
        ordered = [members[seed] for seed in sorted(members)]
        try:
            found = [flatten_metrics(read_metrics(RunDirectory.of(job).path)) for job in ordered]
            _log_group(folder, ordered, means_over_seeds(found))
        except UserError as error:
            print(f"W&B: no means over seeds of {folder}: {error}", flush=True)


def _earlier(folder: Path, like: Settings) -> dict[int, Settings]:
    """Read the settings of the finished runs of a folder that were trained like one of them."""
    found = {}
    for place in folder.glob("seed*"):
        run = RunDirectory(place)
        try:
            settings = run.read_config()
        except UserError:
            continue
        expected = like.training() | {"seed": settings.seed}
        if run.metrics.is_file() and not training_differences(settings.training(), expected):
            found[settings.seed] = like.replaced({"seed": settings.seed})
    return found


def _log_group(folder: Path, jobs: Sequence[Settings], means: dict[str, float]) -> None:
    first, seeds = jobs[0], [job.seed for job in jobs]
    assert isinstance(first.logger, WandbLogger)
    mode, reason = choose_mode(first.logger.mode)
    place, summary = folder / _FOLDER, means | {"seeds": len(seeds)}
    logged = place / _LOGGED
    content = json.dumps({"mode": mode, "seeds": seeds, "summary": summary}, sort_keys=True)
    same = logged.is_file() and logged.read_text(encoding="utf-8") == content
    if mode == "disabled" or same:
        return
    labels = labels_of_run(first)
    config = {k: printable_config(v) for k, v in first.as_dict().items() if k != "seed"}
    run = start_wandb_run(
        place,
        mode=mode,
        reason=reason,
        project=first.logger.project,
        entity=first.logger.entity,
        group=labels.group,
        name=f"{labels.group}/mean",
        tags=[*labels.tags[:-1], "mean over seeds"],
        config=config | {"seeds": seeds},
    )
    run.summary.update(summary)
    run.finish()
    write_text(logged, content)
