"""The saved detector: the trained weights bit for bit, and what describes them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from errors import assert_error, refuses
from safetensors.torch import load_file

from cyclegan_ad import __version__
from cyclegan_ad.detector.saved import (
    detector_fingerprint,
    differences_from_metrics,
    save_detector,
    write_decisions,
)
from cyclegan_ad.networks.generator import Generator

NETWORK = {"channels": 1, "base_channels": 4, "residual_blocks": 2}
PREPROCESSING = {
    "channels": 1,
    "window": [0.0, 4095.0],
    "size_px": 32,
    "resize": "bicubic",
    "range": [-1.0, 1.0],
}
SSE = {"zfn_threshold": 0.1 + 0.2, "max_accuracy_threshold": 1 / 3, "zfn_accuracy": 0.5}
METRICS: dict[str, Any] = {
    "protocol": "crossfit",
    "test_normal": 3,
    "test_abnormal": 4,
    "scores": {"sse": SSE, "fid": SSE | {"zfn_threshold": 7.5}},
    "columns": {"sse": {"name": "sse"}, "fid": {"name": "fid"}},
    "protocols": {
        "crossfit": {"sse": {"thresholds": [0.25, 0.1 + 0.7]}, "fid": {"thresholds": [7.0, 8.0]}},
        "calibrated": {"sse": {"thresholds": [0.2]}},
    },
}


UNDECIDED = METRICS | {"protocol": "paper", "scores": {}, "protocols": {}}


def save(folder: Path, generator: torch.nn.Module) -> dict[str, Any]:
    save_detector(
        folder, generator, network=NETWORK, preprocessing=PREPROCESSING, metrics=UNDECIDED
    )
    return json.loads((folder / "detector.json").read_text())


def test_weights_come_back_bit_for_bit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    generator = Generator(**NETWORK)
    save(tmp_path / "detector", generator)
    stored = load_file(tmp_path / "detector" / "generator.safetensors")
    given = generator.state_dict()
    assert stored.keys() == given.keys()
    for name, value in given.items():
        assert stored[name].dtype == value.dtype
        assert torch.equal(stored[name], value), name
    described = json.loads((tmp_path / "detector" / "detector.json").read_text())
    again = Generator(**described["network"])  # what is written is enough to build it
    again.load_state_dict(stored)
    images = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        assert torch.equal(again(images), generator(images))


def test_weights_in_another_memory_order(tmp_path: Path) -> None:
    generator = Generator(**NETWORK)
    given = {name: value.clone() for name, value in generator.state_dict().items()}
    generator.to(memory_format=torch.channels_last)
    save(tmp_path, generator)
    stored = load_file(tmp_path / "generator.safetensors")
    assert all(torch.equal(stored[name], value) for name, value in given.items())


def test_description(tmp_path: Path) -> None:
    found = save(tmp_path, Generator(**NETWORK))
    assert found["format"] == 2
    assert found["network"] == NETWORK
    assert found["preprocessing"] == PREPROCESSING
    assert found["scores"] == {}  # nothing is decided yet
    assert found["versions"]["cyclegan_ad"] == __version__
    assert found["versions"]["torch"] == torch.__version__
    assert "pillow" in found["versions"]
    weights = (tmp_path / "generator.safetensors").read_bytes()
    assert found["sha256"] == {"generator.safetensors": hashlib.sha256(weights).hexdigest()}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "detector.json",
        "generator.safetensors",
    ]


def test_decisions_are_added_with_what_they_were_set_on(tmp_path: Path) -> None:
    before = save(tmp_path, Generator(**NETWORK))
    weights = (tmp_path / "generator.safetensors").read_bytes()
    write_decisions(tmp_path, METRICS)
    found = json.loads((tmp_path / "detector.json").read_text())
    on_test = {
        "max_accuracy_threshold": 1 / 3,
        "set_on": "the test images of this run (optimistic)",
        "normal_images": 3,
        "abnormal_images": 4,
    }
    assert found == before | {
        "protocol": "crossfit",
        "scores": {
            "sse": on_test
            | {
                "computed_by": {"name": "sse"},
                "zfn_threshold": 0.1 + 0.2,  # every digit
                "protocols": {
                    "crossfit": {"thresholds": [0.25, 0.1 + 0.7]},
                    "calibrated": {"thresholds": [0.2]},
                },
            },
            "fid": on_test
            | {
                "computed_by": {"name": "fid"},
                "zfn_threshold": 7.5,
                "protocols": {"crossfit": {"thresholds": [7.0, 8.0]}},
            },
        },
    }
    assert (tmp_path / "generator.safetensors").read_bytes() == weights


def test_later_decisions_replace_the_earlier_ones(tmp_path: Path) -> None:
    save(tmp_path, Generator(**NETWORK))
    write_decisions(tmp_path, METRICS)
    first = json.loads((tmp_path / "detector.json").read_text())
    write_decisions(tmp_path, METRICS | {"protocol": "paper", "protocols": {}})
    found = json.loads((tmp_path / "detector.json").read_text())
    assert found["protocol"] == "paper"
    assert [row["protocols"] for row in found["scores"].values()] == [{}, {}]
    write_decisions(tmp_path, METRICS)
    assert json.loads((tmp_path / "detector.json").read_text()) == first


def test_a_later_detector_replaces_the_earlier_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first = save(tmp_path, Generator(**NETWORK))
    second = save(tmp_path, Generator(**NETWORK))
    assert first["sha256"] != second["sha256"]
    weights = (tmp_path / "generator.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() in second["sha256"].values()


@pytest.mark.parametrize("content", [None, "", "[]", "[" * 100_000, '{"a": \xff'])
def test_decisions_for_a_detector_that_is_gone_or_damaged(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "detector.json").write_text(content, encoding="latin-1")
    [doubt] = differences_from_metrics(tmp_path, METRICS)
    assert_error(doubt, file="detector.json")
    with refuses(file="detector.json", remedy="evaluate run="):
        write_decisions(tmp_path, METRICS)


def test_decisions_that_are_not_those_of_the_metrics(tmp_path: Path) -> None:
    save(tmp_path, Generator(**NETWORK))
    write_decisions(tmp_path, METRICS)
    metrics = METRICS | {"fingerprints": {"detector": detector_fingerprint(tmp_path)}}
    assert differences_from_metrics(tmp_path, metrics) == []
    path = tmp_path / "detector.json"
    path.write_text(path.read_text().replace('"zfn_threshold": 7.5', '"zfn_threshold": 7.4'))
    assert differences_from_metrics(tmp_path, metrics) == [
        "detector.json: scores differs from metrics.json"
    ]
    assert len(differences_from_metrics(tmp_path, metrics | {"protocol": "paper"})) == 2


@pytest.mark.parametrize("changed", ["size_px", "base_channels", "weights"])
def test_another_detector_than_the_one_written_with_the_metrics(
    tmp_path: Path, changed: str
) -> None:
    save(tmp_path, Generator(**NETWORK))
    write_decisions(tmp_path, METRICS)
    metrics = METRICS | {"fingerprints": {"detector": detector_fingerprint(tmp_path)}}
    if changed == "weights":  # with the hash that belongs to them
        save(tmp_path, Generator(**NETWORK))
        write_decisions(tmp_path, METRICS)
    else:
        path = tmp_path / "detector.json"
        described = json.loads(path.read_text())
        described["network" if changed in NETWORK else "preprocessing"][changed] *= 2
        path.write_text(json.dumps(described))
    assert differences_from_metrics(tmp_path, metrics) == [
        "detector: not the one that was written with metrics.json"
    ]


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
