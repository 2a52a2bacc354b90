"""Write a graph with its detector's description into one file of a format."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from cyclegan_ad.detector.exported import FACTS, WEIGHTS_SHA256
from cyclegan_ad.errors import UserError
from cyclegan_ad.exporting.decision_graph import OUTPUTS, DecisionGraph
from cyclegan_ad.files import file_sha256, replacing

_OPSET = 20
_LARGEST_ONNX = 2**31 - 1  # bytes, of protobuf


def trace(graph: DecisionGraph, channels: int) -> ExportedProgram:
    """Trace the graph, with any number, height and width of images.

    Args:
        graph: The graph.
        channels: Channels of the images, 1 or 3.
    """
    size_px = graph.resize.size_px
    example = torch.zeros(2, size_px + 3, size_px + 7, channels, dtype=torch.uint8)
    sizes = ({0: Dim("N", min=1), 1: Dim("H"), 2: Dim("W")},)
    with torch.no_grad():
        program = torch.export.export(graph.eval(), (example,), dynamic_shapes=sizes)
    for node in program.graph.nodes:  # for debugging; they name source files of this machine
        for name in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn"):
            node.meta.pop(name, None)
    return program


def write_file(program: ExportedProgram, path: Path, form: str, facts: Mapping[str, Any]) -> None:
    """Write a graph; of the same graph, the same bytes.

    Args:
        program: Result of :func:`trace`.
        path: The file; OpenVINO's has the weights beside it, in a file with the suffix ``.bin``,
            and their hash among the facts.
        form: ``onnx``, ``openvino`` or ``torch_export``.
        facts: What travels with the graph, see
            :class:`cyclegan_ad.detector.exported.ExportedBackend`.

    Raises:
        UserError: If the graph is too large for the format.
    """
    text = json.dumps(facts, sort_keys=True)
    if form == "torch_export":
        with replacing(path) as temporary, temporary.open("wb") as file:
            torch.export.save(program, file, extra_files={FACTS: text})
        return
    if form == "onnx":
        content = _onnx_bytes(program, text)
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        return
    import openvino

    model = openvino.Core().read_model(_onnx_bytes(program, text))
    for number, operation in enumerate(model.get_ordered_ops()):
        # The names that OpenVINO gives count all operations of the process.
        operation.set_friendly_name(f"{operation.get_type_name()}_{number}")
    with TemporaryDirectory() as folder:
        written = Path(folder) / "graph.xml"
        openvino.save_model(model, written, compress_to_fp16=False)  # for the hash of the weights
        hashed = {WEIGHTS_SHA256: file_sha256(written.with_suffix(".bin"))}
        model.set_rt_info(json.dumps({**facts, **hashed}, sort_keys=True), [FACTS])
        openvino.save_model(model, written, compress_to_fp16=False)
        for suffix in (".bin", ".xml"):
            with replacing(path.with_suffix(suffix)) as temporary:
                temporary.write_bytes(written.with_suffix(suffix).read_bytes())


def _onnx_bytes(program: ExportedProgram, facts: str) -> bytes:
    size = sum(tensor.nbytes for tensor in program.state_dict.values())
    if size > _LARGEST_ONNX:
        raise UserError(
            f"invalid format=onnx: the weights take {size / 2**30:.1f} GB, and a file of this "
            "format (from which OpenVINO's is made) holds 2 GB; use format=torch_export"
        )
    for library in ("onnx_ir", "onnxscript"):  # a line for each node that they simplify
        logging.getLogger(library).setLevel(logging.WARNING)
    names = OUTPUTS[: len(program.graph_signature.user_outputs)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch about its own code
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=_OPSET,
            input_names=["images"],
            output_names=list(names),
            verbose=False,
        )
    assert exported is not None
    model = exported.model_proto
    graph = model.graph
    # For debugging; they name addresses in memory.
    for entry in (*graph.node, *graph.input, *graph.output, *graph.initializer, graph, model):
        del entry.metadata_props[:]
        entry.doc_string = ""
    del graph.value_info[:]
    [images] = graph.input
    names_of = dict(
        zip((d.dim_param for d in images.type.tensor_type.shape.dim), "NHW", strict=False)
    )
    for value in (images, *graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.HasField("dim_param"):
                dimension.dim_param = names_of.get(dimension.dim_param, "N")
    model.metadata_props.add(key=FACTS, value=facts)
    return bytes(model.SerializeToString(deterministic=True))
