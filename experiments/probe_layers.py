"""Which layers for the linear probe; probe or probe_peak? AUROC on training images, out of fold.

  python -m experiments.probe_layers data_dir=data
  python -m experiments.probe_layers dataset=brain_mri seed=0,1,2 layers=head,blocks.5+head

Each training image is judged by the probe that was fitted without its fold; copies of one file are
in one fold, and the strength of the penalty is chosen anew without it. No test image is read.
Prints a table: evidence for the choice of method.layers and of the score, which is made before any
test image is scored. Features are kept in cache_dir.

Settings (change with name=value):
  dataset=brain_mri,screw,elpv
  seed=0                    splits, such as 0,1,2; the table has their mean
  layers=LAYERS             sets of layers of efficientnet_lite0, from fine to coarse, such as
                            head,blocks.5+head
  resolution=256            side of the images in pixels
  folds=5                   folds of the training images
  data_dir=PATH             folder of the datasets; or set CYCLEGAN_AD_DATA
  cache_dir=PATH            folder of the features; or set CYCLEGAN_AD_CACHE
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray

from cyclegan_ad.data.augment import SYMMETRIES, dihedral
from cyclegan_ad.errors import UserError
from cyclegan_ad.methods.folds import assign_folds, smallest_class
from cyclegan_ad.methods.linear_probe import DescribedImages, LinearProbe
from cyclegan_ad.metrics.thresholds import auroc
from cyclegan_ad.pretrained.names import PROBE_LAYERS
from cyclegan_ad.scoring.probe_features import Images, describe_images
from cyclegan_ad.settings.composing import conf_dir, register_resolvers, resolve
from cyclegan_ad.settings.train import Settings as TrainSettings
from cyclegan_ad.settings.types import read_settings
from experiments.driver import (
    Settings,
    choose_datasets,
    configured_datasets,
    print_markdown,
    run_driver,
    whole_number,
)

DEFAULTS = {
    "dataset": "brain_mri,screw,elpv",
    "seed": "0",
    "layers": "head,blocks.6,blocks.5+head,blocks.4+head,blocks.4+blocks.5+head,"
    "blocks.3+blocks.4+blocks.5+head",
    "resolution": "256",
    "folds": "5",
    "data_dir": "",
    "cache_dir": "",
}
HEADER = ("dataset", "layers", "probe", "probe_peak", "images", "seeds")


@dataclass(frozen=True)
class OutOfFold:
    """Scores of training images by probes that did not see them, N images.

    Attributes:
        probe: (N,) float64, decision values, mean over the 8 symmetries.
        peak: (N,) float64, those by the highest responses alone, likewise.
    """

    probe: NDArray[np.float64]
    peak: NDArray[np.float64]


def score_out_of_fold(
    method: LinearProbe,
    images: Images,
    indices: Sequence[int],
    labels: Sequence[int],
    groups: Sequence[str],
    *,
    folds: int,
    features_dir: Path | None = None,
) -> OutOfFold:
    """Judge each image by the probe fitted without its fold, on the CPU.

    Args:
        method: A probe with the weights of its backbone; it ends fitted without the last fold.
        images: The images.
        indices: Those to judge.
        labels: Label of each of these, 0 normal or 1 abnormal.
        groups: Group of each; images of one group are in one fold.
        folds: Number of folds.
        features_dir: Folder of the cached features; None for no cache.

    Raises:
        UserError: If there are fewer different images of a class than folds.
    """
    few = smallest_class(labels, groups)[1]
    if few < folds:
        raise UserError(
            f"invalid folds={folds} with {few} different training images of a class: expected at "
            f"most {few}; use fewer folds or more images"
        )
    device = torch.device("cpu")
    features = describe_images(
        method.model, images, indices, device=device, batch_size=1, folder=features_dir
    )
    fold_of = assign_folds(labels, groups, folds, method.seed)
    every = torch.arange(SYMMETRIES)
    found = np.zeros((2, len(indices)))
    for fold in range(folds):
        kept = np.flatnonzero(fold_of != fold).tolist()
        method.fit_to(
            DescribedImages(features[kept], [labels[i] for i in kept], [groups[i] for i in kept])
        )
        for i in np.flatnonzero(fold_of == fold).tolist():
            turned = dihedral(images.images_at([indices[i]]).repeat(SYMMETRIES, 1, 1, 1), every)
            judged = method.embed(turned)
            assert judged.peaks is not None
            found[:, i] = float(judged.scores.mean()), float(judged.peaks.mean())
    return OutOfFold(*found)


def compare(settings: Settings) -> list[UserError]:
    """Judge each set of layers on each dataset, and print the table."""
    sets = [name.split("+") for name in settings["layers"].split(",")]
    known = list(PROBE_LAYERS["efficientnet_lite0"])
    for layers in sets:
        if [name for name in known if name in layers] != layers:
            raise UserError(
                f"invalid layers={'+'.join(layers)}: expected some of {'+'.join(known)} in this "
                "order, and sets separated by commas"
            )
    seeds = [whole_number({"seed": one}, "seed", 0) for one in settings["seed"].split(",")]
    folds, size_px = whole_number(settings, "folds", 2), whole_number(settings, "resolution", 32)
    lines = [f"| {' | '.join(HEADER)} |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    problems: list[UserError] = []
    for dataset in choose_datasets(settings, configured_datasets()):
        for layers in sets:
            try:
                each = [_judge(settings, dataset, seed, layers, size_px, folds) for seed in seeds]
            except UserError as error:  # the same for all layers of the dataset
                problems.append(error)
                break
            probe, peak = (f"{100 * fmean(one[k] for one in each):.2f}" for k in (0, 1))
            images = f"{each[0][2]} + {each[0][3]}"
            cells = (dataset, "+".join(layers), probe, peak, images, str(len(seeds)))
            lines.append(f"| {' | '.join(cells)} |")
            print(f"{dataset}, {'+'.join(layers)}: probe {probe}, probe_peak {peak}", flush=True)
    if len(lines) > 2:
        print_markdown("\n".join(lines))
        print("AUROC in percent on training images (normal + abnormal), out of fold.")
    return problems


def _judge(
    settings: Settings, dataset: str, seed: int, layers: list[str], size_px: int, folds: int
) -> tuple[float, float, int, int]:
    """Return the AUROC of probe and probe_peak, and the images of both classes."""
    from cyclegan_ad.build import build_data, build_method

    chosen = compose_probe(dataset, size_px).replaced(
        {
            "seed": seed,
            "method.layers": layers,
            **{name: Path(settings[name]) for name in ("data_dir", "cache_dir") if settings[name]},
        }
    )
    data = build_data(chosen)
    data.setup()
    method = build_method(chosen)
    assert isinstance(method, LinearProbe)
    method.load_backbone()
    indices = [*data.train_indices(0), *data.train_indices(1)]
    labels = [data.samples[i].label for i in indices]
    found = score_out_of_fold(
        method,
        data,
        indices,
        labels,
        [data.groups[i] for i in indices],
        folds=folds,
        features_dir=chosen.cache_dir / "features",
    )
    counts = labels.count(0), labels.count(1)
    return auroc(found.probe, labels), auroc(found.peak, labels), *counts


def compose_probe(dataset: str, size_px: int) -> TrainSettings:
    """Return the settings of a training of the linear probe."""
    from hydra import compose, initialize_config_dir

    register_resolvers()
    words = ["method=linear_probe", f"dataset={dataset}", f"resolution={size_px}", "trainer=cpu"]
    with initialize_config_dir(str(conf_dir()), job_name="train", version_base="1.3"):
        return read_settings(TrainSettings, resolve(compose("train", words)))


if __name__ == "__main__":
    run_driver(compare, DEFAULTS, __doc__ or "")
