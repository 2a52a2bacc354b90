"""Scores of an exported detector; ONNX Runtime and OpenVINO need no torch."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Lock, local
from typing import Any, TypeAlias
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.data.parallel import map_in_order
from cyclegan_ad.detector.decision import Decision
from cyclegan_ad.detector.description import FORMAT as DESCRIPTION_FORMAT
from cyclegan_ad.detector.detect import Pixels, Scored
from cyclegan_ad.detector.prediction import Prediction
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import file_sha256
from cyclegan_ad.optional_packages import EXPORT_SUFFIXES, ensure_runtime
from cyclegan_ad.text import shown

EXPORTED = {suffix: name for name, suffix in EXPORT_SUFFIXES.items()}
"""Suffix of an exported file -> its format."""
FACTS = "cyclegan_ad"
"""Name under which the facts about the detector travel with a graph, as JSON."""
WEIGHTS_SHA256 = "weights_sha256"
"""Name of the fact that holds the hash of the ``.bin`` beside an ``.xml``."""
FORMAT = 3

Outputs: TypeAlias = dict[str, NDArray[Any]]
Run: TypeAlias = Callable[[Pixels], Outputs]

# Pixels of a batch: with more, caches hold less of it, and cores idle at the end.
_BATCH_PIXELS = 2 * 64 * 64
_WARM_UP = Lock()


class ExportedBackend:
    """An exported file with its runtime.

    Args:
        path: File of ``python -m cyclegan_ad.export``: ``.onnx``, ``.xml`` (with the ``.bin``
            beside it) or ``.pt2``.

    Attributes:
        form: Format of the file.
        run: Computes all outputs of the graph by their names, see
            :class:`cyclegan_ad.exporting.decision_graph.DecisionGraph`.
        description: Content of the detector's ``detector.json``, with the exported score alone.
        decision: Score and threshold of the graph.

    Raises:
        UserError: If a package is missing, or the file is damaged or of another format, or the
            ``.bin`` is not that of the ``.xml``.
    """

    def __init__(self, path: Path) -> None:
        self.form = EXPORTED[path.suffix]
        ensure_runtime(self.form, path)
        try:
            self.run, facts = _LOADERS[self.form](path)
        except UserError:
            raise
        except Exception as error:  # each runtime has errors of its own
            raise UserError(
                f"{path} is damaged or not a file of `python -m cyclegan_ad.export` "
                f"({type(error).__name__}); export the detector again"
            ) from error
        self.description: dict[str, Any] = facts["description"]
        self.decision = Decision(**facts["decision"])

    def score(self, pixels: Pixels, column: str) -> Scored:
        """Compute the score of images, (N, H, W, C) uint8 of any height and width."""
        assert column == self.decision.column
        found = self.run(pixels)
        return Scored(found["score"], found["anomaly_map"], found.get("reconstruction"))

    def map(
        self, function: Callable[[list[Any]], list[Prediction]], items: Sequence[Any]
    ) -> Iterator[list[Prediction]]:
        """Call a function for batches of items, in order: a thread for each core."""
        size = max(1, _BATCH_PIXELS // self.description["preprocessing"]["size_px"] ** 2)
        batches = [list(items[start : start + size]) for start in range(0, len(items), size)]
        if self.form == "torch_export":
            from cyclegan_ad.scoring.map_batches import map_on_cpu  # each with a thread of torch

            yield from map_on_cpu(function, batches)
        else:
            yield from map_in_order(function, batches, name="images")


def _read_facts(path: Path, text: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(text)
    _check_format(path, "format", facts["format"], FORMAT)
    described = facts["description"]["format"]
    _check_format(path, "a description of format", described, DESCRIPTION_FORMAT)
    return facts


def _check_format(path: Path, name: str, found: object, expected: int) -> None:
    if found == expected:
        return
    remedy = "export the detector again"
    if isinstance(found, int) and found > expected:
        remedy = "install the version of cyclegan_ad that wrote it, or " + remedy
    raise UserError(f"{path} has {name} {shown(found)}, expected {expected}; {remedy}")


def _load_onnx(path: Path) -> tuple[Run, dict[str, Any]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # batches run side by side, a thread for each core
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(pixels: Pixels) -> Outputs:
        return dict(zip(names, session.run(names, {"images": pixels}), strict=True))

    return run, _read_facts(path, session.get_modelmeta().custom_metadata_map[FACTS])


def _load_openvino(path: Path) -> tuple[Run, dict[str, Any]]:
    import openvino

    from cyclegan_ad.hardware import cpu_count

    [written] = ElementTree.parse(path).findall(f"rt_info/{FACTS}")
    facts = _read_facts(path, written.attrib["value"])
    _check_weights(path, facts[WEIGHTS_SHA256])
    core = openvino.Core()
    model = core.read_model(path)
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16, where the processor has it
        "PERFORMANCE_HINT": "THROUGHPUT",
        "NUM_STREAMS": cpu_count(),
        "INFERENCE_NUM_THREADS": cpu_count(),
    }
    compiled = core.compile_model(model, "CPU", settings)
    names = [output.any_name for output in compiled.outputs]
    own = local()  # a request serves one thread

    def run(pixels: Pixels) -> Outputs:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        found = own.request.infer([pixels], share_inputs=True)
        return {name: found[number] for number, name in enumerate(names)}

    # If the first inference of a process runs in two threads at once, they may wait for each other
    # forever: one has the GIL, the other initialises static data of OpenVINO.
    preprocessing = facts["description"]["preprocessing"]
    size_px, channels = preprocessing["size_px"], preprocessing["channels"]
    with _WARM_UP:
        run(np.zeros((1, size_px, size_px, channels), np.uint8))
    return run, facts


def _check_weights(path: Path, sha256: str) -> None:
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise UserError(
            f"{weights} is missing, which holds the weights of {path.name}; keep both files "
            "together, or export the detector again"
        )
    if file_sha256(weights) != sha256:
        raise UserError(
            f"{weights} is damaged or does not belong to {path.name}; use both files of one "
            "export, or export the detector again"
        )


def _load_torch_export(path: Path) -> tuple[Run, dict[str, Any]]:
    import torch

    from cyclegan_ad.device import prepare_process

    prepare_process()
    if not zipfile.is_zipfile(path):  # of which torch logs a traceback before it raises
        raise ValueError("not a zip archive")
    extra = {FACTS: ""}
    module = torch.export.load(path, extra_files=extra).module()

    @torch.inference_mode()
    def run(pixels: Pixels) -> Outputs:
        found = module(torch.from_numpy(np.ascontiguousarray(pixels)))
        return {name: value.numpy() for name, value in found.items()}

    return run, _read_facts(path, extra[FACTS])


_LOADERS: dict[str, Callable[[Path], tuple[Run, dict[str, Any]]]] = {
    "onnx": _load_onnx,
    "openvino": _load_openvino,
    "torch_export": _load_torch_export,
}
