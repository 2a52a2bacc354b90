"""The command predict: decisions, their files, overlays, and what its exit status says."""

import csv
import functools
import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from errors import refuses
from PIL import Image
from tiny import compose_settings

from cyclegan_ad.cli.hydra_errors import name_decision
from cyclegan_ad.cli.setting_names import setting_names
from cyclegan_ad.detector import judge_files
from cyclegan_ad.predict import predict
from cyclegan_ad.runs.directory import RunDirectory
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
