"""From the pixels of an image to the decision, as one module of plain layers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from scipy import ndimage
from torch import Tensor, nn

from cyclegan_ad.data.augment import SYMMETRIES, inverse
from cyclegan_ad.data.unpaired_batches import to_signed_range
from cyclegan_ad.detector.decision import Decision
from cyclegan_ad.detector.torch_backend import TorchBackend
from cyclegan_ad.errors import UserError
from cyclegan_ad.exporting.resize import BicubicResize
from cyclegan_ad.methods.interface import TrainedMethod
from cyclegan_ad.methods.names import FUSED, SIGNALS
from cyclegan_ad.networks.inference import CycleGANNetworks, ExportedNetwork, plain
from cyclegan_ad.networks.probe import ProbeScorer
from cyclegan_ad.scoring.frechet import single_image_frechet
from cyclegan_ad.scoring.names import OWN_SCORES, ScoreColumn
from cyclegan_ad.scoring.one_view import sse, terms_of
from cyclegan_ad.scoring.parts import View, anomaly_map
from cyclegan_ad.scoring.signals import signal

OUTPUTS = ("score", "abnormal", "zone", "anomaly_map", "resized", "reconstruction")
"""Names of the outputs, in order; a method that makes no reconstruction lacks the last one."""


class DecisionGraph(nn.Module):
    """Resize, network, score and threshold of a detector.

    It computes what :class:`TorchBackend` does, up to rounding.

    Args:
        backend: The detector; its network is copied.
        decision: Score and threshold that decide.

    Raises:
        UserError: If the score cannot be a graph.
    """

    def __init__(self, backend: TorchBackend, decision: Decision) -> None:
        super().__init__()
        described = backend.description
        self.column = ScoreColumn.parse(described["scores"][decision.column]["computed_by"])
        _refuse(self.column, described)
        size_px = described["preprocessing"]["size_px"]
        self.resize = BicubicResize(size_px)
        method = backend.method
        if isinstance(method, CycleGANNetworks) and self.column.name not in (*SIGNALS, *FUSED):
            method = method.generator_to_normal  # all that this score needs
        self.network = ExportedNetwork(method)
        probe, self.fusion = backend.scores.probe, backend.scores.fusions.get(self.column.column)
        self.probe = None if probe is None else cast(ProbeScorer, plain(probe))
        self.extractor = copy.deepcopy(backend.scores.extractor)
        if self.extractor is not None:
            self.extractor.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.threshold = decision.threshold
        self.upper = decision.threshold if decision.upper is None else decision.upper
        self.symmetries = SYMMETRIES if self.column.tta == "dihedral" else 1
        blur = variance = None
        if self.column.peak_sigma_px is not None:
            blur = _gaussian_matrix(size_px, self.column.peak_sigma_px)
        if self.column.name == "standardised":
            assert backend.scores.variance is not None
            variance = self._turned(backend.scores.variance.cpu())[:, None]  # (symmetries, 1, ...)
        self.blur: Tensor | None
        self.variance: Tensor | None
        self.register_buffer("blur", blur)
        self.register_buffer("variance", variance)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Judge images.

        Args:
            images: (N, H, W, C) uint8 of any height and width.

        Returns:
            ``score``: (N,) float64. ``abnormal``: (N,) bool, the decision; True also for a score
            that is not a number. ``zone``: (N,) int32, 0 pass, 1 review, 2 reject; 1 for a score
            that is not a number. ``anomaly_map``: (N, S, S) float32. ``resized``: (N, S, S, C)
            uint8, the images as the network sees them. ``reconstruction``: likewise.
        """
        resized = self.resize(images)
        turned = self._turned(to_signed_range(resized)).flatten(0, 1)  # (symmetries * N, C, S, S)
        if self.column.name in (*SIGNALS, *FUSED):
            networks = cast(TrainedMethod, self.network.network)
            parts = _GraphView(networks, turned, probe=self.probe)
            made, maps, scores = parts.reconstructions, parts.anomaly_map, self._signal(parts)
        else:
            found = self.network(turned)
            made = found.get("reconstruction")
            maps = found["map"] if made is None else anomaly_map(turned, made)
            own = found.get("peak" if self.column.name == "probe_peak" else "score")
            scores = self._score(turned, made, maps, own)
        score = scores.unflatten(0, (self.symmetries, -1)).sum(0) / self.symmetries
        each = maps.unflatten(0, (self.symmetries, -1)).unbind(0)
        back = [_turn(one, inverse(number)) for number, one in enumerate(each)]
        abnormal = ~(score < self.threshold)
        judged = {
            "score": score,
            "abnormal": abnormal,
            "zone": abnormal.int() + (score >= self.upper).int(),
            "anomaly_map": torch.stack(back).sum(0) / self.symmetries,
            "resized": _as_pixels(resized),
        }
        if made is not None:
            first = made.unflatten(0, (self.symmetries, -1))[0]
            judged["reconstruction"] = _as_pixels((first + 1) * 127.5)
        return judged

    def _turned(self, images: Tensor) -> Tensor:
        """Apply the symmetries: (..., S, S) to (symmetries, ..., S, S)."""
        return torch.stack([_turn(images, number) for number in range(self.symmetries)])

    def _score(
        self, images: Tensor, made: Tensor | None, maps: Tensor, own: Tensor | None
    ) -> Tensor:
        """Compute the scores of turned images from what the network gave, float64."""
        if self.column.name in OWN_SCORES:
            assert own is not None
            return own.double()
        assert made is not None
        if self.column.name == "sse":
            return sse(images, made)
        if self.column.name == "peak":
            return self._peak(maps)
        if self.column.name == "standardised":
            squares = (images.double() - made.double()).square()
            grouped = squares.unflatten(0, (self.symmetries, -1))
            return (grouped / self.variance).sum(dim=(2, 3, 4)).flatten()
        assert self.column.name == "fid" and self.extractor is not None
        return single_image_frechet(self.extractor(images).pooled, self.extractor(made).pooled)

    def _signal(self, parts: View) -> Tensor:
        """Compute a signal or a fused score of turned images, float64."""
        if self.fusion is not None:
            terms = terms_of(parts, self.fusion.terms)
            return self.fusion.intercept + self.fusion.contributions(terms).sum(dim=1)
        if self.column.name == "peak_abnormal":
            return -self._peak(parts.change_map)
        return signal(self.column.name, parts, None)

    def _peak(self, maps: Tensor) -> Tensor:
        assert self.blur is not None
        return (self.blur @ maps.double() @ self.blur.T).amax(dim=(1, 2))


class _GraphView(View):
    """Parts as operations of a graph, in the precision of the graph."""

    def _infer(self, network: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        return network(images)

    @property
    def probed(self) -> Tensor:
        """Decision values of the probe, all images at once."""
        assert self.probe is not None
        scores: Tensor = self.probe(self.images)[0]
        return scores


def _refuse(column: ScoreColumn, described: Mapping[str, Any]) -> None:
    """Raise a UserError if a score cannot be part of a graph."""
    reason = _reason(column)
    if reason is None:
        return
    others = [
        name
        for name, score in described["scores"].items()
        if _reason(ScoreColumn.parse(score["computed_by"])) is None
    ]
    remedy = (
        f"use score={others[0]}" + (f" (or {', '.join(others[1:])})" if others[1:] else "")
        if others
        else "add a score: python -m cyclegan_ad.evaluate run=RUN score.precision=float32"
    )
    raise UserError(f"invalid score={column.column} for an export: {reason}; {remedy}")


def _reason(column: ScoreColumn) -> str | None:
    if column.precision == "bf16":
        return "the runtimes compute convolutions in float32, not in bfloat16"
    if column.name == "fid_spatial":
        return "it needs singular values, which no graph format has"
    return None


def _gaussian_matrix(size_px: int, sigma_px: float) -> Tensor:
    identity = torch.eye(size_px, dtype=torch.float64).numpy()
    smooth = ndimage.gaussian_filter1d(identity, sigma_px, axis=0, mode="reflect", truncate=4.0)
    return torch.from_numpy(smooth)


def _turn(images: Tensor, symmetry: int) -> Tensor:
    """Apply a symmetry of :mod:`cyclegan_ad.data.augment` to (..., S, S)."""
    flipped = images.flip(-1) if symmetry >= SYMMETRIES // 2 else images
    return torch.rot90(flipped, symmetry % 4, (-2, -1))


def _as_pixels(values: Tensor) -> Tensor:
    """Round (N, C, S, S) in 0..255 to (N, S, S, C) uint8."""
    return values.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
