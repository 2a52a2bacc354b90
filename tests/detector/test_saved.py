"""The saved detector: weights bit for bit, what describes them, scores and thresholds."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from errors import assert_error, refuses
from safetensors.torch import load_file

from cyclegan_ad import __version__
from cyclegan_ad.detector.decision import choose_decision
from cyclegan_ad.detector.description import describe_scores, read_description
from cyclegan_ad.detector.saved import (
    detector_fingerprint,
    differences_from_run,
    save_detector,
    write_scores,
)
from cyclegan_ad.networks.generator import Generator
from cyclegan_ad.networks.inference import build_inference
from cyclegan_ad.runs.results import Results

NETWORK = {"channels": 1, "base_channels": 4, "residual_blocks": 2}
PREPROCESSING = {
    "channels": 1,
    "window": [0.0, 4095.0],
    "size_px": 32,
    "resize": "bicubic",
    "range": [-1.0, 1.0],
}
SCORES = {"sse": [1.0, 2.0, 0.3, 3.0], "peak_2px": [0.5, 1.0, 2.0, 4.0]}
LABELS = [0, 0, 1, 1]
REFERENCE = {"brightness": [0.5, 0.25], "sharpness": [1.5, 0.0], "scores": SCORES}


def results(protocol: str = "crossfit", **metrics: Any) -> Results:
    columns = {
        "sse": {"name": "sse", "precision": "float32"},
        "peak_2px": {"name": "peak", "precision": "float32"},
    }
    summary = {"zfn_threshold": 0.1 + 0.2, "max_accuracy_threshold": 1 / 3, "zfn_accuracy": 0.5}
    found = {
        "protocol": protocol,
        "protocol_settings": {"folds": 2, "margin": 0.0, "confidence": 0.9},
        "test_normal": 2,
        "test_abnormal": 2,
        "independent": {"normal": 2, "abnormal": 1},
        "scores": {"sse": summary, "peak_2px": summary | {"zfn_threshold": 7.5}},
        "columns": columns,
        "protocols": {
            "crossfit": {"sse": {"thresholds": [0.25, 0.8], "miss_rate_bound": 0.5}},
            "calibrated": {"sse": {"thresholds": [0.2], "miss_rate_bound": 0.4}},
        },
        "fingerprints": {},
    }
    rows = [
        {"path": path, "label": label, "sse": SCORES["sse"][i], "peak_2px": SCORES["peak_2px"][i]}
        for i, (path, label) in enumerate(zip("abcd", LABELS, strict=True))
    ]
    return Results(found | metrics, rows, [{"path": "f", "label": 1, "sse": 0.2}])


def save(folder: Path, generator: torch.nn.Module, **changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "method": "cyclegan",
        "network": NETWORK,
        "tensors": generator.state_dict(),
        "preprocessing": PREPROCESSING,
        "extractors": {},
        "trained_on": {"dataset": "parts", "images": 5},
        "trained_files": ["e"],
        "map_scale": (0.5, 1.0),
        "scores": describe_scores(results()),
        "reference": REFERENCE,
    }
    save_detector(folder, **arguments | changes)
    return json.loads((folder / "detector.json").read_text())


def test_weights_come_back_bit_for_bit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    generator = Generator(**NETWORK)
    save(tmp_path / "detector", generator)
    stored = load_file(tmp_path / "detector" / "weights.safetensors")
    given = generator.state_dict()
    assert stored.keys() == given.keys()
    for name, value in given.items():
        assert stored[name].dtype == value.dtype
        assert torch.equal(stored[name], value), name
    described = json.loads((tmp_path / "detector" / "detector.json").read_text())
    # What is written is enough to build it.
    again = build_inference(described["method"], described["network"], stored)
    images = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(again(images), generator(images))


def test_weights_in_another_memory_order(tmp_path: Path) -> None:
    generator = Generator(**NETWORK)
    given = {name: value.clone() for name, value in generator.state_dict().items()}
    generator.to(memory_format=torch.channels_last)
    save(tmp_path, generator)
    stored = load_file(tmp_path / "weights.safetensors")
    assert all(torch.equal(stored[name], value) for name, value in given.items())


def test_description(tmp_path: Path) -> None:
    found = save(tmp_path, Generator(**NETWORK))
    assert found["format"] == 6
    assert found["reference"] == REFERENCE
    assert (found["method"], found["network"]) == ("cyclegan", NETWORK)
    assert found["preprocessing"] == PREPROCESSING
    assert found["trained_files"] == ["e"]
    assert found["trained_on"] == {"dataset": "parts", "images": 5}
    assert found["versions"]["cyclegan_ad"] == __version__
    assert found["versions"]["torch"] == torch.__version__
    assert "pillow" in found["versions"]
    weights = (tmp_path / "weights.safetensors").read_bytes()
    assert found["sha256"] == {"weights.safetensors": hashlib.sha256(weights).hexdigest()}
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["detector.json", "weights.safetensors"]
    assert read_description(tmp_path) == found


def test_thresholds_say_what_they_were_set_on_and_what_they_promise() -> None:
    described = describe_scores(results())
    assert (described["protocol"], described["score"]) == ("crossfit", "sse")
    sse = described["scores"]["sse"]
    assert sse["computed_by"]["name"] == "sse"
    assert sse["test_scores"] == {"normal": [1.0, 2.0], "abnormal": [0.3, 3.0]}
    assert sse["independent"] == {"normal": 2, "abnormal": 1}
    found = sse["thresholds"]
    assert {name: entry["value"] for name, entry in found.items()} == {
        "paper": 0.1 + 0.2,  # every digit
        "best_accuracy": 1 / 3,
        "crossfit": 0.25,  # the smallest of the folds
        "calibrated": 0.2,
    }
    # One independent abnormal test image: 1 - (1 - 0.9)^(1/1).
    assert [found[name]["miss_rate_bound"] for name in ("paper", "crossfit")] == [0.9, 0.9]
    assert found["best_accuracy"]["miss_rate_bound"] is None
    assert found["calibrated"]["miss_rate_bound"] == 0.4
    assert found["paper"]["abnormal"] == 2
    assert "test" in found["crossfit"]["set_on"] and "kept out" in found["calibrated"]["set_on"]


@pytest.mark.parametrize(("folds", "bound"), [(1, 0.3), (2, None)])
def test_the_one_model_has_no_bound_of_several_fits(folds: int, bound: float | None) -> None:
    decided = {
        "thresholds": [0.7, 0.4][:folds],
        "folds": folds,
        "confidence": 0.9,
        "miss_rate_bound": 0.3,
        "miss_rate_approximate": 0.2,
    }
    found = results("crossval", protocols={"crossval": {"sse": decided}})
    described = describe_scores(found)
    decision = choose_decision(described)
    assert decision.facts["value"] == min(decided["thresholds"])
    assert decision.facts["miss_rate_bound"] == bound
    assert ("at most 30 %" in decision.describe()) == (bound is not None)
    assert ("about 20 %" in decision.describe()) == (bound is None)


def test_later_scores_replace_the_earlier_ones(tmp_path: Path) -> None:
    first = save(tmp_path, Generator(**NETWORK))
    weights = (tmp_path / "weights.safetensors").read_bytes()
    write_scores(tmp_path, describe_scores(results("paper", protocols={})))
    found = json.loads((tmp_path / "detector.json").read_text())
    assert found["protocol"] == "paper"
    assert all("crossfit" not in row["thresholds"] for row in found["scores"].values())
    write_scores(tmp_path, describe_scores(results()))
    assert json.loads((tmp_path / "detector.json").read_text()) == first
    assert (tmp_path / "weights.safetensors").read_bytes() == weights


def test_calibrations_are_kept_with_the_same_weights_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    generator, path = Generator(**NETWORK), tmp_path / "detector.json"
    found = save(tmp_path, generator)
    found["calibrations"] = [{"score": "sse", "time": "2026", "escapes": [], "files": []}]
    found["scores"]["sse"]["thresholds"]["recalibrated"] = {"value": 0.1, "set_on": "images"}
    found["protocol"] = "recalibrated"
    path.write_text(json.dumps(found))
    # Also if others come beside them, under other names.
    more = {f"generator.{name}": value for name, value in generator.state_dict().items()}
    again = save(tmp_path, generator, tensors=more | {"other": torch.ones(3)})
    names = ("calibrations", "protocol", "scores")
    assert {name: again[name] for name in names} == {name: found[name] for name in names}
    assert capsys.readouterr().out == ""
    other = save(tmp_path, Generator(**NETWORK))
    assert other["calibrations"] == [] and other["protocol"] == "crossfit"
    assert "1 calibration of the earlier" in capsys.readouterr().out


@pytest.mark.parametrize("by", ["save_detector", "write_scores"])
def test_calibrations_are_dropped_if_their_score_is_computed_in_another_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], by: str
) -> None:
    torch.manual_seed(0)
    generator = Generator(**NETWORK)
    fusions = {"sse": {"terms": ["a", "b"], "weights": [1.0, 2.0]}}
    scores = describe_scores(results(fusions=fusions))
    found = save(tmp_path, generator, scores=scores)
    found["calibrations"] = [{"score": "sse", "time": "2026", "escapes": [], "files": []}]
    found["scores"]["sse"]["thresholds"]["recalibrated"] = {"value": 0.1, "set_on": "images"}
    (tmp_path / "detector.json").write_text(json.dumps(found | {"protocol": "recalibrated"}))
    write_scores(tmp_path, scores)
    kept = json.loads((tmp_path / "detector.json").read_text())
    assert kept == found | {"protocol": "recalibrated"} and capsys.readouterr().out == ""
    fusions = {"sse": {"terms": ["a", "b"], "weights": [1.0, 2.5]}}
    scores = describe_scores(results(fusions=fusions))
    if by == "write_scores":
        write_scores(tmp_path, scores)
    else:
        save(tmp_path, generator, scores=scores)
    after = json.loads((tmp_path / "detector.json").read_text())
    assert after["calibrations"] == [] and after["protocol"] == "crossfit"
    assert "recalibrated" not in after["scores"]["sse"]["thresholds"]
    said = capsys.readouterr().out
    assert "sse" in said and "1 calibration of the earlier" in said and "calibrate again" in said


@pytest.mark.parametrize("content", [None, "", "[]", "[" * 100_000, '{"a": \xff'])
def test_scores_for_a_detector_that_is_gone_or_damaged(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "detector.json").write_text(content, encoding="latin-1")
    [doubt] = differences_from_run(tmp_path, results())
    assert_error(doubt, file="detector.json")
    with refuses(file="detector.json", remedy="evaluate run="):
        write_scores(tmp_path, {})
    with refuses(file=tmp_path / "detector.json", remedy="evaluate run="):
        read_description(tmp_path)


def test_scores_that_are_not_those_of_the_run(tmp_path: Path) -> None:
    save(tmp_path, Generator(**NETWORK))
    found = results(fingerprints={"detector": detector_fingerprint(tmp_path)})
    assert differences_from_run(tmp_path, found) == []
    path = tmp_path / "detector.json"
    path.write_text(path.read_text().replace('"value": 7.5', '"value": 7.4'))
    [difference] = differences_from_run(tmp_path, found)
    assert_error(difference, facts=("detector.json", "scores", "metrics.json"))
    other = results("paper", fingerprints=found.metrics["fingerprints"])
    assert len(differences_from_run(tmp_path, other)) == 2


@pytest.mark.parametrize("changed", ["size_px", "base_channels", "brightness", "weights"])
def test_another_detector_than_the_one_written_with_the_metrics(
    tmp_path: Path, changed: str
) -> None:
    save(tmp_path, Generator(**NETWORK))
    found = results(fingerprints={"detector": detector_fingerprint(tmp_path)})
    if changed == "weights":  # with the hash that belongs to them
        save(tmp_path, Generator(**NETWORK))
    else:
        path = tmp_path / "detector.json"
        described = json.loads(path.read_text())
        part = next(p for p in ("network", "preprocessing", "reference") if changed in described[p])
        described[part][changed] *= 2
        path.write_text(json.dumps(described))
    [difference] = differences_from_run(tmp_path, found)
    assert_error(difference, facts=("detector", "metrics.json"))


def test_a_failed_write_leaves_the_earlier_detector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, Generator(**NETWORK))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full_disk(path: Path, content: bytes) -> None:
        path.write_text("half of the weights")
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="no space left"):
        save(tmp_path, Generator(**NETWORK))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_detector_that_cannot_be_trusted(tmp_path: Path) -> None:
    save(tmp_path, Generator(**NETWORK))
    path, weights = tmp_path / "detector.json", tmp_path / "weights.safetensors"
    whole = path.read_text()
    path.write_text(whole.replace('"format": 6', '"format": 7'))
    with refuses(file=path, facts=("7", "6"), remedy="newer"):
        read_description(tmp_path)
    path.write_text(whole.replace('"format": 6', '"format": 5'))
    with refuses(file=path, facts=("5", "6"), remedy="evaluate run="):
        read_description(tmp_path)
    path.write_text(whole.replace('"window"', '"windows"').replace('"map_scale"', '"scale"'))
    with refuses(file=path, facts=("map_scale", "window"), remedy="evaluate run="):
        read_description(tmp_path)
    path.write_text(whole.replace('"reference"', '"references"'))
    with refuses(file=path, facts="reference", remedy="evaluate run="):
        read_description(tmp_path)
    path.write_text(whole)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with refuses(file=weights, facts="hash", remedy="evaluate run="):
        read_description(tmp_path)
    weights.unlink()
    with refuses(file=weights, facts="missing"):
        read_description(tmp_path)
