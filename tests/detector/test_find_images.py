"""Which files are judged: of a folder, a pattern, a list; and what is said if there are none."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from errors import refuses

from cyclegan_ad.detector.find_images import OWN_FILES, describe_others, find_images

NAMES = ["b.png", "a b, c=1 (ü)~.JPG", "-x.tif", "sub/[1].png", "sub/deep/c.webp"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*NAMES, "notes.txt", ".hidden.png", "Thumbs.db"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return tmp_path


def test_a_folder_gives_all_images_at_any_depth(folder: Path) -> None:
    assert find_images(folder) == find_images(str(folder)) == sorted(folder / n for n in NAMES)


def test_a_file_is_taken_whatever_its_name(folder: Path) -> None:
    for name in (*NAMES, "notes.txt"):
        assert find_images(folder / name) == [folder / name]
    assert find_images([folder / NAMES[0], folder / "sub"]) == [
        folder / "b.png",
        *(folder / name for name in NAMES[3:]),
    ]


def test_a_pattern(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert find_images("*.png") == [Path("b.png")]
    assert find_images("**/*.png") == [Path("b.png"), Path("sub/[1].png")]
    assert find_images("*") == sorted(Path(name) for name in NAMES[:3])  # images only
    assert find_images("sub/[1].png") == [Path("sub/[1].png")]  # a name, not a pattern


def test_a_broken_link_is_an_image_that_cannot_be_read(folder: Path) -> None:
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    assert folder / "gone.png" in find_images(folder)
    assert find_images(folder / "gone.png") == [folder / "gone.png"]


def test_nothing_found_says_what_is_there(tmp_path: Path) -> None:
    with refuses(file=tmp_path, facts="empty"):
        find_images(tmp_path)
    assert find_images(tmp_path, allow_none=True) == []
    for name in ("a.gif", "b.gif", "c"):
        (tmp_path / name).write_text("x")
    with refuses(file=tmp_path, facts=("3 files without an image suffix", ".gif 2", "no suffix 1")):
        find_images(tmp_path)
    with refuses(file=f"{tmp_path}/*.png", facts="pattern"):
        find_images(f"{tmp_path}/*.png")


def test_overlays_of_an_earlier_command_are_no_images_to_judge(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = folder / "out"
    (out / "overlays" / "sub").mkdir(parents=True)
    for name in ("b.png", "sub/a.png"):
        (out / "overlays" / name).write_text("x")
    expected = sorted(folder / name for name in NAMES)
    assert len(find_images(folder)) == len(NAMES) + 2
    assert find_images(folder, besides=out) == expected
    assert find_images(folder, besides=folder / "nowhere") == find_images(folder)
    monkeypatch.chdir(folder)
    assert find_images(".", besides=Path("out")) == sorted(map(Path, NAMES))
    assert find_images("**/*.png", besides=Path("out")) == [Path("b.png"), Path("sub/[1].png")]


def test_a_pattern_skips_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken link and a folder that cannot be listed may be defects, as in a folder."""
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    assert folder / "gone.png" in find_images(f"{folder}/*.png")
    listed = os.scandir

    def scandir(path: Any) -> Any:
        if Path(os.fsdecode(path)).name == "sub":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    for pattern in ("**/*.png", "*/*.png", "**"):
        with refuses(file="sub", facts="Permission denied", remedy="readable"):
            find_images(f"{folder}/{pattern}")
    assert find_images(f"{folder}/*.png")  # which does not reach it


def test_files_that_are_no_images_are_counted(folder: Path) -> None:
    (folder / "a.gif").write_text("x")
    (folder / "overlays").mkdir()
    for name in (*OWN_FILES, "overlays/b.png.txt"):
        (folder / name).write_text("x")
    images, out = find_images(folder), folder / "out"
    found = describe_others(folder, images, folder)
    assert found.startswith("2 files") and ".gif 1" in found  # and notes.txt
    assert describe_others(folder, images, out).startswith("7 files")
    assert describe_others(folder / "a.gif", [folder / "a.gif"], out) == ""
    assert describe_others(f"{folder}/*.png", images, out) == ""
