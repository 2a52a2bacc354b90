"""Scoring: ours, compared with the reference, image by image."""

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cyclegan_ad.methods.cyclegan import CycleGAN
from cyclegan_ad.pretrained.feature_cache import FeatureCache
from cyclegan_ad.pretrained.inception_weights import inception_weights_path
from cyclegan_ad.scoring.map_batches import map_batches
from cyclegan_ad.scoring.scores import Scores, build_scores
from experiments.benchmarks.row import Row, Target, compare
from experiments.benchmarks.timing import Call, Samples, Timer
from experiments.benchmarks.training import build_cyclegan, compose_job, has_bf16
from experiments.random_inception import address_of, write_random_inception
from experiments.reference_scores import reference_fid, reference_inception, reference_sse
from experiments.reference_step import reference_method

# Score, way, name in the table, and the target of the ratio.
_ROWS = (
    ("sse", "batched", "sse", None),
    ("sse", "batched_bf16", "sse in bf16", None),
    ("fid", "batched", "fid, first time", 2.5),
    ("fid", "cached", "fid, image features cached", 4.0),
    ("fid", "batched_bf16", "fid in bf16, first time", 2.5),
    ("fid", "cached_bf16", "fid in bf16, image features cached", 4.0),
)


def measure_scoring(
    timer: Timer, *, score: str, images: int, size_px: int
) -> tuple[Samples, dict[str, Any]]:
    """Time the scoring of random images by an untrained generator.

    Returns:
        Seconds an image: ``reference``, ``batched`` and, for ``fid``, ``cached`` (image features
        from the cache), ours also with ``_bf16`` if the device supports it; and ``weights`` of the
        Inception: ``pytorch-fid``, or ``random`` if there are none.
    """
    with tempfile.TemporaryDirectory() as folder:
        weights = "pytorch-fid"
        if score == "fid" and not inception_weights_path().exists():
            os.environ["TORCH_HOME"] = folder
            from pytorch_fid import inception  # after ours, which lets torchvision be imported

            inception.FID_WEIGHTS_URL = address_of(write_random_inception(Path(folder)))
            weights = "random"
        settings = compose_job(["dataset=folder", f"resolution={size_px}", f"score={score}"])
        ours = build_cyclegan(settings, timer.device).eval()
        shown = torch.rand(images, 3, size_px, size_px, device=timer.device) * 2 - 1
        reconstruct, asked = reference_method(ours).reconstruct, settings.score
        ways: dict[str, Call] = {"reference": partial(reference_sse, reconstruct, shown)}
        if score == "fid":
            network = reference_inception().to(timer.device)
            ways["reference"] = partial(reference_fid, reconstruct, shown, network)
        for precision in ("float32", "bf16") if has_bf16(timer.device) else ("float32",):
            ending = "" if precision == "float32" else "_bf16"
            scores = build_scores(asked.replaced({"precision": precision}).columns).to(timer.device)
            score_all = partial(_score_all, ours, scores, asked.batch_size)
            ways[f"batched{ending}"] = partial(score_all, shown)
            if score == "fid":
                known = Path(folder) / f"known{ending}"
                score_all(shown, known)
                ways[f"cached{ending}"] = partial(score_all, shown, known)
        samples = timer.alternate(ways)
    each = {name: [seconds / images for seconds in values] for name, values in samples.items()}
    return each, {"weights": weights}


def _score_all(
    method: CycleGAN, scores: Scores, batch_size: int, images: Tensor, features: Path | None = None
) -> None:
    """Score images as an evaluation does, with cached image features or without."""

    def score(batch: list[int]) -> None:
        for values in scores(method, images[batch]).scores.values():
            values.cpu()

    with tempfile.TemporaryDirectory() as empty:
        if scores.extractor is not None:
            scores.feature_cache = FeatureCache(scores.extractor, features or Path(empty))
        sizes = {"batch_size": batch_size, "size_px": images.shape[-1]}
        for _ in map_batches(score, range(len(images)), images.device, **sizes):
            pass


def rows(cases: dict[str, Any], machine: dict[str, Any]) -> list[Row]:
    """Return the rows of the scoring."""
    found = []
    for score, way, title, ratio in _ROWS:
        case = cases.get(f"scoring_{score}")
        if case is None or way not in case["samples"]:
            continue
        what = f"{case['settings']['size_px']} px, {title}"
        if score == "fid" and case["facts"]["weights"] == "random":
            what += " (random weights)"
        targets = [] if ratio is None else [Target("ratio", ratio)]
        found.append(compare("Scoring", what, "images/s", case["samples"], way, *targets))
    return found
