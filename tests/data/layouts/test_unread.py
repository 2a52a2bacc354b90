from pathlib import Path

from cyclegan_ad.data.layouts.sample import BY_THE_USUAL_NAMES, Labelling
from cyclegan_ad.data.layouts.unread import count_ignored_files, list_unread_folders


def touch(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def test_files_without_the_suffix_of_an_image_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, "normal/a.png", "abnormal/b.JFIF", "masks/b.png", "notes.txt")
    touch(tmp_path, "normal/Thumbs.db", "normal/desktop.ini", "normal/.DS_Store")
    touch(tmp_path, "normal/@eaDir/a.png/SYNO.txt", "abnormal/$RECYCLE.BIN/x.txt")
    assert count_ignored_files("folder", tmp_path, BY_THE_USUAL_NAMES) == {}
    touch(tmp_path, "normal/e.CR2", "normal/sub/f.cr2", "masks/README")
    assert count_ignored_files("folder", tmp_path, BY_THE_USUAL_NAMES) == {".cr2": 2, "": 1}
    touch(tmp_path / "oct", "a/NORMAL/1.jpeg", "a/CNV/2.raw", "a/DME/3.jpeg", "a/readme.txt")
    assert count_ignored_files("retina_oct", tmp_path / "oct", BY_THE_USUAL_NAMES) == {".raw": 1}


def test_folders_that_a_layout_does_not_read(tmp_path: Path) -> None:
    touch(tmp_path / "folder", "normal/a.png", "abnormal/b.png", "Masks/b.png", ".git/x")
    assert list_unread_folders("folder", tmp_path / "folder", BY_THE_USUAL_NAMES) == ["Masks"]
    files = ("train/good/a.png", "train/bad/b.png", "test/cut/c.png", "ground_truth/Cut/c.png")
    touch(tmp_path / "mvtec", *files, "test/\u00e9/d.png", "ground_truth/e\u0301/d.png")
    assert list_unread_folders("mvtec", tmp_path / "mvtec", BY_THE_USUAL_NAMES) == [
        "ground_truth/Cut",
        "train/bad",
    ]


def test_folders_beside_those_of_own_names(tmp_path: Path) -> None:
    touch(tmp_path, "line1/OK/a.png", "line1/NOK/b.png", "line1/raw/c.png", "line2/d.png", "x.txt")
    touch(tmp_path, "line1/OK/a.cr2", "line1/NOK/deep/b.cr2", "line1/raw/c.cr2", "table.csv")
    assert list_unread_folders("folder", tmp_path, BY_THE_USUAL_NAMES) == ["line1/raw", "line2"]
    assert count_ignored_files("folder", tmp_path, BY_THE_USUAL_NAMES) == {".cr2": 2}
    named = Labelling(normal=("line1/raw",), abnormal=("line2",))
    assert list_unread_folders("folder", tmp_path, named) == ["line1/NOK", "line1/OK"]
    table = Labelling(table=tmp_path / "table.csv")
    assert list_unread_folders("folder", tmp_path, table) == []
    assert count_ignored_files("folder", tmp_path, table) == {}


def test_folders_beside_the_layout_of_mvtec_in_other_names(tmp_path: Path) -> None:
    touch(tmp_path, "train/OK/a.png", "train/KO/b.png", "test/KO/c.png", "doc/d.png")
    unread = list_unread_folders("mvtec_like", tmp_path, BY_THE_USUAL_NAMES)
    assert unread == ["doc", "train/KO"]
