"""What a benchmark's workers would answer, made up: no test waits for a real measurement."""

from typing import Any

from experiments.benchmarks.matrix_product import product_flop
from experiments.benchmarks.work import pair_flop

# FLOP a second.
RATES = {"cpu": {"float32": 190e9, "bf16": 420e9}, "cuda": {"float32": 50e12, "bf16": 700e12}}
# Part of it that a way to make a step reaches.
SHARES = {"textbook": 0.82, "float32": 0.9, "bf16": 0.8, "compiled": 0.85}
WOBBLE = (1.0, 1.02, 0.97)

MACHINES: dict[str, dict[str, Any]] = {
    "cpu": {"name": "Some CPU, 2 cores", "slug": "some-cpu-2-cores", "device": "cpu", "gpus": []},
    "cuda": {
        "name": "NVIDIA H100 80GB HBM3",
        "slug": "nvidia-h100-80gb-hbm3",
        "device": "cuda",
        "gpus": ["NVIDIA H100 80GB HBM3"],
    },
}
VERSIONS = {
    "date": "2026-11-24",
    "commit": "0123456789abcdef",
    "changed": False,
    "packages": {"torch": "2.13.0"},
}


def answer(request: dict[str, Any], limit_s: float = 0.0, *, gpus: int = 0) -> dict[str, Any]:
    """Answer of a worker; ``request`` as the runner makes it."""
    if request["kind"] == "machine":
        machine = MACHINES["cuda" if gpus else "cpu"]
        machine = machine | {"gpus": machine["gpus"] * gpus, "cores": 2, "load": [0.1, 0.2, 0.3]}
        return {"machine": machine, "versions": VERSIONS, "bf16": True, "devices": max(1, gpus)}
    settings, rates = request["settings"], RATES[request["device"]]
    match request["kind"]:
        case "matrix_product":
            seconds = _products(settings["precisions"], request["device"])
            facts: dict[str, Any] = {"product_flop": product_flop(request["device"])}
        case "training":
            ways, size_px = settings["ways"], settings["size_px"]
            precisions = {way: "bf16" if way in ("bf16", "compiled") else "float32" for way in ways}
            flop = pair_flop(size_px, blocks=9 if size_px >= 256 else 6)
            facts = {
                "pair_flop": flop,
                "product_flop": product_flop(request["device"]),
                "precision": precisions,
            }
            seconds = {
                way: settings["batch_size"] * flop / (SHARES[way] * rates[precision])
                for way, precision in precisions.items()
            }
            seconds |= _products(sorted(set(precisions.values())), request["device"])
        case "input":
            seconds = {"textbook": 0.03, "batches": 0.0005, "first_epoch": 0.016}
            facts = {"file_kib": 1770.0, "decoding": {"6": 0.1, "12": 0.2, "24": 0.39}}
        case "scoring" if settings["score"] == "sse":
            seconds = {"textbook": 0.03, "batched": 0.015}
            facts = {"weights": "pytorch-fid", "growth": {"8": 0.1, "32": 0.4, "128": 1.6}}
        case "scoring":
            seconds = {"textbook": 0.26, "batched": 0.09, "cached": 0.05}
            facts = {"weights": "random", "growth": {"8": 0.7, "32": 2.9, "128": 11.5}}
        case "start_up":
            seconds = {
                "help": 0.6, "mistake": 1.2, "python": 0.02, "import_torch": 1.7, "first_step": 7.0
            }  # fmt: skip
            facts = {}
        case "demo":
            seconds, facts = {"demo": 71.0, "evaluate": 6.0}, {"epochs": 12, "images": 60}
        case "memory":
            each = 600.0 if settings["checkpointing"] else 1500.0
            seconds, facts = {}, {"peak_mib": 900.0 + each * settings["batch_size"]}
        case "scaling":
            seconds, facts = {}, {"pairs_a_second": {"1": 100.0, str(settings["devices"]): 190.0}}
    samples = {name: [second * w for w in WOBBLE] for name, second in seconds.items()}
    return {"samples": samples, "facts": facts}


def _products(precisions: list[str], device: str) -> dict[str, float]:
    flop = product_flop(device)
    return {f"product_{name}": flop / RATES[device][name] for name in precisions}
