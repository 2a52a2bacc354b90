"""Files of decisions: what an interrupted command continues, and what it must not mix."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from errors import refuses

from cyclegan_ad.detector.decision import Decision
from cyclegan_ad.detector.decision_files import DecisionFiles, read_lines, stamp
from cyclegan_ad.detector.prediction import Prediction

IDENTITY = {"weights": "abc", "threshold": 2.0}


def given(path: Path, score: float, reason: str = "") -> Prediction:
    decision = Decision("mean", 2.0, "recalibrated", {}, upper=3.0)
    label = "normal" if score < 2 else "abnormal"
    zone = decision.zone(score)
    brightness = math.nan if reason else 0.25
    return Prediction(str(path), score, 2.0, label, zone, reason, brightness)  # type: ignore[arg-type]


def write(folder: Path, *predictions: Prediction, **changes: Any) -> DecisionFiles:
    arguments: dict[str, Any] = {"identity": IDENTITY, "overwrite": False} | changes
    with DecisionFiles(folder, **arguments) as files:
        files.append(predictions, [stamp(Path(str(p.path))) for p in predictions])
    return files


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(newline="", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    names = ["a.png", "b, c=1 (x).png", "ü~.png", "-d.png"]
    paths = [tmp_path / "images" / name for name in names]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(path.name)
    return paths


def test_both_files_hold_every_decision(tmp_path: Path, images: list[Path]) -> None:
    out = tmp_path / "out"
    scores = [0.1 + 0.2, 2.0, math.nan, 3.5]
    predictions = [
        given(path, score, "damaged" * math.isnan(score))
        for path, score in zip(images, scores, strict=True)
    ]
    files = write(out, *predictions)
    zones = {"pass": 1, "review": 2, "reject": 1}
    assert files.count() == {"normal": 1, "abnormal": 3, "undecided": 1} | zones
    zones = {"pass": 1, "review": 1, "reject": 0}
    assert files.count(images[:2]) == {"normal": 1, "abnormal": 1, "undecided": 0} | zones
    rows = table(out)
    assert [row["path"] for row in rows] == [str(path) for path in images]
    assert [row["score"] for row in rows] == ["0.30000000000000004", "2.0", "", "3.5"]
    assert [row["margin"] for row in rows] == ["-1.7", "0.0", "", "1.5"]
    assert [row["decision"] for row in rows] == ["normal", "abnormal", "abnormal", "abnormal"]
    assert [row["reason"] for row in rows] == ["", "", "damaged", ""]
    assert [row["zone"] for row in rows] == ["pass", "review", "review", "reject"]
    lines = read_lines(out / "predictions.jsonl")
    assert [line["score"] for line in lines] == [0.1 + 0.2, 2.0, None, 3.5]
    assert [row["brightness"] for row in rows] == ["0.25", "0.25", "", "0.25"]
    assert [row["sharpness"] for row in rows] == [""] * 4
    assert [line["brightness"] for line in lines] == [0.25, 0.25, None, 0.25]
    assert [line["path"] for line in lines] == [str(path) for path in images]


def test_a_name_that_is_not_valid_text_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "\udcff.png"
    path.write_text("x")
    write(tmp_path / "out", given(path, 1.0))
    assert table(tmp_path / "out")[0]["path"] == str(path)
    with DecisionFiles(tmp_path / "out", IDENTITY, overwrite=False) as files:
        assert files.pending([path]) == []


def test_a_later_command_continues(tmp_path: Path, images: list[Path]) -> None:
    out = tmp_path / "out"
    write(out, given(images[0], 1.0), given(images[1], 5.0), given(images[2], 1.5))
    images[1].write_text("another image under the name of the first")
    with (out / "predictions.jsonl").open("a") as file:
        file.write('{"path": "half of a li')  # as a killed process leaves it
    (out / "predictions.csv").write_text("path,sco")
    with DecisionFiles(out, IDENTITY, overwrite=False) as files:
        zones = {"pass": 2, "review": 0, "reject": 0}
        assert files.count() == {"normal": 2, "abnormal": 0, "undecided": 0} | zones
        assert files.pending(images) == [images[1], images[3]]
        files.append([given(images[1], 1.0)], [stamp(images[1])])
    assert [row["path"] for row in table(out)] == [str(images[i]) for i in (0, 2, 1)]
    assert len(read_lines(out / "predictions.jsonl")) == 3


def test_decisions_of_another_detector_are_not_mixed_in(tmp_path: Path, images: list[Path]) -> None:
    out = tmp_path / "out"
    write(out, given(images[0], 1.0))
    other = IDENTITY | {"threshold": 0.5}
    with refuses(file=out, remedy=("out=PATH", "overwrite=true")):
        write(out, identity=other)
    assert len(table(out)) == 1
    write(out, given(images[1], 1.0), identity=other, overwrite=True)
    assert [row["path"] for row in table(out)] == [str(images[1])]


def test_a_damaged_line_is_named(tmp_path: Path, images: list[Path]) -> None:
    out = tmp_path / "out"
    write(out, given(images[0], 1.0))
    lines = out / "predictions.jsonl"
    lines.write_text("[]\n" + lines.read_text())
    with refuses(file=lines, facts="line 1", remedy="overwrite=true"):
        write(out)


def test_each_decision_is_on_the_disk_at_once(tmp_path: Path, images: list[Path]) -> None:
    with DecisionFiles(tmp_path, IDENTITY, overwrite=False) as files:
        for i, path in enumerate(images):
            files.append([given(path, 1.0)], [stamp(path)])
            assert len(table(tmp_path)) == len(read_lines(tmp_path / "predictions.jsonl")) == i + 1
    assert json.loads((tmp_path / "made_by.json").read_text()) == IDENTITY


def test_what_could_not_be_read_is_judged_again_once(tmp_path: Path, images: list[Path]) -> None:
    out = tmp_path / "out"
    write(out, given(images[0], 1.0), given(images[1], math.nan, "cannot be read"))
    with DecisionFiles(out, IDENTITY, overwrite=False) as files:
        assert files.pending(images[:2]) == [images[1]]
        files.append([given(images[1], 5.0)], [stamp(images[1])])
        assert files.pending(images[:2]) == []  # a command that follows a folder asks all the time
    assert [(row["path"], row["decision"]) for row in table(out)] == [
        (str(images[0]), "normal"),
        (str(images[1]), "abnormal"),
    ]
    assert table(out)[1]["score"] == "5.0"
    assert len(read_lines(out / "predictions.jsonl")) == 2
    assert files.count() | {"undecided": 0} == files.count()
    with DecisionFiles(out, IDENTITY, overwrite=False) as files:
        assert files.pending(images[:2]) == []


def test_decisions_about_files_that_were_moved_away_are_kept(
    tmp_path: Path, images: list[Path]
) -> None:
    out = tmp_path / "out"
    write(out, given(images[0], 1.0), given(images[1], 5.0))
    images[0].unlink()
    files = write(out, given(images[2], 1.0))
    assert [row["path"] for row in table(out)] == [str(images[i]) for i in range(3)]
    zones = {"pass": 1, "review": 0, "reject": 0}
    assert files.count([images[2]]) == {"normal": 1, "abnormal": 0, "undecided": 0} | zones
