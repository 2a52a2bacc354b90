"""The command calibrate: what it prints and writes, and what it refuses to."""

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from errors import refuses
from tiny import compose_settings, draw_folder, settings

from cyclegan_ad import load_detector
from cyclegan_ad.calibrate import calibrate
from cyclegan_ad.detector import recalibrate as recalibrating
from cyclegan_ad.detector.decision import choose_decision
from cyclegan_ad.detector.description import read_description
from cyclegan_ad.evaluation.combine import find_unsupported
from cyclegan_ad.files import write_json
from cyclegan_ad.predict import predict
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import read_split
from cyclegan_ad.settings.commands import CalibrateSettings, PredictSettings
from cyclegan_ad.settings.types import read_settings
from cyclegan_ad.train import run_training

Finished = tuple[Path, RunDirectory, dict[str, Any]]


def run(detector: Path, images: Path, *words: str) -> dict[str, Any]:
    given = compose_settings("calibrate", ["detector=x", "images=y", "accelerator=cpu", *words])
    places = {"detector": str(detector), "images": str(images)}
    return calibrate(read_settings(CalibrateSettings, given | places))


@pytest.fixture
def detector(finished: Finished, tmp_path: Path) -> Path:
    """The detector of a run, alone."""
    return Path(shutil.copytree(finished[1].detector, tmp_path / "detector"))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Labelled images of which the detector has seen none."""
    root = draw_folder(tmp_path / "labelled", normal=29, abnormal=12)
    for i in range(9):  # those of the run
        (root / "normal" / f"{i:02d}.png").unlink()
    return root


def test_a_calibration_from_beginning_to_end(
    detector: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(images / "normal" / "10.png", images / "normal" / "copy.png")
    before = (detector / "detector.json").read_bytes()
    dry = run(detector, images, "dry_run=true", "prevalence=0.01")
    assert (detector / "detector.json").read_bytes() == before
    assert "unchanged" in capsys.readouterr().out
    entry = run(detector, images, "prevalence=0.01")
    assert entry | {"time": ""} == dry | {"time": ""}
    said = capsys.readouterr().out
    for words in (
        *("12 abnormal images and 20 normal; not counted: 1 copy", "before", "after"),
        *("missed of the images given", "0 of 12 (0 %)", "zone", "below"),
        *("With 95 % confidence", "to bound misses by", "0.1 %", "2995", "2983"),
        *("escapes per million", "Workload with 1 % abnormal images: pass ", "Calibration 1"),
        "normal images: 20 given",
    ):
        assert words in said, words
    assert max(map(len, said.replace(str(tmp_path), "").splitlines())) <= 120
    described = read_description(detector)
    assert described["calibrations"] == [entry] and described["protocol"] == "recalibrated"
    assert (entry["images"]["abnormal"], entry["images"]["normal"]) == (12, 20)
    # What it says of the images is what the detector says of them.
    loaded = load_detector(detector, device="cpu")
    for name in ("normal", "abnormal"):
        zones = [found.zone for found in loaded(images / name)]
        zones = zones[:-1] if name == "normal" else zones  # the copy
        assert {zone: zones.count(zone) for zone in ("pass", "review", "reject")} == (
            entry["zones"][name]
        )
    assert all(found.label == "abnormal" for found in loaded(images / "abnormal"))


def test_zones_of_predict(
    detector: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = run(detector, images, "allow_weaker_bound=true")
    expected = {
        zone: entry["zones"]["normal"][zone] + entry["zones"]["abnormal"][zone]
        for zone in ("pass", "review", "reject")
    }
    given = compose_settings("predict", ["detector=x", "images=y", "out=z", "accelerator=cpu"])
    out = tmp_path / "out"
    shutil.rmtree(images / "masks")
    places = {"detector": str(detector), "images": str(images), "out": str(out)}
    assert predict(read_settings(PredictSettings, given | places)) == 2
    with (out / "predictions.csv").open(newline="") as file:
        zones = [row["zone"] for row in csv.DictReader(file)]
    assert len(zones) == 32
    assert {zone: zones.count(zone) for zone in expected} == expected
    line = ", ".join(f"{zone} {count}" for zone, count in expected.items())
    assert (line in capsys.readouterr().out) == (expected["review"] > 0)


def test_an_escape_is_caught_from_now_on(
    detector: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    escape = images / "normal" / "11.png"  # hardly any score is lower
    table = tmp_path / "flags.csv"
    table.write_text(f"time,path,label,decision\n10:00,{escape},abnormal,normal\n")
    entry = run(detector, table)
    said = capsys.readouterr().out
    assert "1 escape" in said and "Cost:" in said and "stored scores of normal images" in said
    loaded = load_detector(detector, device="cpu")
    assert loaded(escape).label == "abnormal"
    assert [one["sha256"] for one in entry["escapes"]] == list(loaded.identity["escapes"])
    (images / "normal" / "11.png").rename(images / "abnormal" / "11e.png")
    for words in ([], ["false_alarm_rate=0.1"], ["miss_rate=0.3"]):
        run(detector, images, *words)
        found = load_detector(detector, device="cpu")(images / "abnormal" / "11e.png")
        assert found.zone != "pass"
    loaded = load_detector(detector, threshold=1e9, device="cpu")
    assert loaded(images / "abnormal" / "11e.png").zone == "review"
    assert len(read_description(detector)["calibrations"]) == 4


def test_an_escape_reported_by_mistake_is_withdrawn(
    detector: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mistake = images / "normal" / "11.png"
    table = images / "flags.csv"
    table.write_text(f"path,label\n{mistake},abnormal\n")
    before = load_detector(detector, device="cpu")(mistake)
    assert before.zone == "pass"
    run(detector, table)
    with refuses(file=mistake, remedy=f"withdraw={mistake}"):
        run(detector, images)
    told = read_description(detector)

    def withdraw(*words: str) -> dict[str, Any]:
        given = compose_settings("calibrate", ["detector=x", "accelerator=cpu", *words])
        places = {"detector": str(detector), "withdraw": str(mistake)}
        return calibrate(read_settings(CalibrateSettings, given | places))

    withdraw("dry_run=true")
    assert read_description(detector) == told
    entry = withdraw()
    assert "protocol=NAME" in capsys.readouterr().out
    assert read_description(detector)["calibrations"] == [*told["calibrations"], entry]
    run(detector, images, "decide_by.protocol=paper")
    assert load_detector(detector, device="cpu")(mistake).zone == "pass"
    with refuses(setting="withdraw", value=mistake, facts="reported escape"):
        withdraw()
    with refuses(setting="withdraw", value=mistake, facts="images=y"):
        withdraw("images=y")
    with refuses(setting="images", value="null", remedy="withdraw=FILE"):
        read_settings(CalibrateSettings, compose_settings("calibrate", ["detector=x"]))


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["miss_rate=0.05"], ["12 different abnormal", "miss_rate=0.05", "59"]),
        (["false_alarm_rate=0.01"], ["20 different normal", "false_alarm_rate=0.01", "99"]),
    ],
)
def test_too_few_images_are_said_in_one_line(
    detector: Path, images: Path, words: list[str], facts: list[str]
) -> None:
    before = (detector / "detector.json").read_bytes()
    with refuses(setting="images", value=images, facts=facts, remedy="leave it out"):
        run(detector, images, *words)
    assert (detector / "detector.json").read_bytes() == before


def test_what_is_refused(finished: Finished, detector: Path, images: Path, tmp_path: Path) -> None:
    before = (detector / "detector.json").read_bytes()
    with refuses(setting="miss_rate", value=0.1, facts="false_alarm_rate=0.2"):
        run(detector, images, "miss_rate=0.1", "false_alarm_rate=0.2")
    with refuses(setting="miss_rate", value=0):
        run(detector, images, "miss_rate=0")
    with refuses(setting="detector", value=tmp_path / "gone"):
        run(tmp_path / "gone", images)
    exported = tmp_path / "detector.onnx"
    exported.touch()
    with refuses(setting="detector", value=exported, remedy="export again"):
        run(exported, images)
    (images / "abnormal" / "broken.png").write_bytes(b"\x89PNG")
    with refuses(file=images / "abnormal" / "broken.png", remedy="repair or remove it"):
        run(detector, images)
    (images / "abnormal" / "broken.png").unlink()
    with refuses(setting="score", value="fid"):
        run(detector, images, "decide_by.score=fid")
    assert (detector / "detector.json").read_bytes() == before
    root, of_run, _ = finished  # the split of a run says what was trained on
    rows = [row for row in read_split(of_run.path) if row.subset == "train"]
    table = tmp_path / "trained.csv"
    lines = [f"{root / row.path},{row.label}" for row in rows]
    table.write_text("path,label\n" + "\n".join(lines))
    # Also where it was copied alone.
    for one in (of_run.path, detector):
        with refuses(setting="images", facts=["0 different abnormal", f"{len(rows)} images used"]):
            run(one, table, "dry_run=true")


def test_nothing_is_half_written(
    detector: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (detector / "detector.json").read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        with pytest.raises(OSError, match="No space"):
            run(detector, images)
    assert (detector / "detector.json").read_bytes() == before
    assert len(list(detector.iterdir())) == 2
    score = recalibrating.recalibrate

    def another_command(*arguments: Any, **more: Any) -> Any:
        changed = json.loads(before)
        write_json(detector / "detector.json", changed | {"map_scale": [1, 2]})
        return score(*arguments, **more)

    monkeypatch.setattr(recalibrating, "recalibrate", another_command)
    with refuses(file=detector / "detector.json", remedy="again"):
        run(detector, images)
    assert read_description(detector)["calibrations"] == []


def test_a_run_that_is_evaluated_again_keeps_its_calibrations(
    finished: Finished, images: Path, tmp_path: Path
) -> None:
    """With another protocol, with another score, and as long as the weights are the same."""
    root, of_run, _ = finished
    runs = of_run.path.parents[2]
    place = Path(shutil.copytree(runs, tmp_path / "runs")) / of_run.path.relative_to(runs)
    table = tmp_path / "escape.csv"
    table.write_text(f"path,label\n{images / 'normal' / '11.png'},abnormal\n")
    entry = run(place, table)
    assert len(entry["escapes"]) == 1
    decision = choose_decision(read_description(place / "detector"))
    assert find_unsupported(RunDirectory(place)) == []
    words = ("logger=csv", "trainer.snapshot_every_n_epochs=2")
    for more in ("protocol=crossfit", "score=peak"):
        run_training(settings(root, tmp_path / "runs", *words, more))
        described = read_description(place / "detector")
        assert described["calibrations"] == [entry]
        assert choose_decision(described) == decision
        assert find_unsupported(RunDirectory(place)) == []
    assert "peak_2px" in described["scores"]
    with refuses(facts=["peak_2px", "recalibrated"], remedy="protocol=NAME"):
        choose_decision(described, score="peak_2px")
