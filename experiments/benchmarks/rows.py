"""From samples to the rows of the benchmark's table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from experiments.benchmarks.matrix_product import PREFIX
from experiments.benchmarks.plan import MEMORY_BATCHES
from experiments.benchmarks.targets import Target, targets_of
from experiments.benchmarks.timing import Spread, ratios, spread

_WAY_TITLES = {"float32": "float32", "bf16": "bf16", "compiled": "{precision}, compiled"}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        key: What it is, for targets: ``training``, ``input``, ...
        group: Heading of the lines it stands under.
        what: What was measured.
        unit: Of ``reference`` and ``ours``.
        reference: The textbook's figure, or ours without what is measured; None if there is none.
        ours: Our figure; None if it was not measured.
        ratio: How many times better ours is, over the rounds.
        share: Part of the matrix-product peak that ours reaches, over the rounds.
        note: Said where there are no figures.
        targets: What was asked for.
    """

    key: str
    group: str
    what: str
    unit: str
    reference: float | None = None
    ours: float | None = None
    ratio: Spread | None = None
    share: Spread | None = None
    note: str = ""
    targets: tuple[Target, ...] = ()


def table_rows(record: Mapping[str, Any]) -> list[Row]:
    """All rows of a record (see :mod:`experiments.benchmarks.record`), with their targets."""
    cases, machine = record["cases"], record["machine"]
    rows = [
        *_products(cases),
        *_training(cases, machine["device"]),
        *_input(cases),
        *_scoring(cases),
        *_start_up(cases),
        *_demo(cases),
        *_memory(cases),
        _scaling(cases, machine),
    ]
    return [replace(row, targets=targets_of(row, rows, machine)) for row in rows]


def _products(cases: Mapping[str, Any]) -> list[Row]:
    case = cases.get("matrix_product")
    if case is None:
        return []
    return [
        Row(
            "matrix_product",
            "Machine",
            f"matrix product, {name.removeprefix(PREFIX)}",
            "TFLOP/s",
            ours=case["facts"]["product_flop"] / 1e12 / spread(samples).median,
        )
        for name, samples in case["samples"].items()
    ]


def _training(cases: Mapping[str, Any], device: str) -> list[Row]:
    found = [case for case in cases.values() if case["kind"] == "training"]
    found.sort(key=lambda case: (case["settings"]["size_px"], case["settings"]["batch_size"]))
    rows: dict[str, Row] = {}
    for case in found:
        for way in case["settings"]["ways"]:
            if way == "textbook":
                continue
            row = _step(case, way, device)
            rows.setdefault(row.what, row)  # a case with compilation repeats one without
    return list(rows.values())


def _step(case: Mapping[str, Any], way: str, device: str) -> Row:
    samples, facts, settings = case["samples"], case["facts"], case["settings"]
    precision, pairs = facts["precision"][way], settings["batch_size"]
    share = None
    # In float32 a GPU may compute convolutions and products in different ways (TF32).
    if device == "cpu" or precision == "bf16":
        scale = facts["pair_flop"] * pairs / facts["product_flop"]
        parts = ratios(samples[PREFIX + precision], samples[way])
        share = spread([scale * part for part in parts])
    title = _WAY_TITLES[way].format(precision=precision)
    return Row(
        "training",
        "Training step",
        f"{settings['size_px']} px, batch {pairs}, {title}",
        "pairs/s",
        reference=pairs / spread(samples["textbook"]).median,
        ours=pairs / spread(samples[way]).median,
        ratio=spread(ratios(samples["textbook"], samples[way])),
        share=share,
    )


def _input(cases: Mapping[str, Any]) -> list[Row]:
    case = cases.get("input")
    if case is None:
        return []
    settings = case["settings"]
    sizes = f"{settings['size_px']} px from {settings['file_px']} px PNG"
    names = {"batches": f"batches, {sizes}", "first_epoch": "first epoch, decoding on all cores"}
    return [
        _rates(name, "Input side", what, "images/s", case["samples"], "textbook", name)
        for name, what in names.items()
    ]


def _scoring(cases: Mapping[str, Any]) -> list[Row]:
    rows = []
    for score, name, what in (
        ("sse", "batched", "sse"),
        ("sse", "batched_bf16", "sse in bf16"),
        ("fid", "batched", "fid, first time"),
        ("fid", "cached", "fid, features of the images known"),
        ("fid", "batched_bf16", "fid in bf16, first time"),
        ("fid", "cached_bf16", "fid in bf16, features of the images known"),
    ):
        case = cases.get(f"scoring_{score}")
        if case is None or name not in case["samples"]:
            continue
        key, title = f"scoring_{score}_{name}", f"{case['settings']['size_px']} px, {what}"
        if score == "fid" and case["facts"]["weights"] == "random":
            title += " (random weights)"
        rows.append(_rates(key, "Scoring", title, "images/s", case["samples"], "textbook", name))
    return rows


def _rates(
    key: str,
    group: str,
    what: str,
    unit: str,
    samples: Mapping[str, Sequence[float]],
    reference: str,
    ours: str,
) -> Row:
    return Row(
        key,
        group,
        what,
        unit,
        reference=1 / spread(samples[reference]).median,
        ours=1 / spread(samples[ours]).median,
        ratio=spread(ratios(samples[reference], samples[ours])),
    )


def _start_up(cases: Mapping[str, Any]) -> list[Row]:
    case = cases.get("start_up")
    if case is None:
        return []
    names = {
        "help": "--help",
        "mistake": "a configuration error",
        "import_torch": "import of torch, for comparison",
        "first_step": "a job, to its first step",
    }
    return [
        Row(name, "Start-up", what, "s", ours=spread(case["samples"][name]).median)
        for name, what in names.items()
    ]


def _demo(cases: Mapping[str, Any]) -> list[Row]:
    case = cases.get("demo")
    if case is None:
        return []
    samples, facts = case["samples"], case["facts"]
    epochs = f"{facts['epochs']} epoch{'s' * (facts['epochs'] > 1)}"
    whole = f"whole command, {epochs} only" if case["settings"]["words"] else "whole command"
    evaluated = spread(samples["evaluate"]).median
    what = f"evaluation of {facts['images']} images, whole command"
    return [
        Row("demo", "Demo", whole, "s", ours=spread(samples["demo"]).median),
        Row("evaluate", "Demo", what, "s", ours=evaluated),
    ]


def _memory(cases: Mapping[str, Any]) -> list[Row]:
    costs = []
    for suffix in ("", "_checkpointing"):
        both = [cases.get(f"memory_256px_batch{size}{suffix}") for size in MEMORY_BATCHES]
        if None in both:
            return []
        few, many = (case["facts"]["peak_mib"] for case in both if case is not None)
        costs.append((many - few) / (MEMORY_BATCHES[1] - MEMORY_BATCHES[0]))
    ratio = costs[0] / costs[1]
    what = "a pair at 256 px, with activation checkpointing"
    return [
        Row(
            "memory",
            "Peak memory",
            what,
            "MiB",
            reference=costs[0],
            ours=costs[1],
            ratio=Spread(ratio, ratio, ratio),
        )
    ]


def _scaling(cases: Mapping[str, Any], machine: Mapping[str, Any]) -> Row:
    case = cases.get("scaling")
    row = Row("scaling", "Several devices", "training with trainer=ddp", "pairs/s")
    if case is None:
        one = len(machine["gpus"]) <= 1
        return replace(row, note="one device" if one else "not measured")
    speeds = case["facts"]["pairs_a_second"]
    count = max(speeds, key=int)
    ratio = speeds[count] / speeds["1"]
    return replace(
        row,
        what=f"{count} devices, trainer=ddp",
        reference=speeds["1"],
        ours=speeds[count],
        ratio=Spread(ratio, ratio, ratio),
    )
