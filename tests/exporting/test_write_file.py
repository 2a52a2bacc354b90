"""An OpenVINO export: two files that belong together, and its first inference."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from errors import refuses
from torch import Tensor, nn

from cyclegan_ad.detector import description
from cyclegan_ad.detector.exported import FORMAT, ExportedBackend
from cyclegan_ad.exporting.write_file import trace, write_file

SIZE_PX = 64  # two images a batch

openvino = pytest.importorskip("openvino")
pytest.importorskip("onnxscript")


class WeightedMean(nn.Module):
    """In place of a detector: the mean of an image, weighted."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.resize = SimpleNamespace(size_px=SIZE_PX)
        self.weights = nn.Parameter(weight * torch.arange(1, 1001))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        means = images.float().mean((1, 2, 3))
        score = (means[:, None] * self.weights).mean(1).double()
        abnormal = score >= 1
        return {"score": score, "abnormal": abnormal, "zone": 2 * abnormal.int()}


def write(path: Path, weight: float) -> Path:
    facts = {
        "format": FORMAT,
        "description": {
            "format": description.FORMAT,
            "preprocessing": {"size_px": SIZE_PX, "channels": 1, "window": None},
        },
        "decision": {"column": "sse", "threshold": 1.0, "name": "paper", "facts": {}},
    }
    write_file(trace(WeightedMean(weight), 1), path, "openvino", facts)  # type: ignore[arg-type]
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write(folder / "one.xml", 1.0)
    write(folder / "other.xml", 1e-6)
    return folder


@pytest.fixture
def path(written: Path, tmp_path: Path) -> Path:
    """An export to change, in a folder of its own."""
    for suffix in (".bin", ".xml"):
        shutil.copy(written / f"one{suffix}", tmp_path)
    return tmp_path / "one.xml"


def test_both_files(path: Path) -> None:
    images = np.full((3, 5, 7, 1), 2, np.uint8)
    found = ExportedBackend(path).run(images)
    np.testing.assert_allclose(found["score"], [1001] * 3, rtol=1e-6)
    assert found["zone"].tolist() == [2, 2, 2]


def test_equal_exports_are_equal_files(path: Path, tmp_path: Path) -> None:
    again = write(tmp_path / "again.xml", 1.0)
    for suffix in (".bin", ".xml"):
        written = again.with_suffix(suffix).read_bytes()
        assert written == path.with_suffix(suffix).read_bytes()


@pytest.mark.parametrize("change", ["other", "flipped", "truncated", "empty", "missing"])
def test_weights_that_are_not_those_of_the_graph(written: Path, path: Path, change: str) -> None:
    weights = path.with_suffix(".bin")
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 0x80
    if change == "other":
        shutil.copy(written / "other.bin", weights)
    elif change == "flipped":
        weights.write_bytes(content)
    elif change == "truncated":
        weights.write_bytes(content[:-1])
    elif change == "empty":
        weights.write_bytes(b"")
    else:
        weights.unlink()
    cause = "missing" if change == "missing" else "does not belong"
    with refuses(file=weights, facts=[path.name, cause], remedy="export the detector again"):
        ExportedBackend(path)


class Inferences:
    """Threads, arguments and overlaps of the calls of ``InferRequest.infer``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, wait_s: float = 0.0) -> None:
        self.calls: list[tuple[threading.Thread, tuple[int, ...], np.dtype, dict[str, Any]]] = []
        self.running, self.most = 0, 0
        infer, lock = openvino.InferRequest.infer, threading.Lock()

        def recorded(request: Any, inputs: Any, **options: Any) -> Any:
            [images] = inputs
            with lock:
                self.running += 1
                self.most = max(self.most, self.running)
                self.calls.append((threading.current_thread(), images.shape, images.dtype, options))
            time.sleep(wait_s)
            try:
                return infer(request, inputs, **options)
            finally:
                with lock:
                    self.running -= 1

        monkeypatch.setattr(openvino.InferRequest, "infer", recorded)


def test_an_inference_before_the_workers_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the first ones of two workers may wait for each other forever."""
    inferences = Inferences(monkeypatch)
    backend = ExportedBackend(path)
    [(thread, shape, dtype, options)] = inferences.calls
    assert thread is threading.current_thread()
    assert shape == (1, SIZE_PX, SIZE_PX, 1)

    def scores(batch: list[Any]) -> Any:
        return backend.run(np.stack(batch))["score"].tolist()

    images = list(np.full((7, SIZE_PX, SIZE_PX, 1), 2, np.uint8))
    assert sum(map(len, backend.map(scores, images))) == 7
    workers = inferences.calls[1:]
    assert len(workers) == 4
    for worker, _, its_dtype, its_options in workers:
        assert worker is not thread
        assert (its_dtype, its_options) == (dtype, options)


def test_first_inferences_of_detectors_loaded_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inferences = Inferences(monkeypatch, wait_s=0.5)
    threads = [threading.Thread(target=ExportedBackend, args=(path,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(inferences.calls), inferences.most) == (2, 1)
