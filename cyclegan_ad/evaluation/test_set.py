"""Scoring of the test set of a run: reconstructions, anomaly maps, scores and metrics."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.evaluation.error_variance import error_variance
from cyclegan_ad.evaluation.fit_fusions import fit_fusions
from cyclegan_ad.evaluation.score_images import Scored, gather, score_once
from cyclegan_ad.methods.interface import TrainedMethod
from cyclegan_ad.methods.names import FUSED
from cyclegan_ad.metrics.thresholds import undefined_summary
from cyclegan_ad.metrics.torch_metrics import ImageDetection, PixelLocalisation
from cyclegan_ad.scoring.fusion import Fusion
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.scoring.scores import Scores


@dataclass(frozen=True)
class Evaluation:
    """Scores and metrics of the test set of one run.

    Attributes:
        columns: Columns of the scores.
        test: The test images.
        calibration: The abnormal images kept out of training; None if there are none.
        summary: Column -> thresholds, accuracies and AUROC (:func:`thresholds.summarise`), which
            are None without abnormal images.
        localisation: ``pixel_auroc``, ``aupro`` and ``masked_images``; None without ground truth.
        crossval: Fold of the abnormal training images -> scores by the model that did not see it:
            of its images and, if the model was fitted anew, of the test images. Empty if not asked
            for.
        tuning: The images that fused scores are fitted to, their fused scores by a fit without
            them; None if there are none.
        fusions: Column -> parameters of each fused score.
        contributions: The test images, with ``<column>:<term>`` -> what the term adds to the fused
            score; None without fused scores.
    """

    columns: tuple[ScoreColumn, ...]
    test: Scored
    calibration: Scored | None
    summary: dict[str, Mapping[str, float | None]]
    localisation: dict[str, float] | None
    crossval: Mapping[int, Scored] = field(default_factory=dict)
    tuning: Scored | None = None
    fusions: Mapping[str, Fusion] = field(default_factory=dict)
    contributions: Scored | None = None


@torch.inference_mode()
def evaluate(
    method: TrainedMethod,
    data: AnomalyDataModule,
    scores: Scores,
    *,
    device: torch.device,
    batch_size: int,
    training_images: Sequence[int] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Score every test image once (Sec. 2.3), every calibration image, and those asked for.

    In a group of processes, each scores a subset of the images and gets the scores of all.

    Args:
        method: A trained method on ``device``, in eval mode.
        data: Data module after ``setup``.
        scores: The requested scores, on ``device``.
        device: Device of the computation.
        batch_size: Images per batch on a GPU. On a CPU neither this nor the number of threads
            affects a score (see :func:`cyclegan_ad.scoring.map_batches.map_batches`).
        training_images: Abnormal training images, which the method did not see, as indices into the
            samples of the data; they are fold 0 of ``crossval``.
        progress: Called with (done, total) after each batch, numbers of different images of this
            process.

    Returns:
        Scores and the metrics computed from them.

    Raises:
        UserError: If a score is NaN or infinite; names the images.
    """
    if "standardised" in scores.names:
        scores.variance = error_variance(
            method, data, device=device, batch_size=batch_size, precision=scores.precision
        )
    outside = {}
    if any(name in FUSED for name in scores.names):
        outside = fit_fusions(method, data, scores, device=device, batch_size=batch_size)
    # Without ground truth, the maps of a large test set would only waste memory.
    masks_known = bool(data.masks.truth)
    localisation = PixelLocalisation() if masks_known else None
    kept = data.split.calibration
    wanted = (*data.split.test, *kept, *data.split.tuning, *training_images)
    scored = score_once(method, data, scores, wanted, device, batch_size, localisation, progress)
    added = {name: scored.pop(name) for name in list(scored) if ":" in name}
    test = gather(data, data.split.test, scored)
    tuning = gather(data, data.split.tuning, scored) if data.split.tuning else None
    if tuning is not None:
        tuning.scores.update(outside)
    summary: dict[str, Mapping[str, float | None]] = {}
    for column, found in test.scores.items():
        if data.normal_only:
            summary[column] = undefined_summary()
            continue
        detection = ImageDetection()
        detection.update(*map(torch.from_numpy, (test.indices, found, test.labels)))
        summary[column] = detection.compute()
    return Evaluation(
        columns=scores.columns,
        test=test,
        calibration=gather(data, kept, scored) if kept else None,
        tuning=tuning,
        fusions=dict(scores.fusions),
        contributions=gather(data, data.split.test, added) if added else None,
        crossval={0: gather(data, training_images, scored)} if training_images else {},
        summary=summary,
        localisation=None if localisation is None else localisation.compute(),
    )
