"""Which cases are measured on which machine, in which order, and how long each may take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.benchmarks.work import pair_flop

# Peak memory of a pair is the slope between these: what a step needs anyway is in both.
MEMORY_BATCHES = (1, 3)

# The whole benchmark, in seconds; what would end later is left out.
LIMIT_S = {"cpu": 880.0, "cuda": 460.0}
QUICK_LIMIT_S = 165.0

# A process until it measures: the imports of torch and Lightning, and networks to be made.
_START_S = 6.0
# A case with torch.compile: 30 to 110 s on a CPU.
_COMPILE_S = {"cpu": 100.0, "cuda": 50.0}
# Part of the matrix-product peak that a step reaches at the least.
_SHARE = 0.75

# FLOP a second of a slow machine, until its matrix product has been measured.
UNKNOWN_RATES = {"float32": 1e11, "bf16": 2e11}


@dataclass(frozen=True)
class Case:
    """What one process measures.

    Attributes:
        name: In the record.
        kind: What measures it, see :mod:`experiments.benchmarks.worker`.
        title: For people.
        settings: Arguments of what measures it.
        budget_s: Time for its rounds, see :func:`experiments.benchmarks.timing.take_turns`.
        at_least: Rounds that are made in any case.
        fixed_s: What it takes beside them.
        round_flop: Arithmetic of one round, by precision.
    """

    name: str
    kind: str
    title: str
    settings: dict[str, Any]
    budget_s: float
    at_least: int = 3
    fixed_s: float = _START_S
    round_flop: Mapping[str, float] = field(default_factory=dict)

    def needed_s(self, rates: Mapping[str, float]) -> float:
        """How long it takes at the least.

        Args:
            rates: FLOP a second of a matrix product, by precision.
        """
        return self.fixed_s + self.at_least * self._round_s(rates)

    def expected_s(self, rates: Mapping[str, float]) -> float:
        """How long it will probably take; see :meth:`needed_s`."""
        return self.fixed_s + max(self.budget_s, self.at_least * self._round_s(rates))

    def _round_s(self, rates: Mapping[str, float]) -> float:
        return sum(
            flop / (_SHARE * rates.get(precision, UNKNOWN_RATES[precision]))
            for precision, flop in self.round_flop.items()
        )


def plan(device: str, *, bf16: bool, devices: int, quick: bool) -> list[Case]:
    """The cases of a machine, what matters most first.

    Args:
        device: ``cpu`` or ``cuda``.
        bf16: Whether it computes in bf16.
        devices: How many such devices there are.
        quick: The short benchmark.
    """
    ways = ["textbook", "float32", *(["bf16"] if bf16 else [])]
    if device == "cpu":
        cases = _quick_on_cpu(ways) if quick else _on_cpu(ways)
    else:
        cases = _quick_on_cuda(ways) if quick else _on_cuda(ways)
    if devices > 1 and not quick:
        title = f"training on {devices} devices"
        settings = {"devices": devices, "batch_size": 16}
        cases.append(Case("scaling", "scaling", title, settings, 60.0, fixed_s=60.0))
    return cases


def limit_s(device: str, *, quick: bool) -> float:
    """Seconds that the whole benchmark may take."""
    return QUICK_LIMIT_S if quick else LIMIT_S[device]


def products_case(precisions: Sequence[str]) -> Case:
    """The first case of every plan: what the machine can do."""
    settings = {"precisions": list(precisions)}
    return Case("matrix_product", "matrix_product", "matrix product", settings, 3.0)


def _on_cpu(ways: list[str]) -> list[Case]:
    fast = _without_float32(ways)
    return [
        training("cpu", 64, 4, ways, 25.0),
        training("cpu", 64, 16, ways, 50.0),
        training("cpu", 64, 1, ways, 12.0),
        _start_up(2, 10.0),
        _input(24, 12.0),
        _scoring("sse", 32, 5.0),
        _scoring("fid", 12, 24.0),
        _demo((), 100.0),
        training("cpu", 256, 1, ways, 30.0, warm_up_px=64),
        *_memory(_START_S + 16.0),
        training("cpu", 64, 4, ["textbook", fast[-1], "compiled"], 15.0),
        training("cpu", 32, 1, fast, 5.0),
        training("cpu", 128, 1, fast, 12.0),
        training("cpu", 256, 4, fast, 30.0, warm_up_px=64, at_least=2),
    ]


def _quick_on_cpu(ways: list[str]) -> list[Case]:
    return [
        training("cpu", 64, 4, ways, 15.0),
        training("cpu", 64, 1, ways, 6.0),
        _start_up(1, 5.0),
        _input(12, 4.0),
        _scoring("sse", 16, 3.0),
        _scoring("fid", 4, 8.0),
        _demo(("trainer.max_epochs=1",), 35.0),
    ]


def _on_cuda(ways: list[str]) -> list[Case]:
    every = [*ways, "compiled"]
    return [
        training("cuda", 256, 16, every, 12.0),
        training("cuda", 64, 16, every, 8.0),
        training("cuda", 256, 1, ways, 8.0),
        training("cuda", 64, 4, every, 8.0),
        training("cuda", 256, 4, ways, 8.0),
        training("cuda", 64, 1, ways, 8.0),
        _input(24, 8.0),
        _scoring("sse", 64, 5.0),
        _scoring("fid", 64, 15.0),
        *_memory(_START_S + 4.0),
        _start_up(1, 6.0),
        training("cuda", 32, 1, _without_float32(ways), 4.0),
        training("cuda", 128, 1, _without_float32(ways), 4.0),
        _demo((), 50.0),
    ]


def _quick_on_cuda(ways: list[str]) -> list[Case]:
    return [
        training("cuda", 256, 16, ways, 6.0),
        training("cuda", 64, 4, ways, 4.0),
        _start_up(1, 5.0),
        _input(12, 4.0),
        _scoring("sse", 16, 3.0),
        _scoring("fid", 16, 6.0),
        _demo(("trainer.max_epochs=1",), 35.0),
    ]


def training(
    device: str,
    size_px: int,
    batch_size: int,
    ways: list[str],
    budget_s: float,
    *,
    at_least: int = 3,
    warm_up_px: int | None = None,
) -> Case:
    """A training step; the first round warms up, unless smaller images do."""
    compiled = "compiled" in ways
    name = f"training_{size_px}px_batch{batch_size}{'_compiled' if compiled else ''}"
    flop = batch_size * pair_flop(size_px, blocks=9 if size_px >= 256 else 6)
    bf16 = sum(way in ("bf16", "compiled") for way in ways)
    once_more = (at_least + 1) / at_least if warm_up_px is None else 1.0
    return Case(
        name,
        "training",
        f"training step, {size_px} px, batch {batch_size}{', compiled' if compiled else ''}",
        {
            "size_px": size_px,
            "batch_size": batch_size,
            "ways": ways,
            "warm_up_px": warm_up_px,
        },
        budget_s,
        at_least,
        _START_S + (_COMPILE_S[device] if compiled else 0.0),
        {"float32": (len(ways) - bf16) * once_more * flop, "bf16": bf16 * once_more * flop},
    )


def _without_float32(ways: Sequence[str]) -> list[str]:
    """The textbook, and our fastest way that needs no compiler."""
    return ["textbook", ways[-1]]


def _start_up(jobs: int, budget_s: float) -> Case:
    settings = {"jobs": jobs}
    return Case("start_up", "start_up", "start-up", settings, budget_s, 2, 12.0 + 10.0 * jobs)


def _input(files: int, budget_s: float) -> Case:
    settings = {"files": files, "file_px": 1024, "size_px": 256, "batch_size": 8, "copies": 32}
    return Case("input", "input", "input side", settings, budget_s, 3, _START_S + 6.0)


def _scoring(score: str, images: int, budget_s: float) -> Case:
    settings = {"score": score, "images": images, "size_px": 64}
    name = f"scoring_{score}"
    fixed_s = _START_S + budget_s / 2
    return Case(name, "scoring", f"scoring, {score}", settings, budget_s, 3, fixed_s)


def _demo(words: Sequence[str], fixed_s: float) -> Case:
    settings = {"words": list(words)}
    return Case("demo", "demo", "the demo and its evaluation", settings, 0.0, 1, fixed_s)


def _memory(fixed_s: float) -> list[Case]:
    return [
        Case(
            f"memory_256px_batch{batch_size}{'_checkpointing' if checkpointing else ''}",
            "memory",
            f"peak memory, 256 px, batch {batch_size}{', checkpointing' if checkpointing else ''}",
            {"size_px": 256, "batch_size": batch_size, "checkpointing": checkpointing},
            0.0,
            1,
            fixed_s,
        )
        for checkpointing in (False, True)
        for batch_size in MEMORY_BATCHES
    ]
