"""Scores of ``protocol=crossval`` by a probe that is fitted again without each fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.data.training_images import choose_training_images
from cyclegan_ad.device import arithmetic
from cyclegan_ad.display.terminal import decoding_progress
from cyclegan_ad.evaluation.apply_crossval import training_folds
from cyclegan_ad.evaluation.score_images import Scored, score_images
from cyclegan_ad.methods.linear_probe import DescribedImages, LinearProbe
from cyclegan_ad.scoring.probe_features import describe_images
from cyclegan_ad.scoring.scores import Scores
from cyclegan_ad.settings.train import Settings

_OF_PROBE = ("weight", "centre", "intercept")
_LEAST_AT_ONCE = 16  # images, whose moments are in memory together


def score_folds(
    method: LinearProbe,
    data: AnomalyDataModule,
    scores: Scores,
    settings: Settings,
    device: torch.device,
) -> dict[int, Scored]:
    """Fit the probe without each fold of the abnormal training images, and score with it.

    Normal images are in every fit, unless they share a group with an abnormal one of the fold. The
    strength of the regularisation is chosen anew, without the fold. The probe of the run is
    restored at the end.

    Args:
        method: The probe of the run, on ``device``.
        data: Data module after ``setup``.
        scores: The requested scores, on ``device``.
        settings: Settings of the run, with ``protocol.crossval_folds``.
        device: Device of the computation.

    Returns:
        Fold -> scores of its abnormal images, then of the test images, by the probe without it.

    Raises:
        UserError: If there are too few images for the folds.
    """
    fold_of = training_folds(settings.protocol, data)
    held_out: dict[int, list[int]] = {}
    for index, fold in fold_of.items():
        held_out.setdefault(fold, []).append(index)
    kept = {
        fold: choose_training_images(
            data, method.max_train_images, {data.groups[index] for index in indices}
        )
        for fold, indices in held_out.items()
    }
    described = sorted(set().union(*kept.values()))
    with decoding_progress("Describing training images") as report, arithmetic(device, "float32"):
        features = describe_images(
            method.model,
            data,
            described,
            device=device,
            batch_size=settings.score.batch_size,
            folder=settings.cache_dir / "features",
            progress=report,
        )
    row = {index: number for number, index in enumerate(described)}
    of_run = _probe_of(method)
    probes: dict[int, dict[str, Tensor]] = {}
    try:
        with decoding_progress("Fitting without each fold", unit="folds") as report:
            for fold, indices in kept.items():
                method.fit_to(
                    DescribedImages(
                        features=features[[row[index] for index in indices]],
                        labels=[data.samples[index].label for index in indices],
                        groups=[data.groups[index] for index in indices],
                    )
                )
                probes[fold] = _probe_of(method)
                report(len(probes), len(kept))

        def score(fold: int, indices: Sequence[int]) -> Scored:
            _set_probe(method, probes[fold])
            return score_images(
                method,
                data,
                scores,
                indices,
                device=device,
                batch_size=settings.score.batch_size,
            )

        return _score_with_each(method, data, held_out, score)
    finally:
        _set_probe(method, of_run)


def _score_with_each(
    method: LinearProbe,
    data: AnomalyDataModule,
    held_out: Mapping[int, Sequence[int]],
    score: Callable[[int, Sequence[int]], Scored],
) -> dict[int, Scored]:
    """Score the images of each fold and the test set, some images with all probes at a time.

    The backbone, which takes most of the time, then sees each image once.
    """
    wanted = {fold: [*indices, *data.split.test] for fold, indices in held_out.items()}
    every = [*(index for indices in held_out.values() for index in indices), *data.split.test]
    parts: dict[int, list[Scored]] = {fold: [] for fold in wanted}
    at_once = max(_LEAST_AT_ONCE, 2 * torch.get_num_threads())
    with decoding_progress("Scoring with each of these probes", unit="images") as report:
        for start in range(0, len(every), at_once):
            now = set(every[start : start + at_once])
            with method.model.keeping_moments():
                for fold, indices in wanted.items():
                    if mine := [index for index in indices if index in now]:
                        parts[fold].append(score(fold, mine))
            report(start + len(now), len(every))
    return {fold: _join(scored) for fold, scored in parts.items()}


def _join(parts: Sequence[Scored]) -> Scored:
    return Scored(
        indices=np.concatenate([part.indices for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        scores={
            column: np.concatenate([part.scores[column] for part in parts])
            for column in parts[0].scores
        },
    )


def _probe_of(method: LinearProbe) -> dict[str, Tensor]:
    return {name: getattr(method.model.probe, name) for name in _OF_PROBE}


def _set_probe(method: LinearProbe, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        setattr(method.model.probe, name, tensor)
