"""Figure 3: normal and abnormal images, their reconstructions and the squared differences.

  python -m cyclegan_ad.train +experiment=figure3            trains what the figure shows
  python -m experiments.figure3
  python -m experiments.figure3 run_name=cyclegan-64 dataset=screw,brain_mri seed=1

Writes figure3_<run_name>.png. A dataset without a run is left out, with the command that makes it.

Settings (change with name=value):
  runs=runs               where the runs are
  run_name=cyclegan-256   which of them
  seed=0                  which split
  dataset=A,B,...         which datasets; default: the paper's seven
  examples=2              images of each class, chosen evenly over the test set
  out=figures             where the figure is written
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.errors import UserError
from cyclegan_ad.reference.paper import paper_table1
from cyclegan_ad.reporting.labels import dataset_title
from cyclegan_ad.runs.examples import read_examples
from cyclegan_ad.runs.results import read_metrics
from experiments.driver import (
    Settings,
    choose_datasets,
    configured_datasets,
    missing_run,
    run_directory,
    run_driver,
    whole_number,
)
from experiments.strips import Strip, Tiles, draw_strips

DEFAULTS = {
    "runs": "runs",
    "run_name": "cyclegan-256",
    "seed": "0",
    "dataset": ",".join(paper_table1()),
    "examples": "2",
    "out": "figures",
}


def read_strip(run_dir: Path, dataset: str, examples: int) -> Strip:
    """Read what a run has kept to be looked at.

    Raises:
        UserError: If it has kept nothing, or its method makes no reconstructions.
    """
    saved = read_examples(run_dir, read_metrics(run_dir))
    if saved.reconstructions is None:
        raise UserError(
            f"{run_dir} has no reconstructions to show, its method makes none; use run_name=NAME "
            "of a CycleGAN or GANomaly"
        )
    pictures: tuple[list[Tiles], list[Tiles]] = ([], [])
    masks = []
    for label in (0, 1):
        candidates = np.flatnonzero((saved.labels == label) & ~saved.critical)
        count = min(examples, len(candidates))
        for k in range(count):
            i = int(candidates[(2 * k + 1) * len(candidates) // (2 * count)])
            image, reconstruction = saved.images[i], saved.reconstructions[i]
            pictures[label].append((_plain(image), _plain(reconstruction), saved.maps[i]))
            if label:
                masks.append(saved.masks[i])
    return Strip(dataset_title(dataset), pictures, masks)


def _plain(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image[..., 0] if image.shape[-1] == 1 else image


def figure3(settings: Settings) -> list[UserError]:
    """Draw the figure from the runs there are.

    Args:
        settings: Those of the module's help.

    Returns:
        What is missing, and the command that makes it.

    Raises:
        UserError: If a setting is wrong.
    """
    examples = whole_number(settings, "examples", 1)
    strips: list[Strip] = []
    missing: list[UserError] = []
    for dataset in choose_datasets(settings, configured_datasets()):
        run_dir = run_directory(settings, dataset)
        if not (run_dir / "metrics.json").is_file():
            missing.append(missing_run(settings, dataset, "figure3"))
            continue
        try:
            strips.append(read_strip(run_dir, dataset, examples))
        except UserError as error:
            missing.append(error)
    if strips:
        path = Path(settings["out"]).expanduser() / f"figure3_{settings['run_name']}.png"
        source = f"{settings['run_name']}, seed {settings['seed']}"
        print(f"Written to {draw_strips(strips, source, path)}")
    return missing


if __name__ == "__main__":
    run_driver(figure3, DEFAULTS, __doc__)
