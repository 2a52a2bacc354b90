"""Exported files decide as their detector does; the certificate says so, or there is no file."""

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from errors import refuses
from PIL import Image
from tiny import compose_settings, settings

from cyclegan_ad.detector.description import read_description
from cyclegan_ad.detector.detect import Detector
from cyclegan_ad.detector.exported import EXPORTED, ExportedBackend
from cyclegan_ad.detector.history import add_calibration
from cyclegan_ad.detector.load import load_detector
from cyclegan_ad.export import export
from cyclegan_ad.exporting import compare as comparing
from cyclegan_ad.exporting import export_detector as exporting
from cyclegan_ad.exporting.compare import compare
from cyclegan_ad.exporting.find_test_images import find_test_images
from cyclegan_ad.files import write_json
from cyclegan_ad.metrics.recalibration import ZONES
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.commands import ExportSettings
from cyclegan_ad.settings.types import read_settings

Finished = tuple[Path, RunDirectory, dict[str, Any]]


def export_settings(*words: str) -> ExportSettings:
    return read_settings(ExportSettings, compose_settings("export", words))


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@dataclass
class Exported:
    path: Path
    certificate: dict[str, Any]
    unchanged: bool
    run: RunDirectory
    root: Path


@pytest.fixture(scope="module", autouse=True)
def short_measurements() -> Iterator[None]:
    """The speeds of the certificate are not what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "_SECONDS_PER_ROUND", 0.02)
        yield


@pytest.fixture(scope="module")
def onnx(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    root, run, _ = finished
    path = tmp_path_factory.mktemp("exported") / "a detector, with = (ümlaut).onnx"
    before = hashes(run.path)
    given = export_settings(f"detector={run.path}", "out=detector.onnx")
    certificate = export(given.model_copy(update={"out": path}))
    return Exported(path, certificate, before == hashes(run.path), run, root)


@pytest.mark.slow
def test_onnx_decides_as_the_detector_does(onnx: Exported) -> None:
    detector, exported = load_detector(onnx.run.path, device="cpu"), load_detector(onnx.path)
    assert exported.decision == detector.decision and exported.identity == detector.identity
    assert exported.description["reference"] == detector.description["reference"]
    paths = find_test_images(onnx.run.path, None)
    assert len(paths) == onnx.certificate["images"]["compared"] > 3
    for one, other in zip(detector(paths), exported(paths), strict=True):
        assert other.score == pytest.approx(one.score, rel=1e-5)
        assert (other.label, other.path) == (one.label, one.path)
        np.testing.assert_allclose(other.anomaly_map, one.anomaly_map, atol=1e-5)
        assert np.abs(other.reconstruction.astype(int) - one.reconstruction).max() <= 1


@pytest.mark.slow
def test_any_number_and_size_of_images(onnx: Exported) -> None:
    detector, exported = load_detector(onnx.run.path, device="cpu"), load_detector(onnx.path)
    column = detector.decision.column
    random = np.random.default_rng(5)
    for shape in ((1, 32, 32), (5, 32, 32), (2, 61, 47), (3, 20, 90), (1, 90, 20)):
        images = random.integers(0, 256, (*shape, 3), dtype=np.uint8)
        found = exported.backend.score(images, column).scores
        expected = [detector(Image.fromarray(image)).score for image in images]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.slow
def test_certificate(onnx: Exported) -> None:
    written = json.loads(Path(f"{onnx.path}.certificate.json").read_text())
    assert written == onnx.certificate
    assert written["decisions"]["flipped"] == 0
    assert written["scores"]["largest_relative_difference"] < 1e-5
    size = written["images"]["compared"] * 32 * 32 * 3
    assert written["resize"] == {
        "in_graph": True,
        "values": size,
        "differing": 0,
        "largest_difference": 0,
    }
    assert written["file"]["sha256"] == hashlib.sha256(onnx.path.read_bytes()).hexdigest()
    weights = (onnx.run.detector / "weights.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() in written["detector"]["sha256"].values()
    assert all(value > 0 for row in written["speed"].values() for value in row.values())
    page = Path(f"{onnx.path}.certificate.html").read_text()
    assert f"0 of {size} values differ" in page
    assert written["file"]["sha256"] in page and "0 decisions differ" in page
    assert "http" not in page and "<script" not in page


@pytest.mark.slow
def test_the_order_of_exports_does_not_matter(
    onnx: Exported, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert onnx.unchanged
    before = onnx.path.read_bytes()
    words = (f"detector={onnx.run.path}", f"out={tmp_path}/again.onnx")
    with caplog.at_level(logging.INFO):  # as in the command
        export(export_settings(*words))
    assert not [one for one in caplog.records if one.name.startswith("onnx")]
    assert (tmp_path / "again.onnx").read_bytes() == before
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"again.onnx{end}" for end in ("", ".certificate.json", ".certificate.html")}
    # Nothing of this machine is in the file.
    assert str(Path(exporting.__file__).parents[2]).encode() not in before


WITHOUT_TORCH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Refuse())
sys.argv = ["predict", *sys.argv[1:]]
import runpy
runpy.run_module("cyclegan_ad.predict", run_name="__main__")
"""


@pytest.mark.slow
def test_predict_without_torch(onnx: Exported, tmp_path: Path) -> None:
    words = [f"images={onnx.root}", f"out={tmp_path}/decisions", "overlays=all"]
    command = [sys.executable, "-c", WITHOUT_TORCH]
    file = tmp_path / "detector.onnx"  # the command line is not what is tested
    os.link(onnx.path, file)
    done = subprocess.run(
        [*command, f"detector={file}", *words], capture_output=True, text=True, check=False
    )
    detector = load_detector(onnx.run.path, device="cpu")
    expected = {one.path: one for one in detector(onnx.root)}
    # On a slow machine it says how far it is.
    said = [line for line in done.stderr.splitlines() if not line.startswith("Judging images")]
    assert (done.returncode, said) == (2, []), done.stderr
    lines = (tmp_path / "decisions" / "predictions.jsonl").read_text().splitlines()
    assert len(lines) == len(expected)
    for line in map(json.loads, lines):
        one = expected[line["path"]]
        assert line["decision"] == one.label
        assert line["score"] == pytest.approx(one.score, rel=1e-5)
        assert (line["brightness"], line["sharpness"]) == (one.brightness, one.sharpness)
    assert (tmp_path / "decisions" / "drift.json").is_file()
    refused = subprocess.run(
        [*command, f"detector={onnx.run.path}", *words, "overwrite=true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1, "torch can be imported after all"


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".pt2"])
def test_a_recalibrated_detector(finished: Finished, tmp_path: Path, suffix: str) -> None:
    """Its threshold, zones and escapes are in the file."""
    root, run, _ = finished
    folder = Path(shutil.copytree(run.detector, tmp_path / "detector"))
    paths = find_test_images(run.path, None)
    scores = sorted(found.score for found in load_detector(folder, device="cpu")(paths))
    described = read_description(folder)
    lower, upper = scores[2] - 1e-9, (scores[4] + scores[5]) / 2  # not at a score
    facts = {"value": (scores[1] + scores[2]) / 2, "set_on": "images", "upper": upper}
    escape = {"sha256": hashlib.sha256(paths[0].read_bytes()).hexdigest(), "score": lower}
    entry = {"score": "sse", "time": "2026-11-26", "files": [escape], "escapes": [escape]}
    write_json(folder / "detector.json", add_calibration(described, entry, facts))
    path = tmp_path / f"file{suffix}"
    form = EXPORTED[suffix]
    words = (f"detector={folder}", f"format={form}", f"out={path}", f"images={root}")
    certificate = export(export_settings(*words))
    assert certificate["decisions"]["flipped"] == 0
    assert certificate["resize"]["differing"] == 0
    detector, exported = load_detector(folder, device="cpu"), load_detector(path)
    assert exported.decision == detector.decision and exported.decision.upper is not None
    assert exported.description["calibrations"][0]["files"] == []
    assert exported.description["trained_files"] == []
    expected, found = detector(paths), exported(paths)
    assert [one.score for one in found] == pytest.approx([one.score for one in expected], rel=1e-5)
    assert [one.label for one in found] == [one.label for one in expected]
    zones = [one.zone for one in found]
    assert zones == [one.zone for one in expected]
    assert set(zones) == {"pass", "review", "reject"}
    assert load_detector(path, threshold=1e9)(paths[0]).zone == "review"
    backend = exported.backend
    assert isinstance(backend, ExportedBackend)
    random = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    outputs = backend.run(random)
    assert [ZONES[number] for number in outputs["zone"]] == [
        detector.decision.zone(score) for score in outputs["score"].tolist()
    ]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ganomaly", "padim", "patchcore"])
def test_other_methods(finished: Finished, tmp_path: Path, method: str) -> None:
    pytest.importorskip("anomalib")
    from cyclegan_ad.train import run_training as train

    job = settings(finished[0], tmp_path / "runs", method=method)
    train(job)
    run = RunDirectory.of(job)
    path = tmp_path / "detector.onnx"
    certificate = export(export_settings(f"detector={run.path}", f"out={path}"))
    assert certificate["decisions"]["flipped"] == 0
    # Distances to the memory bank are differences of large numbers.
    limit = 1e-4 if method == "patchcore" else 1e-5
    assert certificate["scores"]["largest_relative_difference"] < limit
    image = np.random.default_rng(1).integers(0, 256, (40, 50), dtype=np.uint8)
    one, other = load_detector(run.path, device="cpu")(image), load_detector(path)(image)
    assert other.score == pytest.approx(one.score, rel=limit)
    np.testing.assert_allclose(other.anomaly_map, one.anomaly_map, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_linear_probe(finished: Finished, tmp_path: Path) -> None:
    from cyclegan_ad.train import run_training as train

    # Their means over the symmetries are in the fused score below.
    words = ("score=probe", "score.tta=none")
    job = settings(finished[0], tmp_path / "runs", *words, method="linear_probe")
    train(job)
    for score in ("probe", "probe_peak"):
        assert_decides_as_the_detector(RunDirectory.of(job), tmp_path / f"{score}.onnx", score)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("score", "file"),
    [("fused", "detector.onnx"), ("fused", "detector.xml"), ("fused_signals", "detector.onnx")],
)
def test_fused_scores(fused_run: Finished, tmp_path: Path, score: str, file: str) -> None:
    assert_decides_as_the_detector(fused_run[1], tmp_path / file, score)


def assert_decides_as_the_detector(run: RunDirectory, path: Path, score: str) -> None:
    form = {".onnx": "onnx", ".xml": "openvino"}[path.suffix]
    words = (f"detector={run.path}", f"out={path}", f"format={form}", f"decide_by.score={score}")
    certificate = export(export_settings(*words))
    assert certificate["decisions"]["flipped"] == 0
    assert certificate["resize"]["differing"] == 0
    paths = find_test_images(run.path, None)
    detector, exported = load_detector(run.path, score=score, device="cpu"), load_detector(path)
    assert exported.decision == detector.decision
    random = np.random.default_rng(1)
    others = [random.integers(0, 256, (40, 50), dtype=np.uint8) for _ in range(2)]
    pairs = zip(detector([*paths, *others]), exported([*paths, *others]), strict=True)
    for one, other in pairs:
        # Sums of terms of any sign.
        assert other.score == pytest.approx(one.score, rel=1e-4, abs=1e-5)
        assert other.label == one.label
        # A map of any sign is near 0 where large parts cancel.
        limit = 1e-4 * np.abs(one.anomaly_map).max()
        np.testing.assert_allclose(other.anomaly_map, one.anomaly_map, rtol=0, atol=limit)


def fake_export(
    monkeypatch: pytest.MonkeyPatch, detector: Detector, change: Callable[[float], float]
) -> None:
    """In place of a runtime: the detector itself, with scores that are changed."""

    def run(pixels: np.ndarray) -> dict[str, np.ndarray]:
        resized = detector._decode(Image.fromarray(pixels[0]))
        scores = detector.backend.score(np.stack([resized]), detector.decision.column).scores
        score = np.array([change(scores[0])])
        abnormal = score >= detector.decision.threshold
        zone = 2 * abnormal.astype(np.int32)  # without a second threshold
        return {"score": score, "abnormal": abnormal, "zone": zone, "resized": resized[None]}

    def write(program: object, path: Path, form: str, facts: object) -> None:
        path.write_bytes(b"a graph")

    backend = detector.backend
    fake = SimpleNamespace(
        run=run, score=backend.score, map=backend.map, description=backend.description
    )
    monkeypatch.setattr(exporting, "DecisionGraph", lambda *_: None)
    monkeypatch.setattr(exporting, "trace", lambda *_: None)
    monkeypatch.setattr(exporting, "write_file", write)
    monkeypatch.setattr(exporting, "ExportedBackend", lambda _: fake)


def test_a_decision_that_differs_leaves_no_file(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, run, _ = finished
    detector = load_detector(run.path, device="cpu")
    paths = find_test_images(run.path, None)
    threshold = detector.decision.threshold
    lowest = min(one.score for one in detector(paths) if one.label == "abnormal")
    fake_export(monkeypatch, detector, lambda score: score - (lowest - threshold) * 1.01 - 1e-9)
    out = tmp_path / "detector.onnx"
    with refuses(facts=f"of {len(paths)}", remedy="another format"):
        exporting.export_detector(detector, "onnx", out, paths)
    assert list(tmp_path.iterdir()) == []


def test_differences_that_flip_nothing_are_certified(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, run, _ = finished
    detector = load_detector(run.path, device="cpu")
    paths = find_test_images(run.path, None)
    fake_export(monkeypatch, detector, lambda score: score * (1 + 1e-7))
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"no image")
    out = tmp_path / "detector.onnx"
    found = exporting.export_detector(detector, "onnx", out, [*paths, damaged])
    assert out.read_bytes() == b"a graph"
    assert found["images"] == {"compared": len(paths), "unreadable": 1}
    assert found["scores"]["largest_relative_difference"] == pytest.approx(1e-7, rel=1e-3)
    margins = {one.path: abs(one.margin) for one in detector(paths)}
    assert found["decisions"]["smallest_margin"] == pytest.approx(min(margins.values()), rel=0.05)
    assert margins[found["decisions"]["smallest_margin_image"]] == min(margins.values())


def test_images_that_cannot_be_read(finished: Finished, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"no image")
    detector: Any = load_detector(finished[1].path, device="cpu")
    with refuses(facts=str(damaged), remedy="images=PATH"):
        compare(detector.backend, None, detector.decision, [damaged])  # type: ignore[arg-type]


def test_a_bare_detector_needs_images(finished: Finished, tmp_path: Path) -> None:
    root, run, _ = finished
    with refuses(file=run.detector, remedy="images=PATH"):
        find_test_images(run.detector, None)
    assert len(find_test_images(run.detector, root / "abnormal")) == 6


def test_test_images_that_were_moved(finished: Finished, tmp_path: Path) -> None:
    _, run, _ = finished
    copy = tmp_path / "run"
    copy.mkdir()
    for path in (run.config, run.split):
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "split.csv").write_text(run.split.read_text().replace("normal/", "gone/"))
    with refuses(file="gone/", remedy="images=PATH"):
        find_test_images(copy, None)


@pytest.mark.parametrize("change", ["missing", "cannot"])
def test_scores_that_no_graph_computes(finished: Finished, change: str) -> None:
    from cyclegan_ad.exporting.decision_graph import DecisionGraph

    detector = load_detector(finished[1].path, device="cpu")
    column = detector.decision.column
    computed_by = detector.description["scores"][column]["computed_by"]
    if change == "missing":
        computed_by |= {"precision": "bf16"}
        with refuses(setting="score", facts="float32", remedy="evaluate"):
            DecisionGraph(detector.backend, detector.decision)  # type: ignore[arg-type]
        return
    other = {"computed_by": dict(computed_by)}
    detector.description["scores"]["plain"] = other
    computed_by |= {"name": "fid_spatial", "extractor": "inception"}
    with refuses(setting="score", facts="singular values", remedy="score=plain"):
        DecisionGraph(detector.backend, detector.decision)  # type: ignore[arg-type]
