"""Which images the inspector offers."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from inspected import png

from cyclegan_ad.inspection import images as module
from cyclegan_ad.inspection.images import find_known_images, shown_as
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import read_scores

Finished = tuple[Path, RunDirectory, dict[str, Any]]


@pytest.mark.parametrize("inside", [False, True])
def test_the_test_images_of_a_run_with_their_scores(finished: Finished, inside: bool) -> None:
    run = finished[1]
    found, remark = find_known_images(run.detector if inside else run.path, None, "sse")
    assert remark == ""
    rows = {row["path"]: row for row in read_scores(run.path)}
    assert {image.name for image in found} == rows.keys()
    for image in found:
        row = rows[image.name]
        assert image.path.is_file() and image.judged and image.score == row["sse"]
        assert image.truth == ("normal", "abnormal")[row["label"]]
        assert len(image.sha256) == 64 and "/" not in image.id


def test_a_detector_alone_has_none(finished: Finished, tmp_path: Path) -> None:
    shutil.copytree(finished[1].detector, tmp_path / "alone")
    found, remark = find_known_images(tmp_path / "alone", None, "sse")
    assert found == [] and "no test images" in remark


def test_a_folder_gives_labels_by_its_folders(tmp_path: Path, monkeypatch: Any) -> None:
    for name in ("OK/a.png", "nok/b.png", "c.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png())
    found, remark = find_known_images(tmp_path, tmp_path, "sse")
    assert {i.name: i.truth for i in found} == {
        "OK/a.png": "normal",
        "nok/b.png": "abnormal",
        "c.png": None,
    }
    assert not any(image.judged for image in found) and remark == ""
    monkeypatch.setattr(module, "MOST_PICKED", 2)
    found, remark = find_known_images(tmp_path, tmp_path, "sse")
    assert len(found) == 2 and "2 of 3" in remark


def test_names_are_printable_and_short() -> None:
    assert shown_as("a\n\u202eb.png") == "a\\n\\u202eb.png"
    name = shown_as("x" * 300 + "/part.png")
    assert len(name) == 120 and name.endswith("/part.png")
