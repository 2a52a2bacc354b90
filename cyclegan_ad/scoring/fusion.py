"""Fused scores: one number from signals of a CycleGAN's networks and a linear probe.

A fused score is a logistic regression on a few terms, each a signal with a logarithm where it is an
amount. Its weights come from images of which neither the networks nor the probe that gave their
values had any part in training: the tuning images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import Tensor

SIGNAL_TERMS = (
    *("sse", "change_abnormal", "cycle_normal", "cycle_abnormal"),
    *("critic_normal", "critic_normal_peak", "critic_abnormal", "critic_abnormal_peak"),
)
"""Terms of ``fused_signals``."""
PROBE_TERM = "probe"
"""The term that ``fused`` has beside them: decision value of a linear probe."""

_LISTS = ("terms", "weights", "centres")
_SMALLEST = 1e-6  # of an amount, so that its logarithm is finite


@dataclass(frozen=True)
class Fusion:
    """Parameters of a fused score: ``intercept + sum of weight * (term - centre)``.

    Attributes:
        terms: Names of the terms.
        weights: Weight of each term.
        centres: Value of each term half-way between the means of the two classes.
        intercept: Score of an image with these values.
        strength: Weight of the loss against the penalty, chosen by cross-validation.
        normal: Number of normal tuning images.
        abnormal: Number of abnormal tuning images.
        auroc: AUROC in [0, 1] on the tuning images: of each term alone, and of the fused score
            (``fused``) fitted without the fold of the image, of pairs of images of one fold.
    """

    terms: tuple[str, ...]
    weights: tuple[float, ...]
    centres: tuple[float, ...]
    intercept: float
    strength: float
    normal: int
    abnormal: int
    auroc: dict[str, float]

    def contributions(self, terms: Tensor) -> Tensor:
        """Compute what each term adds to the score: (N, K) float64 to the same."""
        weights = torch.tensor(self.weights, dtype=torch.float64, device=terms.device)
        centres = torch.tensor(self.centres, dtype=torch.float64, device=terms.device)
        return (terms - centres) * weights

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as stored in ``metrics.json`` and ``detector.json``."""
        fields = asdict(self)
        return fields | {name: list(fields[name]) for name in _LISTS}

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """Parse the result of :meth:`as_dict`.

        Raises:
            ValueError: If it is not one.
        """
        if fields.keys() != cls.__dataclass_fields__.keys():
            raise ValueError("not the parameters of a fused score")
        found = cls(**(dict(fields) | {name: tuple(fields[name]) for name in _LISTS}))
        if not len(found.terms) == len(found.weights) == len(found.centres):
            raise ValueError("not the parameters of a fused score")
        return found


def fused_terms(score: str) -> tuple[str, ...]:
    """Return the names of the terms of ``fused`` or ``fused_signals``."""
    return (*SIGNAL_TERMS, PROBE_TERM) if score == "fused" else SIGNAL_TERMS


def as_term(name: str, raw: Tensor) -> Tensor:
    """Transform a raw signal to a term: amounts to their logarithm, higher for more abnormal.

    Args:
        name: Name of the term.
        raw: (N,) float64.

    Returns:
        (N,) float64, finite for finite input.

    Example:
        >>> amount = torch.tensor([1.0, 0.0], dtype=torch.float64)
        >>> [round(value, 3) for value in as_term("sse", amount).tolist()]
        [0.0, -13.816]
        >>> as_term("change_abnormal", -amount[:1]).item(), as_term("probe", -amount[:1]).item()
        (-0.0, -1.0)
    """
    match name:
        case "sse" | "cycle_normal":
            return raw.clamp(min=_SMALLEST).log()
        case "change_abnormal" | "cycle_abnormal":
            return -(-raw).clamp(min=_SMALLEST).log()
        case _:
            return raw
