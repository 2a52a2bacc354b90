"""Write the saved detector of a run from what its evaluation computed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.detector.description import describe_scores
from cyclegan_ad.detector.saved import (
    FUSED_PROBE,
    read_fused_probe,
    read_unverified,
    save_detector,
    variance_name,
)
from cyclegan_ad.evaluation.error_variance import error_variance
from cyclegan_ad.evaluation.fingerprints import hash_value
from cyclegan_ad.evaluation.fit_fusions import fit_probe_term
from cyclegan_ad.evaluation.pictures import Pictures
from cyclegan_ad.methods.interface import Saves, SavesAll
from cyclegan_ad.methods.names import FUSED, SIGNALS
from cyclegan_ad.metrics.image_statistics import brightness, sharpness
from cyclegan_ad.networks.inference import portable_tensors
from cyclegan_ad.pretrained.features import build_extractor
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import Results, SplitRow

if TYPE_CHECKING:
    from cyclegan_ad.evaluation.evaluate_run import ScoredRun


def write_detector(
    run: RunDirectory,
    data: AnomalyDataModule,
    scored: ScoredRun,
    results: Results,
    pictures: Pictures,
    batch_size: int,
) -> None:
    """Write the detector with all scores of a run, those of earlier commands too.

    Args:
        run: A trained run.
        data: Its data module after ``setup``.
        scored: Its method and the scores that were computed now.
        results: All its results.
        pictures: Its example images, whose maps set the scale of overlays.
        batch_size: Images per batch on a GPU.
    """
    method, columns = scored.method, results.metrics["columns"].values()
    assert isinstance(method, Saves)
    if any(column["name"] in (*SIGNALS, *FUSED) for column in columns):
        assert isinstance(method, SavesAll)
        network, tensors = method.full_inference_state()
    else:
        network, tensors = method.inference_state()
    for precision in {c["precision"] for c in columns if c["name"] == "standardised"}:
        variance = scored.scores.variance
        if variance is None or scored.scores.precision != precision:  # of an earlier command
            variance = error_variance(
                method, data, device=scored.device, batch_size=batch_size, precision=precision
            )
        tensors = tensors | {variance_name(precision): variance}
    split = [SplitRow(*row) for row in data.split_rows()]
    labels = data.trained_labels
    trained = [row for row in split if row.subset == "train" and row.label in labels]
    trained_on = {
        "dataset": data.dataset_name,
        "images": len(trained),
        "sha256": hash_value(sorted(row.sha256 for row in trained)),
        "run": results.metrics["run"],
        "seed": results.metrics["seed"],
    }
    arguments = None
    if any(column["name"] == "fused" for column in columns):
        arguments, probe = _fused_probe(run, data, scored, trained_on, batch_size)
        tensors = tensors | {FUSED_PROBE + name: tensor for name, tensor in probe.items()}
    save_detector(
        run.detector,
        method=results.metrics["method"],
        network=network,
        fused_probe=arguments,
        tensors=tensors,
        preprocessing={
            "channels": data.channels,
            "window": None if data.window is None else list(data.window),
            "size_px": data.size_px,
            "resize": "bicubic",
            "range": [-1.0, 1.0],
        },
        extractors=_extractors(run.detector, scored, results),
        trained_on=trained_on,
        trained_files=sorted(
            {row.sha256 for row in split if row.subset in ("train", "tuning")} - {""}
        ),
        map_scale=pictures.map_scale,
        scores=describe_scores(results),
        reference=_reference(data, results),
    )


def _fused_probe(
    run: RunDirectory,
    data: AnomalyDataModule,
    scored: ScoredRun,
    trained_on: Mapping[str, Any],
    batch_size: int,
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return arguments and tensors of the probe: fitted now, or by an earlier command."""
    if scored.scores.probe is None:
        if (stored := read_fused_probe(run.detector, trained_on)) is not None:
            return stored
        fit_probe_term(data, scored.scores, device=scored.device, batch_size=batch_size)
    assert scored.scores.probe is not None
    return scored.scores.probe_arguments, portable_tensors(scored.scores.probe)


def _reference(data: AnomalyDataModule, results: Results) -> dict[str, Any]:
    """Return the statistics of the normal images kept out of training."""
    # Not those of training images: networks score these lower, so that other ones pass.
    normal = [row for row in results.rows if row["label"] == 0]
    index = {data.samples[i].path: i for i in data.split.test}
    images = [data.images[data.rows[index[row["path"]]]] for row in normal]
    return {
        "brightness": [brightness(pixels) for pixels in images],
        "sharpness": [sharpness(pixels) for pixels in images],
        "scores": {name: [row[name] for row in normal] for name in results.metrics["scores"]},
    }


def _extractors(folder: Path, scored: ScoredRun, results: Results) -> dict[str, str]:
    """Return the hash of the weights of each extractor that a score needs."""
    known: dict[str, Any] = dict((read_unverified(folder) or {}).get("extractors", {}))
    if scored.scores.extractor is not None:
        known[scored.scores.extractor.name] = scored.scores.extractor.weights_sha256
    names = {column["extractor"] for column in results.metrics["columns"].values()} - {None}
    return {name: known.get(name) or build_extractor(name).weights_sha256 for name in sorted(names)}
