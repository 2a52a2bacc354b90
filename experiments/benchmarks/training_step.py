"""The training step: the textbook's against ours, beside the matrix product of the machine."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from cyclegan_ad.build import build_method
from cyclegan_ad.device import choose_precision
from cyclegan_ad.methods.cyclegan import CycleGAN
from cyclegan_ad.training.speed import prepare_networks
from experiments.benchmarks.jobs import compose_job
from experiments.benchmarks.matrix_product import product_flop, products, waiting
from experiments.benchmarks.timing import Samples, take_turns
from experiments.benchmarks.work import pair_flop
from experiments.textbook_step import textbook_method, textbook_optimizers, textbook_step

# Ways to make a step: the textbook's in float32, and ours.
WAYS = ("textbook", "float32", "bf16", "compiled")

# A GPU makes several steps a sample: as in a training, nobody waits for it after each.
_SHORTEST_S = {"cpu": 0.0, "cuda": 0.3}
_WARM_UP = {"cpu": 1, "cuda": 4}


def measure_training(
    *,
    size_px: int,
    batch_size: int,
    ways: Sequence[str],
    warm_up_px: int | None = None,
    words: Sequence[str] = (),
    device: torch.device,
    budget_s: float,
    at_least: int,
) -> tuple[Samples, dict[str, Any]]:
    """Time the ways of making a step, and matrix products in the same turns.

    Args:
        size_px: Side of the images.
        batch_size: Pairs a step.
        ways: Some of ``WAYS``; ``compiled`` is in the precision that ``auto`` takes.
        warm_up_px: The first, unmeasured step is made with images of this size instead, by
            networks of their own: where a step takes half a minute, what it warms up does not
            count.
        words: Further settings of the job, such as a smaller width.
        device: Where to compute.
        budget_s: See :func:`experiments.benchmarks.timing.take_turns`.
        at_least: The same.

    Returns:
        Samples by way and by ``product_<precision>``; ``pair_flop``, ``product_flop`` and
        ``precision`` of each way.
    """
    settings = compose_job(["dataset=folder", f"resolution={size_px}", *words])
    precisions = {way: precision_of(way, device) for way in ways}
    if warm_up_px is not None:
        small = compose_job(["dataset=folder", f"resolution={warm_up_px}", *words])
        for step in build_steps(small, warm_up_px, batch_size, ways, device).values():
            step()
    steps = build_steps(settings, size_px, batch_size, ways, device)
    steps |= products(device, sorted(set(precisions.values())))
    samples = take_turns(
        steps,
        budget_s=budget_s,
        at_least=at_least,
        warm_up=_WARM_UP[device.type] if warm_up_px is None else 0,
        shortest_s=_SHORTEST_S[device.type],
        wait=waiting(device),
    )
    generator = settings["method"]["generator"]
    return samples, {
        "pair_flop": pair_flop(
            size_px,
            channels=settings["dataset"]["channels"],
            width=generator["base_channels"],
            blocks=generator["residual_blocks"],
        ),
        "product_flop": product_flop(device.type),
        "precision": precisions,
    }


def build_steps(
    settings: dict[str, Any],
    size_px: int,
    batch_size: int,
    ways: Sequence[str],
    device: torch.device,
) -> dict[str, Callable[[], object]]:
    """Calls that make one training step each, by way; each has networks of its own.

    Args:
        settings: Of a job.
        size_px: Side of the images.
        batch_size: Pairs a step.
        ways: Some of ``WAYS``.
        device: Where to compute.
    """
    shape = (batch_size, settings["dataset"]["channels"], size_px, size_px)
    normal, abnormal = (torch.rand(shape, device=device) * 2 - 1 for _ in range(2))
    return {
        way: (
            _textbook(settings, normal, abnormal, device)
            if way == "textbook"
            else _ours(settings, normal, abnormal, device, way)
        )
        for way in ways
    }


def precision_of(way: str, device: torch.device) -> str:
    """``float32`` or ``bf16``."""
    if way == "compiled":
        return "bf16" if has_bf16(device) else "float32"
    return "bf16" if way == "bf16" else "float32"


def has_bf16(device: torch.device) -> bool:
    """Whether ``trainer.precision=auto`` takes bf16 on this device."""
    return choose_precision("auto", device) == "bf16-mixed"


def _textbook(
    settings: dict[str, Any], normal: Tensor, abnormal: Tensor, device: torch.device
) -> Callable[[], object]:
    method = textbook_method(_build(settings, device))
    generators, discriminators = textbook_optimizers(method)
    return lambda: textbook_step(method, generators, discriminators, normal, abnormal)


def _ours(
    settings: dict[str, Any], normal: Tensor, abnormal: Tensor, device: torch.device, way: str
) -> Callable[[], object]:
    method = _build(settings, device)
    prepare_networks(
        method,
        device,
        compile=way == "compiled",
        compile_mode=settings["trainer"]["compile_mode"],
        activation_checkpointing=settings["trainer"]["activation_checkpointing"],
        processes=1,
    )
    (generators, discriminators), _ = method.configure_optimizers()
    bf16 = precision_of(way, device) == "bf16"

    def step() -> object:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            return method.optimise(normal, abnormal, generators, discriminators)

    return step


def _build(settings: dict[str, Any], device: torch.device) -> CycleGAN:
    method = build_method(settings)
    assert isinstance(method, CycleGAN)
    return method.to(device).train()
