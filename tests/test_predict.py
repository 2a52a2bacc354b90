"""The command predict: decisions, their files, overlays, and what its exit status says."""

import csv
import functools
import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from errors import refuses
from PIL import Image
from tiny import compose_settings, draw_folder

from cyclegan_ad.cli.hydra_errors import name_decision
from cyclegan_ad.cli.setting_names import setting_names
from cyclegan_ad.detector import judge_files, load
from cyclegan_ad.detector.find_images import OWN_FILES
from cyclegan_ad.predict import predict
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.lock import locked_folder
from cyclegan_ad.settings.commands import PredictSettings
from cyclegan_ad.settings.composing import conf_dir
from cyclegan_ad.settings.types import read_settings

Finished = tuple[Path, RunDirectory, dict[str, Any]]


def run(detector: Path, images: Path | str, out: Path, **changes: Any) -> int:
    raw = compose_settings("predict", [f"detector={detector}", f"out={out}", "accelerator=cpu"])
    raw["decide_by"]["threshold"] = changes.pop("threshold", None)
    return predict(read_settings(PredictSettings, raw | {"images": str(images)} | changes))


def table(out: Path) -> dict[str, dict[str, str]]:
    with (out / "predictions.csv").open(newline="") as file:
        return {Path(row["path"]).name: row for row in csv.DictReader(file)}


@pytest.fixture
def images(finished: Finished, tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    shutil.copytree(finished[0] / "normal", folder / "good")
    shutil.copytree(finished[0] / "abnormal", folder / "ü, (x)=1" / "bad")
    return folder


def test_a_folder_is_judged_and_the_exit_status_says_whether_all_is_well(
    finished: Finished, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detector, out = finished[1].path, tmp_path / "out"
    assert run(detector, images, out, threshold=1e9) == 0
    assert {row["decision"] for row in table(out).values()} == {"normal"}
    assert run(detector, images, out, threshold=0.0, overwrite=True) == 2
    assert {row["decision"] for row in table(out).values()} == {"abnormal"}
    (images / "broken.png").write_bytes(b"\x89PNG")
    assert run(detector, images, tmp_path / "other", threshold=1e9) == 2
    broken = table(tmp_path / "other")["broken.png"]
    assert (broken["decision"], broken["score"]) == ("abnormal", "") and broken["reason"]
    said = capsys.readouterr().out
    assert "15 normal, 1 abnormal, 1 of them without a score" in said
    assert str(tmp_path / "other" / "predictions.csv") in said


def test_a_repeated_command_judges_only_what_is_new(
    finished: Finished, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector, out = finished[1].path, tmp_path / "out"
    interrupted = judge_files.DecisionFiles.append

    def stop(self: Any, predictions: Any, stamps: Any) -> None:
        interrupted(self, predictions[:4], stamps[:4])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(judge_files.DecisionFiles, "append", stop)
        with pytest.raises(KeyboardInterrupt):
            run(detector, images, out)
    before = (out / "predictions.jsonl").read_text()
    assert before.count("\n") == 4
    run(detector, images, out)
    after = (out / "predictions.jsonl").read_text()
    assert after.startswith(before) and after.count("\n") == 15
    paths = [json.loads(line)["path"] for line in after.splitlines()]
    assert len(set(paths)) == 15
    with refuses(file=out, remedy="overwrite=true"):
        run(detector, images, out, threshold=1.0)


def test_overlays(finished: Finished, images: Path, tmp_path: Path) -> None:
    detector = finished[1].path
    drawn = {}
    for chosen in ("none", "all", "abnormal", "nearest"):
        out = tmp_path / chosen
        run(detector, images, out, overlays=chosen, nearest=3)
        drawn[chosen] = {p.relative_to(out / "overlays") for p in out.rglob("overlays/**/*.png")}
    assert [len(drawn[name]) for name in ("none", "all", "nearest")] == [0, 15, 3]
    assert Path("ü, (x)=1/bad/00.png.png") in drawn["all"]
    with (tmp_path / "all" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    abnormal = [Path(row["path"]) for row in rows if row["decision"] == "abnormal"]
    assert drawn["abnormal"] == {Path(f"{p.relative_to(images)}.png") for p in abnormal}
    nearest = sorted(rows, key=lambda row: abs(float(row["margin"])))[:3]
    assert drawn["nearest"] == {
        Path(f"{Path(row['path']).relative_to(images)}.png") for row in nearest
    }
    with Image.open(tmp_path / "all" / "overlays" / "good" / "00.png.png") as overlay:
        assert overlay.size == (32, 32)


def test_a_folder_that_is_being_filled(finished: Finished, tmp_path: Path) -> None:
    source, folder, out = finished[0] / "normal", tmp_path / "camera", tmp_path / "out"
    folder.mkdir()
    content = (source / "01.png").read_bytes()

    def camera() -> None:
        shutil.copy(source / "00.png", folder)
        with (folder / "01.png").open("wb", buffering=0) as file:
            for at in range(0, len(content), 1 + len(content) // 8):
                file.write(content[at : at + 1 + len(content) // 8])
                time.sleep(0.05)

    thread = threading.Thread(target=camera)
    thread.start()
    code = run(
        finished[1].path,
        folder,
        out,
        watch=True,
        watch_interval_s=0.2,
        watch_stop_after_s=2.0,
        threshold=1e9,
    )
    thread.join()
    assert code == 0  # the half-written file was waited for
    assert table(out).keys() == {"00.png", "01.png"}
    with refuses(setting="images", facts="watch=true"):
        run(finished[1].path, source / "00.png", tmp_path / "x", watch=True)


def test_a_watch_says_its_counts_when_it_is_interrupted(
    finished: Finished,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "camera"
    shutil.copytree(finished[0] / "normal", folder)
    followed = judge_files.watch

    def interrupted(*given: Any) -> Iterator[list[Path]]:
        yield next(followed(*given))
        raise KeyboardInterrupt

    monkeypatch.setattr(judge_files, "watch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(finished[1].path, folder, tmp_path / "out", watch=True, threshold=1e9)
    assert f"{len(list(folder.iterdir()))} normal, 0 abnormal" in capsys.readouterr().out


@pytest.mark.parametrize("watch", [False, True])
def test_decisions_may_lie_in_the_folder_of_the_images(
    finished: Finished, tmp_path: Path, watch: bool
) -> None:
    folder = tmp_path / "camera"
    shutil.copytree(finished[0] / "abnormal", folder)
    count = len(list(folder.iterdir()))
    seconds = {"watch_interval_s": 0.05, "watch_stop_after_s": 0.5}
    for _ in range(2):  # overlays of the first command are no images for the second one
        run(
            finished[1].path, folder, folder, watch=watch, overlays="all", overwrite=True, **seconds
        )
        assert len(table(folder)) == count
    assert len(list((folder / "overlays").iterdir())) == count
    written = {path.name for path in folder.iterdir() if path.suffix != ".png"}
    assert written - {"overlays", ".lock"} <= OWN_FILES


def test_pictures_that_nobody_drew_are_not_taken_for_overlays(
    finished: Finished, tmp_path: Path
) -> None:
    folder = tmp_path / "camera"
    shutil.copytree(finished[0] / "abnormal", folder / "overlays")
    with refuses(setting="out", facts="overlays", remedy="another out=PATH"):
        run(finished[1].path, folder, folder)


def test_two_commands_do_not_share_a_folder_of_decisions(
    finished: Finished, images: Path, tmp_path: Path
) -> None:
    with locked_folder(tmp_path / "out", "out"), refuses(setting="out", facts="in use"):
        run(finished[1].path, images, tmp_path / "out")


def test_a_watch_ends_when_the_detector_is_changed(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A calibration meanwhile: what comes after it must not be decided by the old threshold."""
    detector, folder = tmp_path / "detector", tmp_path / "camera"
    shutil.copytree(finished[1].path / "detector", detector)
    folder.mkdir()
    followed = judge_files.watch

    def calibrated(*given: Any) -> Iterator[list[Path]]:
        shutil.copy(finished[0] / "normal" / "00.png", folder)
        rounds = followed(*given)
        yield next(rounds)
        described = json.loads((detector / "detector.json").read_text())
        shutil.copy(finished[0] / "normal" / "01.png", folder)
        (detector / "detector.json").write_text(json.dumps(described | {"calibrations": [1]}))
        yield next(rounds)

    monkeypatch.setattr(judge_files, "watch", calibrated)
    with refuses(file=detector / "detector.json", facts="changed", remedy="out=PATH"):
        run(detector, folder, tmp_path / "out", watch=True, watch_interval_s=0.05)
    assert table(tmp_path / "out").keys() == {"00.png"}


def test_files_that_are_not_judged_are_told(
    finished: Finished, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("defect.gif", "other.gif", "part_18.PNG_"):
        (images / name).write_bytes(b"x")
    run(finished[1].path, images, tmp_path / "out")
    assert "not judged: 3 files" in (said := capsys.readouterr().out) and ".gif 2" in said
    run(finished[1].path, f"{images}/**/*", tmp_path / "pattern")
    assert "not judged: 3 files" in capsys.readouterr().out
    run(finished[1].path, f"{images}/**/*.png", tmp_path / "images_alone")
    assert "not judged" not in capsys.readouterr().out


def test_a_watch_does_not_say_of_dicom_that_it_is_not_judged(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "scanner"
    folder.mkdir()
    (folder / "IM000001").write_bytes(bytes(128) + b"DICM")  # an image by its first bytes
    (folder / "notes.txt").write_text("x")
    waits = {"watch": True, "watch_interval_s": 0.05, "watch_stop_after_s": 0.2}
    run(finished[1].path, folder, tmp_path / "out", **waits)
    assert "not judged: 1 file" in (said := capsys.readouterr().out) and ".txt 1" in said


def test_what_is_not_there_is_said_before_torch_is_loaded(
    finished: Finished, tmp_path: Path
) -> None:
    with refuses(facts="nothing.png"):
        run(finished[1].path, tmp_path / "nothing.png", tmp_path / "out")
    with refuses(setting="detector"):
        run(tmp_path / "no", finished[0], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [["protocol=crossfit"], ["score=sse", "threshold=3.5"]])
def test_what_decides_is_typed_without_its_group(words: list[str]) -> None:
    """``protocol`` and ``score`` are groups of other commands, which Hydra would look for."""
    known = functools.partial(setting_names, conf_dir(), "predict")
    named = name_decision(["detector=x", "images=y", *words], known)
    chosen = read_settings(PredictSettings, compose_settings("predict", named)).decide_by
    given = dict(word.split("=") for word in words)
    for name, value in chosen:
        assert value is None if name not in given else str(value) == given[name]
    of_train = functools.partial(setting_names, conf_dir(), "train")
    assert name_decision(["score=sse"], of_train) == ["score=sse"]


def test_names_that_a_shell_or_hydra_reads_otherwise(finished: Finished, tmp_path: Path) -> None:
    """Each is read, or refused in one line that says what to type."""
    source = finished[0] / "normal" / "00.png"
    names = ["a b", "c,d", "e=f", "(g)", "ümlaut", "-h", "~i", "j'k", "[l]", "$m"]
    for name in names:
        folder = tmp_path / "in" / name
        folder.mkdir(parents=True)
        shutil.copy(source, folder / f"{name}.png")
    for i, name in enumerate(names):
        quoted = "'" + str(tmp_path / "in" / name).replace("'", r"\'") + "'"
        words = [f"detector={finished[1].path}", f"images={quoted}", f"out={tmp_path / 'out'}"]
        chosen = read_settings(PredictSettings, compose_settings("predict", words))
        assert chosen.images == tmp_path / "in" / name
        out = tmp_path / "out" / str(i)
        assert run(finished[1].path, chosen.images, out, threshold=1e9) == 0
        assert table(out).keys() == {f"{name}.png"}


@pytest.fixture(scope="module")
def stream(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 images like the normal ones, then 40 that are darker by 10 %."""
    folder = tmp_path_factory.mktemp("stream")
    drawn = draw_folder(folder / "drawn", normal=100, abnormal=0) / "normal"
    (folder / "images").mkdir()
    for i, path in enumerate(sorted(drawn.iterdir())):
        with Image.open(path) as image:
            factor = 1.0 if i < 60 else 0.9
            darker = image.point(lambda value, factor=factor: round(value * factor))
            darker.save(folder / "images" / f"{i:03d}.png")
    return folder / "images"


def test_darker_images_are_noticed_and_reviewed(
    finished: Finished, stream: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detector, out = finished[1].path, tmp_path / "out"
    assert run(detector, stream, out, threshold=1e9) == 2
    said = capsys.readouterr().out
    assert said.count("warning: ") == 1 and "darker" in said
    [warning] = [line for line in said.splitlines() if line.startswith("warning: ")]
    assert "drift.reset=reference" in warning and "one false warning in 10,000 images" in said
    rows = table(out)
    passed = sorted(name for name, row in rows.items() if row["decision"] == "normal")
    assert passed == [f"{i:03d}.png" for i in range(len(passed))] and 60 <= len(passed) <= 85
    later = rows["099.png"]
    assert "darker" in later["reason"] and float(later["score"]) < float(later["threshold"])
    assert float(rows["000.png"]["brightness"]) == pytest.approx(90 / 255, abs=0.02)
    assert float(later["brightness"]) == pytest.approx(81 / 255, abs=0.02)
    assert later["sharpness"]
    # A later command knows of it, and a reset begins anew.
    (tmp_path / "more").mkdir()
    for name in ("a", "b"):
        shutil.copy(stream / "000.png", tmp_path / "more" / f"{name}.png")
    assert run(detector, tmp_path / "more" / "a.png", out, threshold=1e9) == 2
    assert capsys.readouterr().out.count("warning: ") == 1
    reset = {"enabled": True, "images_per_false_warning": 10_000, "reset": "reference"}
    assert run(detector, tmp_path / "more" / "b.png", out, threshold=1e9, drift=reset) == 0
    assert "warning: " not in capsys.readouterr().out
    # With overwrite, all images are watched again from the first one on.
    assert run(detector, stream, out, threshold=1e9, overwrite=True) == 2
    again = table(out)
    assert [row for name, row in again.items()] == [rows[name] for name in again]


def test_drift_that_is_not_watched(
    finished: Finished,
    stream: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    off = {"enabled": False, "images_per_false_warning": 10_000, "reset": None}
    assert run(finished[1].path, stream, tmp_path / "off", threshold=1e9, drift=off) == 0
    assert "drift: " not in capsys.readouterr().out
    assert not (tmp_path / "off" / "drift.json").exists()
    with refuses(setting="drift.reset", value="images", facts="drift.enabled=false"):
        run(finished[1].path, stream, tmp_path / "x", drift=off | {"reset": "images"})
    with refuses(setting="drift", value="false", remedy="drift.enabled=false"):
        run(finished[1].path, stream, tmp_path / "x", drift=False)
    # As a file that an earlier version exported.
    known = load.load_detector

    def without_reference(*args: Any, **kwargs: Any) -> Any:
        detector = known(*args, **kwargs)
        del detector.description["reference"]
        return detector

    monkeypatch.setattr(load, "load_detector", without_reference)
    assert run(finished[1].path, stream, tmp_path / "old", threshold=1e9) == 0
    [line] = [one for one in capsys.readouterr().out.splitlines() if "not watched" in one]
    assert "drift" in line and "export" in line


def test_when_no_image_passes_it_says_that_nothing_was_watched(
    finished: Finished, stream: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(finished[1].path, stream, tmp_path / "out", threshold=-1e9) == 2
    assert "no image passed" in capsys.readouterr().out
    run(finished[1].path, stream, tmp_path / "all", threshold=1e9)
    assert "no image passed" not in capsys.readouterr().out


def test_drift_while_a_folder_is_followed_and_after_a_crash(
    finished: Finished, stream: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    watched: dict[str, Any] = {"watch": True, "watch_interval_s": 0.05, "threshold": 1e9}
    assert run(finished[1].path, stream, out, watch_stop_after_s=0.3, **watched) == 2
    assert capsys.readouterr().out.count("warning: ") == 1
    (out / "drift.json").write_text("{")
    with refuses(file=out / "drift.json", facts="damaged", remedy="drift.reset=reference"):
        run(finished[1].path, stream, out, threshold=1e9)
