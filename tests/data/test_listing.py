import errno
import os
from contextlib import nullcontext
from types import SimpleNamespace

from errors import refuses

from cyclegan_ad.data.listing import list_folders, list_images


def test_lists_images_below_a_folder_and_nothing_else(tmp_path):
    for file in ("a/1.png", "a/b/2.JPEG", "a/b/3.gif", "a/.c/4.png", "a/.5.png", "6.png"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "a" / "folder.png").mkdir()
    assert sorted(list_images(tmp_path, "a")) == ["a/1.png", "a/b/2.JPEG"]
    assert list_folders(tmp_path, "a") == ["a/b", "a/folder.png"]
    assert list_folders(tmp_path, "") == ["a"]


def test_medical_images_have_suffixes_of_their_own_or_none(tmp_path):
    dicom = bytes(128) + b"DICM"
    files = {
        **{name: b"" for name in ("1.dcm", "2.DICOM", "3.nii", "4.NII.GZ", "5.heic", "6.avif")},
        **{name: dicom for name in ("IM000001", "1.2.840.10008")},
        # By their suffix, or by what they hold, these are none.
        **{"notes.txt": dicom, "README": b"text", "run.7": b"", "archive.tar.gz": b""},
    }
    (tmp_path / "a").mkdir()
    for name, content in files.items():
        (tmp_path / "a" / name).write_bytes(content)
    os.mkfifo(tmp_path / "a" / "pipe")
    images = [path.removeprefix("a/") for path in list_images(tmp_path, "a")]
    assert sorted(images) == sorted([*files][:8])
    others = [path.removeprefix("a/") for path in list_images(tmp_path, "a", images=False)]
    assert sorted(others) == sorted([*[*files][8:], "pipe"])


def test_a_missing_folder_holds_nothing(tmp_path):
    assert list(list_images(tmp_path, "absent")) == []
    assert list_folders(tmp_path, "absent") == []


def test_a_link_to_what_may_not_be_looked_at_is_an_error_or_an_unreadable_image(
    tmp_path, monkeypatch
):
    class Link(SimpleNamespace):
        def is_dir(self):
            raise PermissionError(errno.EACCES, "Permission denied", self.path)

    def entries(*names):
        return lambda path: nullcontext([Link(name=name, path=f"{path}/{name}") for name in names])

    monkeypatch.setattr(os, "scandir", entries("a.png"))
    assert list(list_images(tmp_path, "normal")) == ["normal/a.png"]
    monkeypatch.setattr(os, "scandir", entries("a.png", "sub"))
    with refuses(file="normal/sub", facts="Permission denied"):
        list(list_images(tmp_path, "normal"))


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with refuses(file="normal", facts="Permission denied"):
        list(list_images(tmp_path, "normal"))
