"""Files that are not exported detectors."""

import json
from pathlib import Path

import pytest
from errors import refuses

from cyclegan_ad import optional_packages
from cyclegan_ad.detector.exported import EXPORTED, FORMAT, ExportedBackend
from cyclegan_ad.detector.load import load_detector


@pytest.mark.parametrize("suffix", EXPORTED)
@pytest.mark.parametrize("content", [b"", b"\x08\n not a graph", b"<net></net>"])
def test_damaged_files(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"detector{suffix}"
    path.write_bytes(content)
    with refuses(file=path, remedy="export the detector again"):
        load_detector(path)


@pytest.mark.parametrize(("suffix", "package"), [(".onnx", "onnxruntime"), (".xml", "openvino")])
def test_missing_runtime(
    tmp_path: Path, suffix: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"detector{suffix}"
    path.touch()
    monkeypatch.setattr(optional_packages, "find_spec", lambda name: name != package or None)
    with refuses(file=path, facts=package, remedy=f"pip install {package}"):
        load_detector(path)


def write_graph(path: Path, facts: object = None) -> None:
    onnx = pytest.importorskip("onnx")
    x, y = (onnx.helper.make_tensor_value_info(name, 1, [1]) for name in "xy")
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "one", [x], [y])
    opset = [onnx.helper.make_opsetid("", 20)]
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=opset)
    if facts is not None:
        model.metadata_props.add(key="cyclegan_ad", value=json.dumps(facts))
    onnx.save(model, path)


def test_a_graph_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    write_graph(path)
    with refuses(file=path, facts="KeyError", remedy="cyclegan_ad.export"):
        load_detector(path)


def test_a_file_of_a_newer_version(tmp_path: Path) -> None:
    path = tmp_path / "newer.onnx"
    write_graph(path, {"format": 99})
    with refuses(file=path, facts="format 99", remedy="install the version"):
        load_detector(path)


@pytest.mark.parametrize(
    ("form", "described", "old"), [(2, 6, "format 2"), (FORMAT, 5, "description of format 5")]
)
def test_a_file_of_an_older_version(tmp_path: Path, form: int, described: int, old: str) -> None:
    path = tmp_path / "older.onnx"
    decision = {"column": "sse", "threshold": 1.0, "name": "paper", "facts": {}}
    write_graph(path, {"format": form, "description": {"format": described}, "decision": decision})
    with refuses(file=path, facts=old, remedy="export the detector again"):
        ExportedBackend(path)
