"""Scoring: image by image as a textbook writes it, against ours."""

import os
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cyclegan_ad.build import build_method
from cyclegan_ad.data.demo.dataset import draw_image
from cyclegan_ad.data.pixels import to_signed_range
from cyclegan_ad.evaluation.map_batches import map_batches
from cyclegan_ad.methods.cyclegan import CycleGAN
from cyclegan_ad.pretrained.feature_cache import FeatureCache
from cyclegan_ad.pretrained.inception_weights import inception_weights_path
from cyclegan_ad.scoring.scores import Scores, build_scores
from experiments.benchmarks.jobs import compose_job
from experiments.benchmarks.matrix_product import waiting
from experiments.benchmarks.timing import Samples, take_turns
from experiments.benchmarks.training_step import has_bf16
from experiments.random_inception import address_of, write_random_inception
from experiments.textbook_scores import textbook_fid, textbook_inception, textbook_sse
from experiments.textbook_step import textbook_method


def measure_scoring(
    *,
    score: str,
    images: int,
    size_px: int,
    words: Sequence[str] = (),
    device: torch.device,
    budget_s: float,
    at_least: int,
) -> tuple[Samples, dict[str, Any]]:
    """Time the scoring of images of the demo data, with a generator that was not trained.

    Args:
        score: ``sse`` or ``fid``.
        images: How many.
        size_px: Their side.
        words: Further settings of the job.
        device: Where to compute.
        budget_s: See :func:`experiments.benchmarks.timing.take_turns`.
        at_least: The same.

    Returns:
        Seconds an image: ``textbook``, ``batched`` and, for ``fid``, ``cached`` (where the features
        of the images are known from another run); both again with ``_bf16`` where the device
        computes in it, by ``score.precision=bf16``; ``growth``: seconds for several numbers of
        images; ``weights`` of the Inception: ``pytorch-fid``, or ``random`` where there are none.
    """
    with tempfile.TemporaryDirectory() as folder:
        weights = "pytorch-fid"
        if score == "fid" and not inception_weights_path().exists():
            os.environ["TORCH_HOME"] = folder
            from pytorch_fid import inception  # after ours, which lets torchvision be imported

            inception.FID_WEIGHTS_URL = address_of(write_random_inception(Path(folder)))
            weights = "random"
        settings = compose_job(
            ["dataset=folder", f"resolution={size_px}", f"score={score}", *words]
        )
        shown = demo_images(4 * images, size_px).to(device)
        calls = _calls(settings, score, shown[:images], device, Path(folder))
        wait = waiting(device)
        samples = take_turns(
            {name: partial(call, shown[:images]) for name, call in calls.items()},
            budget_s=budget_s,
            at_least=at_least,
            wait=wait,
        )
        growth = {}
        for count in (max(1, images // 4), images, 4 * images):
            once = {"score": partial(calls["batched"], shown[:count])}
            found = take_turns(once, budget_s=0, at_least=1, warm_up=0, wait=wait)
            growth[str(count)] = found["score"][0]
    each = {name: [seconds / images for seconds in values] for name, values in samples.items()}
    return each, {"weights": weights, "growth": growth}


def demo_images(count: int, size_px: int) -> Tensor:
    """Images of the demo data, normal and abnormal in turn: (count, 3, size_px, size_px)."""
    drawn = [draw_image(0, i // 2, i % 2, size_px)[0] for i in range(count)]
    pixels = torch.stack([torch.from_numpy(image) for image in drawn])
    return to_signed_range(pixels).permute(0, 3, 1, 2).contiguous()


def _calls(
    settings: dict[str, Any], score: str, shown: Tensor, device: torch.device, folder: Path
) -> dict[str, Callable[[Tensor], object]]:
    """Ways to score images, by name; ``cached`` knows those that are shown already."""
    ours = build_method(settings).to(device).eval()
    assert isinstance(ours, CycleGAN)
    plain = textbook_method(ours)

    def score_all(scores: Scores, images: Tensor) -> None:
        def score(batch: list[int]) -> None:
            for values in scores(ours, images[batch])[0].values():
                values.cpu()

        sizes = {"batch_size": settings["score"]["batch_size"], "size_px": images.shape[-1]}
        for _ in map_batches(score, range(len(images)), device, **sizes):
            pass

    calls: dict[str, Callable[[Tensor], object]] = {}
    if score == "sse":
        calls["textbook"] = partial(textbook_sse, plain.reconstruct)
    else:
        network = textbook_inception().to(device)
        calls["textbook"] = lambda images: textbook_fid(plain.reconstruct, images, network)
    for precision, ending in (("float32", ""), ("bf16", "_bf16")):
        if precision == "bf16" and not has_bf16(device):
            continue
        asked = settings["score"] | {"precision": precision}
        if score == "sse":
            scores = build_scores(asked).to(device)
            calls[f"batched{ending}"] = partial(score_all, scores)
            continue
        known = folder / f"known{ending}"
        scores = build_scores(asked, known).to(device)
        score_all(scores, shown)
        calls[f"batched{ending}"] = partial(_first_time, scores, folder, score_all)
        calls[f"cached{ending}"] = partial(_with_features, scores, known, score_all)
    return calls


def _first_time(
    scores: Scores, folder: Path, score_all: Callable[[Scores, Tensor], None], images: Tensor
) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as empty:
        _with_features(scores, Path(empty), score_all, images)


def _with_features(
    scores: Scores, features: Path, score_all: Callable[[Scores, Tensor], None], images: Tensor
) -> None:
    assert scores.extractor is not None
    scores.feature_cache = FeatureCache(scores.extractor, features)
    score_all(scores, images)
