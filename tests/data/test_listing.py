import errno
import os

import pytest

from cyclegan_ad.data.listing import list_folders, list_images
from cyclegan_ad.errors import UserError


def test_lists_images_below_a_folder_and_nothing_else(tmp_path):
    for file in ("a/1.png", "a/b/2.JPEG", "a/b/3.gif", "a/.c/4.png", "a/.5.png", "6.png"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "a" / "folder.png").mkdir()
    assert sorted(list_images(tmp_path, "a")) == ["a/1.png", "a/b/2.JPEG"]
    assert list_folders(tmp_path, "a") == ["a/b", "a/folder.png"]
    assert list_folders(tmp_path, "") == ["a"]


def test_a_missing_folder_holds_nothing(tmp_path):
    assert list(list_images(tmp_path, "absent")) == []
    assert list_folders(tmp_path, "absent") == []


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"normal' cannot be listed \(Permission denied\)"):
        list(list_images(tmp_path, "normal"))
