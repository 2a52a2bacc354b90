"""Fit of the fused scores of a run, before its test set is scored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import OmegaConf

from cyclegan_ad.data.checks import limited, more_abnormal
from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.device import arithmetic
from cyclegan_ad.errors import UserError
from cyclegan_ad.methods.folds import smallest_class
from cyclegan_ad.methods.interface import TrainedMethod
from cyclegan_ad.methods.linear_probe import LinearProbe
from cyclegan_ad.methods.names import FUSED
from cyclegan_ad.methods.probe_fit import Probe, decide, fit_probe
from cyclegan_ad.pretrained.names import PROBE_DEFAULT_LAYERS
from cyclegan_ad.scoring.fit_fusion import (
    LEAST_TUNING_IMAGES,
    enough_to_fuse,
    fit_fusion,
    tuning_folds,
)
from cyclegan_ad.scoring.fusion import PROBE_TERM, fused_terms
from cyclegan_ad.scoring.map_batches import map_batches
from cyclegan_ad.scoring.probe_features import describe_images
from cyclegan_ad.scoring.scores import Scores
from cyclegan_ad.settings.composing import conf_dir

TRAIN_AGAIN = (
    "train it again with overwrite=true, with a lower learning rate if it is trained by gradient"
)
PROBE_BACKBONE = "efficientnet_lite0"


def check_tuning_images(data: AnomalyDataModule, names: Sequence[str]) -> None:
    """Check that fused scores can be fitted; called before the training.

    Args:
        data: Data module after ``setup``.
        names: Names of the requested scores.

    Raises:
        UserError: If there are too few tuning images, or all images are the same.
    """
    tuning = data.split.tuning
    labels = [data.samples[i].label for i in tuning]
    if not enough_to_fuse(labels, [data.groups[i] for i in tuning]):
        every = [*data.split.train, *tuning]
        scarce, groups = smallest_class(
            [data.samples[i].label for i in every], [data.groups[i] for i in every]
        )
        remedy = more_abnormal(data) if scarce else "add normal images"
        if groups > LEAST_TUNING_IMAGES:  # at least one is left to train on
            remedy = "raise method.tuning_fraction"
        raise UserError(
            f"invalid score=fused for {limited(data)}: it is fitted to images that the "
            f"networks did not train on, at least {LEAST_TUNING_IMAGES} different ones of each "
            f"class, and there are {labels.count(0)} normal and {labels.count(1)} abnormal; "
            f"{remedy}, or use score=signals"
        )
    if "fused" not in names:
        return
    first, *others = (*data.split.train, *tuning)
    pixels = data.images_at([first])
    if all(data.images_at([i]).equal(pixels) for i in others):
        raise UserError(
            f"invalid score=fused for dataset {data.dataset_name}: its probe cannot be fitted, as "
            "all training images have the same pixels; look at the images, or use score=sse"
        )


def fit_fusions(
    method: TrainedMethod,
    data: AnomalyDataModule,
    scores: Scores,
    *,
    device: torch.device,
    batch_size: int,
) -> dict[str, NDArray[np.float64]]:
    """Fit the fused scores that were asked for to the tuning images.

    The probe of ``fused`` is fitted to all training and tuning images; the values that weigh it
    come from probes fitted without the fold of the image.

    Args:
        method: A trained method with all four networks, on ``device``, in eval mode.
        data: Data module after ``setup``.
        scores: The requested scores; their ``fusions`` and ``probe`` are set.
        device: Device of the computation.
        batch_size: Images per batch on a GPU.

    Returns:
        Column -> (N,) float64, the score of each tuning image by a fit without its fold.

    Raises:
        UserError: If a term is NaN or infinite, or the weights of the probe's backbone are missing.
    """
    tuning = list(data.split.tuning)
    labels = [data.samples[i].label for i in tuning]
    groups = [data.groups[i] for i in tuning]
    known: dict[str, NDArray[np.float64]] = {}
    names = fused_terms("fused_signals")
    for _, terms in map_batches(
        lambda batch: scores.terms(method, data.images_at(batch).to(device), names),
        tuning,
        device,
        batch_size=batch_size,
        size_px=data.size_px,
    ):
        for name, values in zip(names, terms.cpu().numpy().T, strict=True):
            known[name] = np.append(known.get(name, []), values)
    for name, values in known.items():
        if not np.isfinite(values).all():
            paths = [data.samples[tuning[i]].path for i in np.flatnonzero(~np.isfinite(values))]
            raise UserError(
                f"a fused score cannot be fitted: its term {name} is NaN or infinite for "
                f"{', '.join(paths)}: the weights of the run are unusable; {TRAIN_AGAIN}"
            )
    if "fused" in scores.names:
        known[PROBE_TERM] = fit_probe_term(data, scores, device=device, batch_size=batch_size)
    outside = {}
    for column in scores.columns:
        if column.name in FUSED:
            names = fused_terms(column.name)
            values = np.stack([known[name] for name in names], axis=1)
            scores.fusions[column.column], outside[column.column] = fit_fusion(
                values, labels, groups, names, seed=data.seed
            )
    return outside


def probe_defaults() -> tuple[tuple[float, ...], int, float]:
    """Return the defaults of ``method.strengths``, ``folds`` and ``peak_fraction`` of the probe."""
    method = OmegaConf.load(conf_dir() / "method" / "linear_probe.yaml").method
    return tuple(method.strengths), method.folds, method.peak_fraction


def fit_probe_term(
    data: AnomalyDataModule, scores: Scores, *, device: torch.device, batch_size: int
) -> NDArray[np.float64]:
    """Fit the probe of ``fused``, a ``linear_probe`` with its defaults.

    It is fitted to all training and tuning images.

    Args:
        data: Data module after ``setup``.
        scores: The requested scores; their ``probe`` is set.
        device: Device of the computation.
        batch_size: Images per batch on a GPU.

    Returns:
        (N,) float64, decision value of each tuning image by a probe fitted without its fold.

    Raises:
        UserError: If the weights of the backbone are missing.
    """
    strengths, folds, peak_fraction = probe_defaults()
    module = LinearProbe(
        channels=data.channels,
        size_px=data.size_px,
        backbone=PROBE_BACKBONE,
        layers=PROBE_DEFAULT_LAYERS[PROBE_BACKBONE],
        weights_path=None,
        strengths=strengths,
        folds=folds,
        peak_fraction=peak_fraction,
        max_train_images=None,
        seed=data.seed,
    )
    module.load_backbone()
    scorer = module.model.to(device)
    tuning = list(data.split.tuning)
    chosen = [*data.split.train, *tuning]
    labels = np.array([data.samples[i].label for i in chosen])
    groups = np.array([data.groups[i] for i in chosen])
    with arithmetic(device, "float32"):
        features = describe_images(
            scorer, data, chosen, device=device, batch_size=batch_size, folder=scores.features_dir
        )

    parts = scorer.parts()

    def fit(kept: NDArray[np.bool_]) -> Probe:
        return fit_probe(
            features[kept],
            labels[kept].tolist(),
            groups[kept].tolist(),
            strengths=strengths,
            folds=folds,
            seed=data.seed,
            parts=parts,
        )

    first = len(chosen) - len(tuning)
    dealt = tuning_folds(labels[first:].tolist(), groups[first:].tolist(), data.seed)
    fold_of = np.concatenate([np.full(first, -1), dealt])
    # As the test images will be: each in its 8 symmetries, or alone.
    views = features if scores.tta == "dihedral" else features[:, :1]
    # A copy of a tuning image is never among the images that its probe is fitted to.
    values = np.zeros(len(chosen))
    for fold in range(int(dealt.max()) + 1):
        held_out = fold_of == fold
        kept = ~held_out & ~np.isin(groups, groups[held_out])
        values[held_out] = decide(fit(kept), views[held_out])
    whole = fit(np.ones(len(chosen), bool))
    module.take(whole, features.mean(axis=(0, 1), dtype=np.float64))
    scores.probe, scores.probe_arguments = scorer, module.network
    return values[first:]
