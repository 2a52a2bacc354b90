"""What the processes of a benchmark would answer, made up: no test waits for a measurement."""

from typing import Any

from experiments.benchmarks.machine import product_flop
from experiments.benchmarks.plan import Case

# FLOP a second, and the share of it that a way of making a step reaches.
RATES = {"cpu": {"float32": 190e9, "bf16": 420e9}, "cuda": {"float32": 50e12, "bf16": 700e12}}
SHARES = {"reference": 0.82, "float32": 0.9, "bf16": 0.8, "compiled": 0.85}

GPU = "NVIDIA H100 80GB HBM3"
MACHINES: dict[str, dict[str, Any]] = {
    "cpu": {"name": "Some CPU, 2 cores", "slug": "some-cpu-2-cores", "device": "cpu", "gpus": []},
    "cuda": {"name": GPU, "slug": "nvidia-h100-80gb-hbm3", "device": "cuda", "gpus": [GPU] * 2},
}


def describe(device: str) -> dict[str, Any]:
    """A machine with one CPU, or with two GPUs."""
    return MACHINES[device] | {"load": [0.1, 0.2, 0.3]}


def answer(case: Case, device: str, limit_s: float = 0.0) -> dict[str, Any]:
    settings, flop = case.settings, product_flop(device)
    facts: dict[str, Any] = {}
    seconds: dict[str, float] = {}

    def multiply(precisions: list[str]) -> None:
        facts["product_flop"] = flop
        for precision in precisions:
            seconds[f"product_{precision}"] = flop / RATES[device][precision]

    match case.kind:
        case "matrix_product":
            multiply(settings["precisions"])
        case "training":
            precisions = {
                way: "bf16" if way in ("bf16", "compiled") else "float32"
                for way in settings["ways"]
            }
            facts = {"pair_flop": 20e6 * settings["size_px"] ** 2, "precision": precisions}
            multiply(sorted(set(precisions.values())))
            for way, precision in precisions.items():
                arithmetic = settings["batch_size"] * facts["pair_flop"]
                seconds[way] = arithmetic / (SHARES[way] * RATES[device][precision])
        case "input":
            seconds = {"reference": 0.03, "batches": 0.0005, "first_epoch": 0.016}
        case "scoring":
            seconds = {"reference": 0.26, "batched": 0.13, "cached": 0.05}
            facts = {"weights": "random"}
        case "detector":
            seconds = {"reference": 0.013, "predict": 0.0135, "onnx": 0.012}
            seconds |= {"import": 0.03, "load": 1.6, "load_onnx": 0.4}
        case "start_up":
            seconds = {"help": 0.6, "mistake": 1.2, "import_torch": 1.7, "first_step": 7.0}
        case "demo":
            seconds, facts = {"demo": 71.0, "evaluate": 6.0}, {"epochs": 12, "images": 60}
        case "memory":
            each = 600.0 if settings["checkpointing"] else 1500.0
            facts = {"peak_mib": 900.0 + each * settings["batch_size"]}
        case "scaling":
            facts = {"pairs_a_second": {"1": 100.0, str(settings["devices"]): 190.0}}
    samples = {name: [second * w for w in (1.0, 1.02, 0.97)] for name, second in seconds.items()}
    return {"samples": samples, "facts": facts}
