from pathlib import Path

from errors import refuses

from cyclegan_ad.data.checks import count_ignored_files, list_unread_folders, require_readable


def touch(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def test_files_without_the_suffix_of_an_image_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, "normal/a.png", "abnormal/b.JFIF", "masks/b.png", "notes.txt")
    touch(tmp_path, "normal/Thumbs.db", "normal/desktop.ini", "normal/.DS_Store")
    touch(tmp_path, "normal/@eaDir/a.png/SYNO.txt", "abnormal/$RECYCLE.BIN/x.txt")
    assert count_ignored_files("folder", tmp_path) == {}
    touch(tmp_path, "normal/e.CR2", "normal/sub/f.cr2", "masks/README")
    assert count_ignored_files("folder", tmp_path) == {".cr2": 2, "": 1}
    touch(tmp_path / "oct", "a/NORMAL/1.jpeg", "a/CNV/2.raw", "a/DME/3.jpeg", "a/readme.txt")
    assert count_ignored_files("retina_oct", tmp_path / "oct") == {".raw": 1}


def test_folders_that_a_layout_does_not_read(tmp_path: Path) -> None:
    touch(tmp_path / "folder", "normal/a.png", "abnormal/b.png", "Masks/b.png", ".git/x")
    assert list_unread_folders("folder", tmp_path / "folder") == ["Masks"]
    files = ("train/good/a.png", "train/bad/b.png", "test/cut/c.png", "ground_truth/Cut/c.png")
    touch(tmp_path / "mvtec", *files, "test/\u00e9/d.png", "ground_truth/e\u0301/d.png")
    assert list_unread_folders("mvtec", tmp_path / "mvtec") == ["ground_truth/Cut", "train/bad"]


def test_files_that_need_a_package_are_named_in_part(tmp_path: Path) -> None:
    damaged = {f"normal/{i}.png": "damaged PNG" for i in range(9)}
    needy = {f"normal/{i}.dcm": "DICOM needs the package x: pip install x" for i in range(9)}
    facts = ("18 of 20", *damaged, "normal/0.dcm", "normal/2.dcm, ... (DICOM needs")
    with refuses(file=tmp_path, facts=facts, remedy="pip install x") as caught:
        require_readable(damaged | needy, 20, "images", tmp_path)
    assert "normal/3.dcm" not in str(caught.value)
