"""What the program is asked to reach, and whether it does."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.benchmarks.rows import Row

_H100_CLASS = re.compile(r"\b(H100|H200|H800|GH200|B100|B200|GB200)\b")
DEMO_S = 120.0


@dataclass(frozen=True)
class Target:
    """A bound on a figure of a row.

    Attributes:
        quantity: ``ratio``, ``share`` or ``ours``.
        limit: The bound.
        value: What was measured.
        at_least: Whether the value must not be smaller; else it must not be larger.
    """

    quantity: str
    limit: float
    value: float
    at_least: bool = True

    @property
    def reached(self) -> bool:
        """Whether the value keeps the bound."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def targets_of(row: Row, rows: Sequence[Row], machine: Mapping[str, Any]) -> tuple[Target, ...]:
    """What a row is asked to reach.

    Args:
        row: A row with figures.
        rows: All of them.
        machine: The machine they were measured on, see
            :func:`experiments.benchmarks.machine.describe_machine`.
    """
    if row.ours is None:
        return ()
    if row.key == "training":
        on_cpu = machine["device"] == "cpu"
        return _step_on_cpu(row) if on_cpu else _step_on_gpu(row, rows, machine["name"])
    match row.key:
        case "batches":
            return _ratio(row, 50.0)
        case "scoring_fid_batched" | "scoring_fid_batched_bf16":
            return _ratio(row, 2.5)
        case "scoring_fid_cached" | "scoring_fid_cached_bf16":
            return _ratio(row, 4.0)
        case "memory":
            return _ratio(row, 2.0)
        case "help" | "mistake":
            return (Target("ours", 1.0, row.ours, at_least=False),)
        case "first_step":
            return (Target("ours", 10.0, row.ours, at_least=False),)
        case "demo" if row.what == "whole command":
            return (Target("ours", DEMO_S, row.ours, at_least=False),)
    return ()


def _ratio(row: Row, limit: float) -> tuple[Target, ...]:
    return () if row.ratio is None else (Target("ratio", limit, row.ratio.median),)


def _step_on_cpu(row: Row) -> tuple[Target, ...]:
    central = row.what.startswith(("64 px, batch 4,", "64 px, batch 16,"))
    if row.what.endswith("float32"):
        return _ratio(row, 1.05 if central else 1.0)
    # Nothing is asked of the compiled step: on a CPU it is not the default.
    if not central or not row.what.endswith("bf16") or row.share is None:
        return ()
    return (*_ratio(row, 2.0), Target("share", 0.75, row.share.median))


def _step_on_gpu(row: Row, rows: Sequence[Row], name: str) -> tuple[Target, ...]:
    """The fastest step at 256 px is what a user would choose."""
    if row.what.endswith("float32"):
        return _ratio(row, 1.0)
    large = [r for r in rows if r.what.startswith("256 px") and "bf16" in r.what and r.ours]
    if row is not max(large, key=lambda r: r.ours or 0.0, default=None):
        return ()
    speed = (Target("ours", 120.0, row.ours or 0.0),) if _H100_CLASS.search(name) else ()
    return (*speed, *_ratio(row, 4.0))
