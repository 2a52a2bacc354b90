"""Cases of a machine in order of importance, and their time limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# The difference of the two batch sizes is the memory of a pair.
MEMORY_BATCHES = (1, 3)


@dataclass(frozen=True)
class Case:
    """Measurement of one process.

    Attributes:
        name: Key in the record.
        kind: Function that measures it, see :mod:`experiments.benchmarks.runner`.
        settings: Arguments of that function.
        budget_s: Seconds for its rounds, see :class:`experiments.benchmarks.timing.Timer`.
        min_rounds: Smallest number of rounds.
        overhead_s: Seconds outside the rounds: start of the process, warm-up, compilation.
        quick: Whether it is part of the short benchmark.
    """

    name: str
    kind: str
    settings: dict[str, Any]
    budget_s: float
    min_rounds: int = 3
    overhead_s: float = 10.0
    quick: bool = False

    @property
    def expected_s(self) -> float:
        """Expected duration in seconds."""
        return self.budget_s + self.overhead_s


def limit_s(device: str, *, quick: bool) -> float:
    """Return the time limit of the whole benchmark in seconds."""
    return 215.0 if quick else {"cpu": 945.0, "cuda": 525.0}[device]


def plan(device: str, *, bf16: bool, devices: int, quick: bool) -> list[Case]:
    """List the cases of a machine, the most important ones first.

    Args:
        device: ``cpu`` or ``cuda``.
        bf16: Whether the device computes in bfloat16.
        devices: Number of such devices.
        quick: Whether to list only the short benchmark.
    """
    ways = ["reference", "float32", *(["bf16"] if bf16 else [])]
    fast = ["reference", ways[-1]]
    compiled = [*fast, "compiled"]
    share = 3 if quick else 1  # of images, files and time
    files = {"files": 24 // share, "file_px": 1024, "size_px": 256, "batch_size": 8, "copies": 32}
    words = ["trainer.max_epochs=1"] if quick else []
    demo_s = 35.0 if quick else {"cpu": 80.0, "cuda": 50.0}[device]
    precisions = ["float32", *(["bf16"] if bf16 else [])]
    common = [
        Case("input", "input", files, 12.0 / share, quick=True),
        *(
            Case(f"scoring_{score}", "scoring", settings, budget_s / share, quick=True)
            for score, images, budget_s in (("sse", 32, 5.0), ("fid", 12, 34.0))
            for settings in [{"score": score, "images": images // share, "size_px": 64}]
        ),
        Case(
            "detector",
            "detector",
            {"images": 48 // share, "file_px": 256, "size_px": 64},
            24.0 / share,
            overhead_s=40.0,
            quick=True,
        ),
        Case("start_up", "start_up", {"jobs": 1}, 9.0 / share, 2, 20.0, quick=True),
        Case("demo", "demo", {"words": words}, 0.0, overhead_s=demo_s, quick=True),
    ]
    memory_s = {"cpu": 6.0, "cuda": 0.0}[device]
    memory = [
        Case(f"memory_256px_batch{size}{'_checkpointing' * again}", "memory", settings, memory_s)
        for again in (False, True)
        for size in MEMORY_BATCHES
        for settings in [{"size_px": 256, "batch_size": size, "checkpointing": again}]
    ]
    cases = [Case("matrix_product", "matrix_product", {"precisions": precisions}, 3.0, quick=True)]
    if device == "cpu":
        cases += [
            _step(64, 4, ways, 25.0 / share, quick=True),
            _step(64, 16, ways, 50.0),
            _step(64, 1, ways, 12.0 / share, quick=True),
            *common,
            _step(256, 1, ways, 42.0, overhead_s=24.0),
            *memory,
            _step(64, 4, compiled, 15.0, overhead_s=100.0),
            _step(32, 1, fast, 5.0),
            _step(128, 1, fast, 12.0),
            _step(256, 4, fast, 140.0, overhead_s=60.0),
        ]
    else:
        cases += [
            _step(256, 16, ways, 12.0 / share, quick=True),
            _step(64, 4, ways, 8.0 / share, quick=True),
            *(_step(*shape, compiled, 8.0, overhead_s=40.0) for shape in ((256, 16), (64, 16))),
            *(_step(*shape, ways, 8.0) for shape in ((256, 1), (64, 16), (256, 4), (64, 1))),
            *common,
            *memory,
            *(_step(size_px, 1, fast, 4.0) for size_px in (32, 128)),
        ]
    if devices > 1:
        settings = {"devices": devices, "batch_size": 16}
        cases.append(Case("scaling", "scaling", settings, 0.0, overhead_s=120.0))
    return [case for case in cases if case.quick or not quick]


def _step(size_px: int, batch_size: int, ways: Sequence[str], budget_s: float, **more: Any) -> Case:
    name = f"training_{size_px}px_batch{batch_size}{'_compiled' * ('compiled' in ways)}"
    settings = {"size_px": size_px, "batch_size": batch_size, "ways": list(ways)}
    return Case(name, "training", settings, budget_s, **more)
