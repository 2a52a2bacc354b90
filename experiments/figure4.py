"""Figure 4: how the scores of normal and abnormal test images lie, with the ZFN and ACC thresholds.

  python -m cyclegan_ad.train +experiment=figure4            trains what the figure shows
  python -m experiments.figure4
  python -m experiments.figure4 score=fid run_name=cyclegan-64 dataset=screw,brain_mri

Writes figure4_<run_name>_<score>.png. A dataset without a run is left out, with the command that
makes it.

Settings (change with name=value):
  runs=runs               where the runs are
  run_name=cyclegan-256   which of them
  seed=0                  which split
  dataset=A,B,...         which datasets; default: the paper's seven
  score=sse               a column of scores.csv
  out=figures             where the figure is written
"""

from pathlib import Path

from cyclegan_ad.errors import UserError
from cyclegan_ad.reference.paper import paper_table1
from cyclegan_ad.runs.results import read_scores
from experiments.distributions import Distribution, draw_distributions
from experiments.driver import (
    Settings,
    choose_datasets,
    configured_datasets,
    missing_run,
    run_directory,
    run_driver,
)
from experiments.remedy import scoring_command

# Columns of scores.csv beside the scores.
NO_SCORES = ("path", "label")

DEFAULTS = {
    "runs": "runs",
    "run_name": "cyclegan-256",
    "seed": "0",
    "dataset": ",".join(paper_table1()),
    "score": "sse",
    "out": "figures",
}


def read_distribution(run_dir: Path, dataset: str, score: str) -> Distribution:
    """Read the scores of a run.

    Raises:
        UserError: If they are missing or damaged, or there is no such score.
    """
    rows = read_scores(run_dir)
    if score not in rows[0]:
        there = ", ".join(name for name in rows[0] if name not in NO_SCORES)
        command = scoring_command(run_dir, score)
        remedy = "name another with score=NAME" if command is None else f"add it with: {command}"
        raise UserError(f"{run_dir / 'scores.csv'} has no column {score}, but {there}; {remedy}")
    scores, labels = [row[score] for row in rows], [row["label"] for row in rows]
    if len(set(labels)) < 2:
        raise UserError(f"{run_dir / 'scores.csv'} has images of one class only; evaluate it again")
    return Distribution.of(dataset, scores, labels)


def figure4(settings: Settings) -> list[UserError]:
    """Draw the figure from the runs there are.

    Args:
        settings: Those of the module's help.

    Returns:
        What is missing, and the command that makes it.

    Raises:
        UserError: If a setting is wrong.
    """
    if settings["score"] in NO_SCORES:
        raise UserError(
            f"score={settings['score']} is not possible; it is a column of scores.csv with scores, "
            "such as sse"
        )
    found: list[Distribution] = []
    missing: list[UserError] = []
    for dataset in choose_datasets(settings, configured_datasets()):
        run_dir = run_directory(settings, dataset)
        if not (run_dir / "metrics.json").is_file():
            missing.append(missing_run(settings, dataset, "figure4"))
            continue
        try:
            found.append(read_distribution(run_dir, dataset, settings["score"]))
        except UserError as error:
            missing.append(error)
    if found:
        name = f"figure4_{settings['run_name']}_{settings['score']}.png"
        path = Path(settings["out"]).expanduser() / name
        source = f"{settings['run_name']}, seed {settings['seed']}"
        print(f"Written to {draw_distributions(found, settings['score'], source, path)}")
    return missing


if __name__ == "__main__":
    run_driver(figure4, DEFAULTS, __doc__)
