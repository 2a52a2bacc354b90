"""Decisions of a saved detector: from files, compared with its network alone; loading times."""

import subprocess
import sys
import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from cyclegan_ad.data.demo.dataset import draw_demo
from cyclegan_ad.data.images import decode_image
from cyclegan_ad.detector.description import describe_scores
from cyclegan_ad.detector.detect import Detector
from cyclegan_ad.detector.find_images import find_images
from cyclegan_ad.detector.load import load_detector
from cyclegan_ad.detector.saved import save_detector
from cyclegan_ad.runs.results import Results
from cyclegan_ad.scoring.names import ScoreColumn
from experiments.benchmarks.row import Row, Target, compare, spread
from experiments.benchmarks.timing import Call, Samples, Timer
from experiments.benchmarks.training import build_cyclegan, compose_job

_LOAD = "from cyclegan_ad import load_detector; load_detector('{}')"
# Code, name in the table, and the target in seconds.
_LOADING = (
    ("import", "import cyclegan_ad", "import cyclegan_ad", 0.1),
    ("load", _LOAD.format("{folder}/detector"), "load_detector, with the import of torch", 2.0),
    ("load_onnx", _LOAD.format("{folder}/detector.onnx"), "load_detector of an ONNX file", 0.7),
)


def measure_detector(
    timer: Timer, *, images: int, file_px: int, size_px: int
) -> tuple[Samples, dict[str, Any]]:
    """Time decisions about image files by an untrained CycleGAN of the paper's width.

    Returns:
        Seconds an image: ``reference`` (score of decoded images), ``predict`` (from the files) and,
        with the extra ``export``, ``onnx`` (likewise, by ONNX Runtime); and seconds of ``import``,
        ``load`` and ``load_onnx``, each in a process of its own.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = find_images(draw_demo(folder / "images", size_px=file_px))[:images]
        write_untrained_detector(folder / "detector", size_px, timer)
        accelerator = "cpu" if timer.device.type == "cpu" else "gpu"
        detector = load_detector(folder / "detector", device=accelerator)
        decoded = [decode_image(file.read_bytes(), size_px, 3) for file in files]
        ways: dict[str, Call] = {
            "reference": partial(_score_decoded, detector, decoded),
            "predict": lambda: [*detector.stream(files, maps=False)],
        }
        if exports := find_spec("onnxscript") is not None:
            from cyclegan_ad.exporting.export_detector import export_detector

            path = folder / "detector.onnx"
            export_detector(load_detector(folder / "detector", device="cpu"), "onnx", path, files)
            exported = load_detector(path)
            ways["onnx"] = lambda: [*exported.stream(files, maps=False)]
        samples = timer.alternate(ways)
        each = {key: [s / len(files) for s in values] for key, values in samples.items()}
        for key, code, _, _ in _LOADING:
            if exports or key != "load_onnx":
                each[key] = [_seconds_within(code.format(folder=folder)) for _ in range(3)]
    return each, {}


def write_untrained_detector(folder: Path, size_px: int, timer: Timer) -> None:
    """Write a detector of the paper's network, with random weights and the score ``sse``."""
    settings = compose_job(["dataset=folder", f"resolution={size_px}", "score=sse"])
    network, tensors = build_cyclegan(settings, timer.device).eval().inference_state()
    metrics: dict[str, Any] = {
        "protocol": "paper",
        "protocol_settings": {"confidence": 0.95},
        "scores": {"sse": {"zfn_threshold": 1.0, "max_accuracy_threshold": 1.0}},
        "columns": {"sse": ScoreColumn("sse").as_dict()},
        "protocols": {},
        "test_normal": 1,
        "test_abnormal": 1,
        "independent": {"normal": 1, "abnormal": 1},
    }
    rows = [{"path": str(label), "label": label, "sse": float(label)} for label in (0, 1)]
    save_detector(
        folder,
        method="cyclegan",
        network=network,
        tensors=tensors,
        preprocessing={"channels": 3, "window": None, "size_px": size_px},
        extractors={},
        trained_on={"dataset": "random weights"},
        trained_files=[],
        map_scale=(0.0, 1.0),
        scores=describe_scores(Results(metrics, rows, ())),
        reference={"brightness": [0.5], "sharpness": [1.0], "scores": {"sse": [0.0]}},
    )


def _score_decoded(detector: Detector, images: list[np.ndarray]) -> None:
    """Score images in memory, on all cores, as :meth:`Detector.stream` does."""

    def score(batch: list[np.ndarray]) -> list[Any]:
        return [*detector.backend.score(np.stack(batch), detector.decision.column).scores]

    for _ in detector.backend.map(score, images):
        pass


def _seconds_within(code: str) -> float:
    """Return the seconds that code takes in a process of its own, without the start of Python."""
    timed = f"import time; start = time.perf_counter(); {code}; print(time.perf_counter() - start)"
    done = subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True)
    return float(done.stdout)


def rows(cases: dict[str, Any], machine: dict[str, Any]) -> list[Row]:
    """Return the rows of the detector."""
    case = cases.get("detector")
    if case is None:
        return []
    what = "decisions about files of {file_px} px at {size_px} px".format(**case["settings"])
    found = [
        compare("Detector", what, "images/s", case["samples"], "predict", Target("ratio", 0.9))
    ]
    if "onnx" in case["samples"]:
        found.append(compare("Detector", f"{what}, ONNX", "images/s", case["samples"], "onnx"))
    for key, _, title, at_most_s in _LOADING:
        if key not in case["samples"]:
            continue
        target = Target("ours", at_most_s, at_least=False)
        seconds = spread(case["samples"][key]).median
        found.append(Row("Detector", title, "s", ours=seconds, targets=(target,)))
    return found
