"""Scores of a saved detector, computed by PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load_file

from cyclegan_ad.data.unpaired_batches import to_signed_range
from cyclegan_ad.detector.description import WEIGHTS
from cyclegan_ad.detector.detect import Pixels, Scored
from cyclegan_ad.detector.prediction import Prediction
from cyclegan_ad.detector.saved import FUSED_PROBE, variance_name
from cyclegan_ad.device import choose_device, prepare_process
from cyclegan_ad.errors import UserError
from cyclegan_ad.methods.names import FUSED
from cyclegan_ad.networks.inference import build_inference
from cyclegan_ad.networks.probe import ProbeScorer
from cyclegan_ad.scoring.fusion import Fusion
from cyclegan_ad.scoring.map_batches import cpu_batch_size, map_on_cpu
from cyclegan_ad.scoring.names import SCORE_PRECISIONS, ScoreColumn
from cyclegan_ad.scoring.scores import NonFiniteScoreError, build_scores

_GPU_BATCH_PIXELS = 64 * 128 * 128


class TorchBackend:
    """A network with one score.

    Args:
        folder: Folder of the detector.
        description: Content of its ``detector.json``.
        column: Score column to compute.
        device: ``auto``, ``cpu`` or ``gpu``.

    Raises:
        UserError: If a package or the weights of a feature extractor are missing, or those weights
            are not the ones that the threshold was set with.
    """

    def __init__(
        self, folder: Path, description: dict[str, Any], column: str, device: str = "auto"
    ) -> None:
        prepare_process()
        self.description, self.column = description, column
        self.device = choose_device(device)
        tensors = load_file(folder / WEIGHTS)
        variances = {p: tensors.pop(variance_name(p), None) for p in SCORE_PRECISIONS}
        probe = {
            name.removeprefix(FUSED_PROBE): tensors.pop(name)
            for name in list(tensors)
            if name.startswith(FUSED_PROBE)
        }
        self.method = build_inference(description["method"], description["network"], tensors)
        self.method.to(self.device).eval()
        computed_by = ScoreColumn.parse(description["scores"][column]["computed_by"])
        self.scores = build_scores([computed_by])
        if computed_by.name in FUSED:
            self.scores.fusions[column] = Fusion.parse(description["scores"][column]["fusion"])
        if computed_by.name == "fused":
            self.scores.probe = cast(
                ProbeScorer, build_inference("linear_probe", description["fused_probe"], probe)
            )
        self.scores.to(self.device)
        if computed_by.name == "standardised":
            variance = variances[computed_by.precision]
            assert variance is not None
            self.scores.variance = variance.to(self.device)
        extractor = self.scores.extractor
        if extractor is not None:
            wanted = description["extractors"][extractor.name]
            if extractor.weights_sha256 != wanted:
                raise UserError(
                    f"the weights of {extractor.name} on this machine (SHA-256 "
                    f"{extractor.weights_sha256[:12]}) are not those that the thresholds of "
                    f"{folder} were set with ({wanted[:12]}); install those weights, or score the "
                    "run again on this machine"
                )

    @torch.inference_mode()
    def score(self, pixels: Pixels, column: str) -> Scored:
        """Compute the score of images, (N, S, S, C) uint8."""
        channels_first = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        images = to_signed_range(channels_first.to(self.device))
        try:
            found = self.scores(self.method, images)
        except NonFiniteScoreError:
            return self._one_by_one(pixels, column)
        made = found.reconstructions
        if made is not None:
            made = ((made.float() + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1)
        return Scored(
            scores=found.scores[column].cpu().numpy(),
            maps=found.maps.float().cpu().numpy(),
            reconstructions=None if made is None else made.cpu().numpy(),
        )

    def _one_by_one(self, pixels: Pixels, column: str) -> Scored:
        """Score images alone, so that only those without a finite score get none."""
        if len(pixels) > 1:
            each = [self.score(pixels[i : i + 1], column) for i in range(len(pixels))]
            made = [one.reconstructions for one in each]
            whole = all(one is not None for one in made)
            return Scored(
                scores=np.concatenate([one.scores for one in each]),
                maps=np.concatenate([one.maps for one in each]),
                reconstructions=np.concatenate(made) if whole else None,  # type: ignore[arg-type]
            )
        size_px = pixels.shape[1]
        return Scored(np.array([np.nan]), np.zeros((1, size_px, size_px), np.float32), None)

    def map(
        self, function: Callable[[list[Any]], list[Prediction]], items: Sequence[Any]
    ) -> Iterator[list[Prediction]]:
        """Call a function for batches of items, in order, on all cores.

        On a CPU each batch is decoded and scored by one thread; on a GPU threads decode the next
        batches while the GPU computes.
        """
        size_px = self.description["preprocessing"]["size_px"]
        size = cpu_batch_size(size_px)
        if self.device.type != "cpu":
            size = max(1, _GPU_BATCH_PIXELS // size_px**2)
        batches = [list(items[start : start + size]) for start in range(0, len(items), size)]
        yield from map_on_cpu(function, batches)
