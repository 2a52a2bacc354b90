"""Training step: time relative to the reference and the machine, and peak memory."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from torch.utils.flop_counter import FlopCounterMode

from cyclegan_ad.build import build_method
from cyclegan_ad.device import choose_precision
from cyclegan_ad.methods.cyclegan import CycleGAN
from cyclegan_ad.settings.composing import conf_dir, register_resolvers, resolve
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.settings.types import read_settings
from cyclegan_ad.training.speed import prepare_networks
from experiments.benchmarks.machine import PREFIX, product_flop, products
from experiments.benchmarks.plan import MEMORY_BATCHES
from experiments.benchmarks.row import Row, Spread, Target, compare, ratios, spread
from experiments.benchmarks.timing import Call, Samples, Timer
from experiments.reference_step import reference_method, reference_optimizers, reference_step

# A GPU makes several steps a sample, without synchronisation as in a training.
_SAMPLE_S = {"cpu": 0.0, "cuda": 0.3}
_WARM_UP = {"cpu": 1, "cuda": 4}

# GPUs with a target of pairs a second.
_FAST_GPUS = ("H100", "H200", "H800", "GH200", "B100", "B200", "GB200")


def compose_job(words: Sequence[str]) -> Settings:
    """Compose all settings of ``python -m cyclegan_ad.train WORDS``."""
    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return read_settings(Settings, resolve(compose("train", list(words))))


def has_bf16(device: torch.device) -> bool:
    """Return whether ``trainer.precision=auto`` selects bfloat16 on this device."""
    return choose_precision("auto", device) == "bf16-mixed"


def measure_training(
    timer: Timer, *, size_px: int, batch_size: int, ways: Sequence[str]
) -> tuple[Samples, dict[str, Any]]:
    """Time ways of a training step (see :func:`build_steps`), and matrix products.

    Returns:
        Seconds by way and by ``product_<precision>``; ``pair_flop``, ``product_flop`` and
        ``precision`` of each way.
    """
    device = timer.device
    precisions = {way: _precision(way, device) for way in ways}
    samples = timer.alternate(
        build_steps(size_px, batch_size, ways, device)
        | products(device, sorted(set(precisions.values()))),
        warm_up=_WARM_UP[device.type],
        sample_s=_SAMPLE_S[device.type],
    )
    flop = {"pair_flop": pair_flop(size_px), "product_flop": product_flop(device.type)}
    return samples, flop | {"precision": precisions}


def measure_memory(
    timer: Timer, *, size_px: int, batch_size: int, checkpointing: bool
) -> tuple[Samples, dict[str, Any]]:
    """Make one step, with or without activation checkpointing, and read its peak memory.

    Returns:
        No samples; ``peak_mib`` of the process (CPU) or of torch's allocator (GPU); ``precision``.
    """
    way = "bf16" if has_bf16(timer.device) else "float32"
    word = f"trainer.activation_checkpointing={str(checkpointing).lower()}"
    build_steps(size_px, batch_size, [way], timer.device, word)[way]()
    return {}, {"peak_mib": _peak_mib(timer.device), "precision": way}


def build_steps(
    size_px: int, batch_size: int, ways: Sequence[str], device: torch.device, *words: str
) -> dict[str, Call]:
    """Return calls of a training step by way, each with its own networks.

    Args:
        size_px: Side of the images in pixels.
        batch_size: Pairs a step.
        ways: ``reference`` (in float32), or ours in ``float32``, in ``bf16``, or ``compiled`` in
            the precision of ``auto``.
        device: Device to compute on.
        words: Further settings of the job.
    """
    settings = compose_job(["dataset=folder", f"resolution={size_px}", *words])
    shape = (batch_size, settings.dataset.channels, size_px, size_px)
    normal, abnormal = (torch.rand(shape, device=device) * 2 - 1 for _ in range(2))
    steps: dict[str, Call] = {}
    for way in ways:
        method = build_cyclegan(settings, device).train()
        if way == "reference":
            plain = reference_method(method)
            step = partial(reference_step, plain, *reference_optimizers(plain), normal, abnormal)
            steps[way] = partial(_read_losses, step)
            continue
        prepare_networks(
            method,
            device,
            compile=way == "compiled",
            compile_mode=settings.trainer.compile_mode,
            activation_checkpointing=settings.trainer.activation_checkpointing,
            processes=1,
        )
        generators, discriminators = method.configure_optimizers()[0]
        optimise = partial(method.optimise, normal, abnormal, generators, discriminators)
        steps[way] = partial(_autocast, optimise, device, _precision(way, device) == "bf16")
    return steps


def build_cyclegan(settings: Settings, device: torch.device) -> CycleGAN:
    """Build the untrained networks of a job on a device."""
    method = build_method(settings)
    assert isinstance(method, CycleGAN)
    return method.to(device)


def pair_flop(size_px: int) -> int:
    """Count the FLOP of a training pair, the convolutions of the reference step.

    Without the discarded gradients of the discriminators, as many as a pass of each; a
    multiplication and an addition count as two.
    """
    settings = compose_job(["dataset=folder", f"resolution={size_px}"])
    device = torch.device("meta")  # shapes only: nothing is computed
    method = reference_method(build_cyclegan(settings, device))
    images = torch.empty(1, settings.dataset.channels, size_px, size_px, device=device)
    with FlopCounterMode(display=False) as step:
        reference_step(method, *reference_optimizers(method), images, images)
    with FlopCounterMode(display=False) as discarded:
        method.discriminator_normal(images)
        method.discriminator_abnormal(images)
    return step.get_total_flops() - discarded.get_total_flops()


def _read_losses(step: Any) -> None:
    """Make a step and read every loss on the host, as is common."""
    for loss in step().values():
        loss.item()


def _autocast(step: Call, device: torch.device, bf16: bool) -> object:
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        return step()


def _precision(way: str, device: torch.device) -> str:
    mixed = way == "bf16" or (way == "compiled" and has_bf16(device))
    return "bf16" if mixed else "float32"


def _peak_mib(device: torch.device) -> float:
    """Return the peak memory of this process in MiB."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() / 2**20
    import resource  # not on Windows

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 2**10)


def rows(cases: dict[str, Any], machine: dict[str, Any]) -> list[Row]:
    """Return the rows of the training steps, by image and batch size, and of the peak memory."""
    found = [case for case in cases.values() if case["kind"] == "training"]
    found.sort(key=lambda case: (case["settings"]["size_px"], case["settings"]["batch_size"]))
    steps: dict[str, Row] = {}
    for case in found:
        for way in case["settings"]["ways"]:
            if way != "reference":
                row = _step_row(case, way, machine)
                steps.setdefault(row.what, row)  # cases with compilation repeat others
    large = [row for row in steps.values() if row.what[:6] == "256 px" and "bf16" in row.what]
    if large and machine["device"] != "cpu":
        fastest = max(large, key=lambda row: row.ours or 0.0)
        fast = any(name in machine["name"] for name in _FAST_GPUS)
        targets = (Target("ratio", 4.0), *([Target("ours", 120.0)] if fast else []))
        steps[fastest.what] = replace(fastest, targets=targets)
    return [*steps.values(), *_memory_rows(cases)]


def _step_row(case: dict[str, Any], way: str, machine: dict[str, Any]) -> Row:
    samples, facts, settings = case["samples"], case["facts"], case["settings"]
    precision, pairs, size_px = facts["precision"][way], settings["batch_size"], settings["size_px"]
    on_cpu, share = machine["device"] == "cpu", None
    # In float32 a GPU may compute convolutions and products in different ways (TF32).
    if on_cpu or precision == "bf16":
        scale = facts["pair_flop"] * pairs / facts["product_flop"]
        share = spread([scale * r for r in ratios(samples[PREFIX + precision], samples[way])])
    central = on_cpu and size_px == 64 and pairs in (4, 16)
    targets = []
    if way == "float32":
        targets = [Target("ratio", 1.05 if central else 1.0)]
    elif central and way == "bf16":  # none for compiled, which is not the default on a CPU
        targets = [Target("ratio", 2.0), Target("share", 0.75)]
    what = f"{size_px} px, batch {pairs}, {precision}{', compiled' * (way == 'compiled')}"
    group, unit = "Training step", "pairs/s"
    return compare(group, what, unit, samples, way, *targets, items=pairs, share=share)


def _memory_rows(cases: dict[str, Any]) -> list[Row]:
    few, many = MEMORY_BATCHES
    costs = []
    for suffix in ("", "_checkpointing"):
        names = [f"memory_256px_batch{size}{suffix}" for size in (few, many)]
        if not cases.keys() >= set(names):
            return []
        less, more = (cases[name]["facts"]["peak_mib"] for name in names)
        costs.append((more - less) / (many - few))
    ratio, targets = Spread(*[costs[0] / costs[1]] * 3), (Target("ratio", 2.0),)
    what = "a pair at 256 px, with activation checkpointing"
    return [Row("Peak memory", what, "MiB", costs[0], costs[1], ratio, targets=targets)]
